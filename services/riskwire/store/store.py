"""The store: what the page, the API, the command line and Grafana read, filled by the sink.

Its methods are plain functions that may be called from any thread; from an event loop call them through `off_loop`.
Every write is one transaction and an upsert: a record processed twice leaves the store as it was. There is one writer
per topic partition; on SQLite writers take turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from typing import ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, func, select

from riskwire.records import Alert, Analysis, Command, DeadLetter, Signal, TrendPoint, from_ms
from riskwire.settings import Settings
from riskwire.store import command_log, retention, tables
from riskwire.store.changes import changes_after, last_change
from riskwire.store.clock import newest_ms, oldest_ms
from riskwire.store.command_log import CommandLog
from riskwire.store.engine import open_engine, reported
from riskwire.store.reads import alerts as read_alerts
from riskwire.store.reads import mentions as read_mentions
from riskwire.store.reads import news as read_news
from riskwire.store.reads import targets as read_targets
from riskwire.store.reads.alerts import StatusFilter
from riskwire.store.reads.mentions import PastArticle
from riskwire.store.rows import (
    AlertHistory,
    AlertRow,
    Change,
    CommandRow,
    Counts,
    Cursor,
    StoryRow,
    TargetKind,
    TargetOrder,
    TargetRow,
    Trend,
)
from riskwire.store.writes import news as write_news
from riskwire.store.writes import risk as write_risk

_P = ParamSpec("_P")
_R = TypeVar("_R")

READERS = 4
"""Threads that read for the event loop."""


class Store:
    """An open store; `Store.open` makes one, `close` or a `with` block lets go of it."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._where = engine.url.database or engine.url.render_as_string(hide_password=True)
        self._keep_days = settings.store.keep_days
        self._keep_letters = settings.store.keep_dead_letters
        self._keep_mentions = settings.store.keep_mentions
        self._blind_after_s = settings.alerting.blind_after_s
        self._fresh_s = max(settings.alerting.windows_s)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-write")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")

    @classmethod
    def open(cls, settings: Settings, *, read_only: bool = False) -> Store:
        """Open the store of these settings; makes an empty one unless `read_only`.

        Raises:
            StoreError: there is none (read only), or what is there is not a store.
            StoreVersionError: it was written by a newer riskwire.
            SettingsError: `store.url` is not a URL of a store.
        """
        return cls(open_engine(settings, read_only=read_only), settings)

    def close(self) -> None:
        """Finish what is running and let go of the database."""
        self._writer.shutdown(wait=True)
        self._readers.shutdown(wait=True)
        self._engine.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def off_loop(self, method: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Call one of the reading methods on a thread of the store."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, lambda: method(*args, **kwargs))

    async def write_off_loop(self, method: Callable[_P, None], *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Call one of the writing methods on the thread that writes; a write that has begun ends even if this is
        cancelled."""
        await asyncio.get_running_loop().run_in_executor(self._writer, lambda: method(*args, **kwargs))

    # Writes

    def write_analyses(self, analyses: Iterable[Analysis]) -> None:
        """Keep the newest version of each article and whom it mentions."""
        with self._writing() as connection:
            write_news.write_analyses(connection, analyses, self._keep_mentions)
            self._forget(connection)

    def write_signals(self, signals: Iterable[Signal]) -> None:
        """Keep each signal once, by target, article and version; stories and targets follow."""
        with self._writing() as connection:
            write_news.write_signals(connection, signals)

    def write_trends(self, points: Iterable[TrendPoint]) -> None:
        """Keep each trend point by target, start and length."""
        with self._writing() as connection:
            write_risk.write_trends(connection, points)

    def write_alerts(self, alerts: Iterable[Alert]) -> None:
        """Keep every record of every episode."""
        with self._writing() as connection:
            write_risk.write_alerts(connection, alerts)

    def write_commands(self, commands: Iterable[Command]) -> None:
        """Keep what people decided."""
        with self._writing() as connection:
            write_risk.write_commands(connection, commands)

    def write_dead_letters(self, letters: Iterable[DeadLetter]) -> None:
        """Count dead letters and keep the newest."""
        with self._writing() as connection:
            write_risk.write_dead_letters(connection, letters, self._keep_letters)

    def go_with(self, log: int, *, anew: bool) -> None:
        """Go with the log of commands of this number; `anew`: what is here was read under another, so all of it is
        past for every command of this one."""
        with self._writing() as connection:
            command_log.go_with(connection, log, anew=anew)

    def forget(self) -> None:
        """Delete what is older than `store.keep_days` before the newest data; writing analyses does it too."""
        with self._writing() as connection:
            self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        if (cutoff := retention.due(connection, self._keep_days)) is not None:
            retention.forget_before(connection, cutoff)

    # Reads

    def alerts(
        self,
        *,
        status: StatusFilter | None = None,
        target: str | None = None,
        limit: int = 100,
        before: Cursor | None = None,
    ) -> list[AlertRow]:
        """The newest record of each alert, newest first; status `open` is all that are not resolved."""
        with self._reading() as connection:
            return read_alerts.list_alerts(connection, status, target, limit, before)

    def alerts_by_id(self, ids: Iterable[str]) -> list[AlertRow]:
        """The newest record of each of these alerts, oldest first."""
        with self._reading() as connection:
            return read_alerts.alerts_by_id(connection, ids)

    def alert(self, alert: str) -> AlertHistory | None:
        """An alert with all its records, oldest first, and the commands that name it; None if there is none."""
        with self._reading() as connection:
            return read_alerts.alert_history(connection, alert)

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
        """Targets; `query` is looked for in names, ids and groups; `spark` adds the scores of seven days by 6 h."""
        with self._reading() as connection:
            return read_targets.list_targets(
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
        """One target, or None."""
        with self._reading() as connection:
            rows = read_targets.targets_by_id(
                connection, [target], spark=spark, blind_after_s=self._blind_after_s, fresh_s=self._fresh_s
            )
        return rows[0] if rows else None

    def trend(
        self, target: str, *, since: datetime | None = None, until: datetime | None = None, step_s: int = 3_600
    ) -> Trend | None:
        """A target's trend in steps aligned to 1970, by default all of it; None for a target that is not known."""
        with self._reading() as connection:
            return read_targets.read_trend(connection, target, since, until, step_s)

    def stories(self, target: str | None = None, *, limit: int = 100, before: Cursor | None = None) -> list[StoryRow]:
        """The stories of a target (or of all), newest first, each by its newest article."""
        with self._reading() as connection:
            if target is None:
                return read_news.newest_stories(connection, limit, before)
            return read_news.stories_of(connection, target, limit, before)

    def past_of(
        self, target: str, *, keys: Sequence[str], entities: Sequence[str], also: Sequence[str], most: int, before: int
    ) -> list[PastArticle]:
        """The newest articles read before a command that mention one of these names or entities and have no signal of
        `target` (`read_mentions.articles_mentioning`)."""
        with self._reading() as connection:
            return read_mentions.articles_mentioning(connection, target, keys, entities, also, most, before)

    def stories_told(self, target: str, *, since: datetime, before: int) -> list[tuple[str, datetime]]:
        """The fingerprints of a target's stories that were read before a command and told since a time, and when each
        was last told."""
        with self._reading() as connection:
            return read_mentions.stories_told(connection, target, since, before)

    def command_log(self) -> CommandLog:
        """The log of commands that this store goes with, as far as it knows."""
        with self._reading() as connection:
            return command_log.command_log(connection)

    def watchlist_log(self, *, limit: int = 100, before: Cursor | None = None) -> list[CommandRow]:
        """What was decided of the watchlist, newest first."""
        with self._reading() as connection:
            return read_alerts.watchlist_commands(connection, limit, before)

    def newest(self) -> datetime | None:
        """The time of the newest data."""
        with self._reading() as connection:
            newest = newest_ms(connection)
        return None if newest is None else from_ms(newest)

    def counts(self) -> Counts:
        """How much the store holds."""
        with self._reading() as connection:

            def count(table: str, *conditions: object) -> int:
                query = select(func.count()).select_from(tables.metadata.tables[table])
                return connection.execute(query.where(*conditions)).scalar_one()  # type: ignore[arg-type]

            newest, oldest = newest_ms(connection), oldest_ms(connection)
            return Counts(
                articles=count("articles"),
                unsupported=count("articles", tables.articles.c.status == "unsupported"),
                signals=count("signals"),
                targets=count("targets"),
                trends=count("trends"),
                alerts=count("alert_heads"),
                open_alerts=count("alert_heads", tables.alert_heads.c.status != "resolved"),
                commands=count("commands"),
                dead_letters=write_risk.count_dead_letters(connection),
                blind=read_targets.count_blind(connection, self._blind_after_s),
                newest=None if newest is None else from_ms(newest),
                oldest=None if oldest is None else from_ms(oldest),
            )

    def changes(self, after: int, limit: int = 1_000) -> list[Change]:
        """What has changed after a number of the change sequence, each thing once, in order."""
        with self._reading() as connection:
            return changes_after(connection, after, limit)

    def last_change(self) -> int:
        """The newest number of the change sequence."""
        with self._reading() as connection:
            return last_change(connection)

    def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """The newest dead letters, newest first."""
        table = tables.dead_letters
        with self._reading() as connection:
            rows = connection.execute(select(table).order_by(table.c.n.desc()).limit(limit)).all()
        return [
            DeadLetter(
                stage=row.stage,
                topic=row.topic,
                partition=row.partition,
                offset=row.offset,
                error=row.error,
                at=from_ms(row.at_ms),
                record=row.record,
                encoding=row.encoding,
            )
            for row in rows
        ]

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with (
            reported(self._where),
            self._engine.connect().execution_options(writes=True) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with reported(self._where), self._engine.connect() as connection:
            yield connection
