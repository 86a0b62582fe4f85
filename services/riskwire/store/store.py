"""The store: every read and write of the database, each in one transaction.

Its methods may be called from any thread. On an event loop, call reads through `off_loop` and writes through
`write_off_loop`. Every write is idempotent: a record written twice leaves the store as it was. There is one writer per
topic partition; on SQLite, writers take turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine

from riskwire.records import Alert, Analysis, Command, DeadLetter, NearMiss, Signal, TrendPoint, from_ms, to_ms
from riskwire.settings import Settings
from riskwire.store import command_log, future, retention, writes
from riskwire.store.changes import changes_after, last_change
from riskwire.store.clock import newest_ms
from riskwire.store.command_log import CommandLog
from riskwire.store.database.engine import check_store, open_engine, reported
from riskwire.store.database.postgresql.sessions import snapshot_options
from riskwire.store.database.sqlite import sqlite_file
from riskwire.store.patience import when_available
from riskwire.store.reads import alerts, counts, dead_letters, history, stories, targets, trends, watchlist
from riskwire.store.reads.article_trace import StoredArticle, read_article
from riskwire.store.reads.near_misses import NearMissQuery, list_near_misses
from riskwire.store.reads.target_figures import TargetFigures, read_target_figures
from riskwire.store.rows import (
    AlertHistory,
    AlertOrder,
    AlertRow,
    Change,
    CommandRow,
    Counts,
    Cursor,
    StatusFilter,
    StoryRow,
    TargetKind,
    TargetOrder,
    TargetRow,
    Trend,
)

_P = ParamSpec("_P")
_R = TypeVar("_R")

_READ_THREADS = 4
"""Threads that read for the event loop."""


class Store:
    """An open store. Obtained from `Store.open`, closed by `close` or a `with` block."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        """Takes the engine of a database that has the tables of the store. Starts no thread before it is needed.

        `_where` names the database in errors. `_fresh_s` is the age in seconds beyond which a surprise counts as 0.
        """
        self._engine = engine
        self._where = str(sqlite_file(engine.url) or engine.url.render_as_string(hide_password=True))
        self._snapshot = snapshot_options(engine)
        self._wait_s = settings.store.wait_s
        self._keep_days = settings.store.keep_days
        self._keep_dead_letters = settings.store.keep_dead_letters
        self._max_mentions = settings.store.keep_mentions
        self._blind_after_s = settings.alerting.blind_after_s
        self._fresh_s = max(settings.alerting.windows_s)
        self._write_thread = ThreadPoolExecutor(1, thread_name_prefix="store-write")
        self._read_threads = ThreadPoolExecutor(_READ_THREADS, thread_name_prefix="store-read")

    @staticmethod
    def check(settings: Settings) -> None:
        """Checks that an existing store can be used, without changing it. A missing store is accepted.

        Raises:
            StoreError: the database is not a store or cannot be read.
            StoreVersionError: another version of riskwire wrote the store.
            SettingsError: `store.url` is not a URL of SQLite or PostgreSQL.
        """
        check_store(settings)

    @classmethod
    def open(cls, settings: Settings, *, read_only: bool = False) -> Store:
        """Opens the store of these settings. Creates an empty one unless `read_only`.

        Raises:
            StoreError: the store does not exist (read only), or the database is not a store.
            StoreVersionError: another version of riskwire wrote the store.
            SettingsError: `store.url` is not a URL of SQLite or PostgreSQL.
        """
        return cls(open_engine(settings, read_only=read_only), settings)

    def close(self) -> None:
        """Waits for running reads and writes, and closes the connections."""
        self._write_thread.shutdown(wait=True)
        self._read_threads.shutdown(wait=True)
        self._engine.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def off_loop(self, method: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Calls a reading method on one of the read threads."""
        return await asyncio.get_running_loop().run_in_executor(self._read_threads, lambda: method(*args, **kwargs))

    async def write_off_loop(self, method: Callable[_P, None], *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Calls a writing method on the write thread. Cancellation does not interrupt a write that has begun.

        Waits up to `store.wait_s` while the store is away, in use or full. What such an attempt wrote is rolled back,
        or written again without effect.
        """

        async def attempt() -> None:
            await asyncio.get_running_loop().run_in_executor(self._write_thread, lambda: method(*args, **kwargs))

        await when_available(attempt, self._wait_s)

    async def off_loop_when_available(self, method: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Calls a reading method like `off_loop`. Waits up to `store.wait_s` while the store is away."""
        return await when_available(lambda: self.off_loop(method, *args, **kwargs), self._wait_s)

    # Writes

    def write_analyses(self, analyses: Iterable[Analysis]) -> None:
        """Writes the newest version of each article and its mentions. Deletes data that is too old."""
        with self._writing() as connection:
            writes.write_analyses(connection, analyses, self._max_mentions)
            self._delete_old(connection)

    def write_signals(self, signals: Iterable[Signal]) -> None:
        """Writes each signal (of an article toward a target) once per article version. Updates stories and targets."""
        with self._writing() as connection:
            writes.write_signals(connection, signals)

    def write_trends(self, points: Iterable[TrendPoint]) -> None:
        """Writes each trend point, by target, start and length."""
        with self._writing() as connection:
            writes.write_trends(connection, points)

    def write_alerts(self, alerts: Iterable[Alert]) -> None:
        """Writes alert records, and updates the newest record of each alert."""
        with self._writing() as connection:
            writes.write_alerts(connection, alerts)

    def write_near_misses(self, near_misses: Iterable[NearMiss]) -> None:
        """Writes each story that came near an event alert."""
        with self._writing() as connection:
            writes.write_near_misses(connection, near_misses)

    def write_commands(self, commands: Iterable[Command]) -> None:
        """Writes commands."""
        with self._writing() as connection:
            writes.write_commands(connection, commands)

    def write_dead_letters(self, dead_letters: Iterable[DeadLetter]) -> None:
        """Counts dead letters and keeps the newest."""
        with self._writing() as connection:
            writes.write_dead_letters(connection, dead_letters, self._keep_dead_letters)

    def list_watched(self, watched: Sequence[writes.WatchedTarget]) -> None:
        """Lists watched entities as targets, also those without news."""
        with self._writing() as connection:
            writes.list_watched(connection, watched)

    def set_command_log(self, number: int, *, forget_offsets: bool) -> None:
        """Stores the number of the command log that fills the store; `forget_offsets`: another log filled it before."""
        with self._writing() as connection:
            command_log.set_command_log(connection, number, forget_offsets=forget_offsets)

    def delete_old(self) -> None:
        """Deletes data older than `store.keep_days` before the newest data. Writing analyses does this too."""
        with self._writing() as connection:
            self._delete_old(connection)

    def remove_after(self, latest: datetime) -> None:
        """Deletes news that was seen after a time, and dates alerts and other times back to it."""
        with self._writing() as connection:
            future.remove_after(connection, to_ms(latest))

    def _delete_old(self, connection: Connection) -> None:
        if (cutoff := retention.cutoff_ms(connection, self._keep_days)) is not None:
            retention.delete_before(connection, cutoff)

    # Reads

    def read(self, query: Callable[Concatenate[Connection, _P], _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Returns what a function of `store/reads/` reads, in a transaction."""
        with self._reading() as connection:
            return query(connection, *args, **kwargs)

    def alerts(
        self,
        *,
        status: StatusFilter | None = None,
        target: str | None = None,
        limit: int = 100,
        before: Cursor | None = None,
        order: AlertOrder = "newest",
    ) -> list[AlertRow]:
        """Returns the newest record of each alert, at most `limit`, as `list_alerts` does."""
        with self._reading() as connection:
            return alerts.list_alerts(connection, status, target, limit, before, order)

    def alerts_by_id(self, ids: Iterable[str]) -> list[AlertRow]:
        """Returns the newest record of each existing alert of these ids, oldest first."""
        with self._reading() as connection:
            return alerts.alerts_by_id(connection, ids)

    def near_misses(self, target: str, query: NearMissQuery) -> list[NearMiss]:
        """Returns the newest near misses of a target that the query asks for, the newest first."""
        with self._reading() as connection:
            return list_near_misses(connection, target, query)

    def alert(self, alert: str) -> AlertHistory | None:
        """Returns an alert with all its records, oldest first, and its commands, or None if it does not exist."""
        with self._reading() as connection:
            return alerts.alert_history(connection, alert)

    def targets(
        self,
        *,
        limit: int = 100,
        offset: int = 0,
        kind: TargetKind | None = None,
        query: str | None = None,
        order: TargetOrder = "alerts",
        spark: bool = False,
    ) -> list[TargetRow]:
        """Returns a page of targets, in the given order: at most `limit`, after the first `offset`.

        Args:
            kind: only targets of this kind.
            query: text that must occur in name, target or groups, ignoring case.
            spark: whether to include the scores of the last seven days in steps of six hours.
        """
        with self._reading() as connection:
            return targets.list_targets(
                connection,
                limit=limit,
                offset=offset,
                kind=kind,
                query=query,
                order=order,
                spark=spark,
                blind_after_s=self._blind_after_s,
                fresh_s=self._fresh_s,
            )

    def target(self, target: str, *, spark: bool = False) -> TargetRow | None:
        """Returns one target, or None if it does not exist; with `spark`, also its scores of the last seven days."""
        with self._reading() as connection:
            rows = targets.targets_by_id(
                connection, [target], spark=spark, blind_after_s=self._blind_after_s, fresh_s=self._fresh_s
            )
        return rows[0] if rows else None

    def article(self, article: str) -> StoredArticle | None:
        """Returns an article by its id, the start of its id or its address, with the decisions that it led to."""
        with self._reading() as connection:
            return read_article(connection, article)

    def target_figures(self, watched: Sequence[str], most: tuple[int, int]) -> tuple[list[TargetFigures], int]:
        """Returns the figures of at most so many watched and other targets, and how many watched ones are blind."""
        with self._reading() as connection:
            return read_target_figures(connection, watched, most, self._blind_after_s, self._fresh_s)

    def trend(
        self, target: str, *, since: datetime | None = None, until: datetime | None = None, step_s: int = 3_600
    ) -> Trend | None:
        """Returns the trend of a target in steps of `step_s` seconds aligned to 1970, or None for an unknown target.

        Args:
            since: start of the range, inclusive; by default, of the target's first point.
            until: end of the range, exclusive; by default, after the newest data.
        """
        with self._reading() as connection:
            return trends.read_trend(connection, target, since, until, step_s)

    def stories(self, target: str | None = None, *, limit: int = 100, before: Cursor | None = None) -> list[StoryRow]:
        """Returns the stories of a target, or of all targets, newest first, each with its newest article.

        At most `limit`, and only those older than the cursor `before` (the last row of the page before).
        """
        with self._reading() as connection:
            if target is None:
                return stories.newest_stories(connection, limit, before)
            return stories.stories_of(connection, target, limit, before)

    def newest_titles(self, limit: int) -> list[str]:
        """Returns the titles of the newest articles, newest first."""
        with self._reading() as connection:
            return stories.newest_titles(connection, limit)

    def past_articles(
        self,
        target: str,
        *,
        keys: Sequence[str],
        entities: Sequence[str],
        signals_of: Sequence[str],
        limit: int,
        before: int,
    ) -> list[history.PastArticle]:
        """Returns the newest articles that mention a name or an entity and have no signal of `target`, newest first.

        Args:
            keys: normalised names (`join_key(name_key(name))`).
            entities: ids of entities. An article must mention a key or an entity.
            signals_of: targets whose signals are returned, besides those of the mentioned entities.
            limit: the largest number of articles.
            before: offset of a command; only versions read with a watchlist from before it are returned.
        """
        with self._reading() as connection:
            return history.past_articles(connection, target, keys, entities, signals_of, limit, before)

    def past_stories(self, target: str, *, since: datetime, before: int) -> list[tuple[str, datetime]]:
        """Returns the stories of a target as (fingerprint, time of its newest signal).

        Args:
            since: only signals seen since this time count.
            before: offset of a command; only articles read with a watchlist from before it count.
        """
        with self._reading() as connection:
            return history.past_stories(connection, target, since, before)

    def command_log(self) -> CommandLog:
        """Returns what the store knows of its command log."""
        with self._reading() as connection:
            return command_log.command_log(connection)

    def watchlist_log(self, *, limit: int = 100, before: Cursor | None = None) -> list[CommandRow]:
        """Returns the commands that changed the watchlist, newest first."""
        with self._reading() as connection:
            return watchlist.watchlist_commands(connection, limit, before)

    def articles_after(self, latest: datetime) -> dict[str, int]:
        """Returns the newest version of each article that was seen after a time, by id."""
        with self._reading() as connection:
            return future.articles_after(connection, to_ms(latest))

    def newest(self) -> datetime | None:
        """Returns the time of the newest article, signal, trend point or alert, or None for an empty store."""
        with self._reading() as connection:
            newest = newest_ms(connection)
        return None if newest is None else from_ms(newest)

    def counts(self) -> Counts:
        """Returns the numbers of rows and the time range of the data."""
        with self._reading() as connection:
            return counts.read_counts(connection, self._blind_after_s)

    def changes(self, after: int, limit: int = 1_000) -> list[Change]:
        """Returns the changes after a number of the change sequence, in order, only the newest of each (kind, key)."""
        with self._reading() as connection:
            return changes_after(connection, after, limit)

    def last_change(self) -> int:
        """Returns the newest number of the change sequence, or 0 for an empty store."""
        with self._reading() as connection:
            return last_change(connection)

    def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """Returns the newest dead letters, newest first."""
        with self._reading() as connection:
            return dead_letters.newest_dead_letters(connection, limit)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """Yields a connection in a transaction that may write; it is committed at the end, or rolled back on an error.

        Raises:
            StoreError: the database fails.
            SchemaError: a value cannot be stored.
        """
        with (
            reported(self._where),
            self._engine.connect().execution_options(writes=True) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with (
            reported(self._where),
            self._engine.connect().execution_options(**self._snapshot) as connection,
        ):
            yield connection
