"""The ingest stage: each task owns the feeds of one partition of the topic `feeds`, polls them and publishes articles.

Articles, validators, item memory, ticks and the read position are committed in the steps of one assignment. A document
with many items is published in several steps, and its validators are committed after the last step. A task that is
killed in between reads the document again, and the item memory drops the items that were published already.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any

import structlog
from pydantic import TypeAdapter

from riskwire import metrics
from riskwire.bus import Assignment, Message, Outgoing, broadcast
from riskwire.errors import FetchError, RiskwireError, SchemaError
from riskwire.ingest.admission import admit
from riskwire.ingest.article_isolation import ArticleIsolation, ArticlePart
from riskwire.ingest.feeds.dating import with_date_counts
from riskwire.ingest.feeds.roster import Roster
from riskwire.ingest.feeds.schedule import PollResult, PollState, after_poll
from riskwire.ingest.fetching.fetch import FetchedDocument, Fetcher
from riskwire.ingest.fetching.headers import read_headers
from riskwire.ingest.memory import ItemMemory
from riskwire.ingest.outage import Outage
from riskwire.ingest.parsing.items import FeedItem
from riskwire.ingest.parsing.parser import DocumentParser
from riskwire.ingest.poll_reports import count_dates, log_changes, show_feeds
from riskwire.pipeline import INGEST, Topic
from riskwire.records import Article, Feed, Tick, Utc, read_record
from riskwire.settings import Settings
from riskwire.stage import commit_with_dead_letters, dead_letter
from riskwire.steady_clock import SteadyClock, utc_now

log = structlog.get_logger(__name__)

WORKER = f"{socket.gethostname()}, process {os.getpid()}"
"""The name of this process in the status of a feed."""

_MAX_WAIT_S = 1.0
"""The longest wait before the next look for feeds that are due."""
_MIN_WAIT_S = 0.02

_FEEDS = TypeAdapter(Feed)
_CLOCK_KEY = "clock"
_CLOCK: TypeAdapter[datetime] = TypeAdapter(Utc)


class IngestStage:
    """Polls feeds. Its fetcher and its parser process are open while its context is."""

    spec = INGEST

    def __init__(self, settings: Settings, article_partitions: int, *, clock: Callable[[], datetime] = utc_now) -> None:
        """Prepares the fetcher and the parser process, which start when the context of the stage is entered.

        Args:
            article_partitions: the number of partitions of `articles`, each of which gets ticks.
            clock: returns the time of day in UTC.
        """
        self._settings = settings
        self._article_partitions = article_partitions
        self._clock = SteadyClock(clock)
        self._outage = Outage()
        self._fetcher = Fetcher(settings.ingest)
        self._parser = DocumentParser(settings.ingest)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> IngestStage:
        await self._stack.enter_async_context(self._fetcher)
        await self._stack.enter_async_context(self._parser)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def open(self, assignment: Assignment, state: Mapping[str, bytes]) -> IngestTask:
        """Returns a task for a partition, which continues the polls of the committed state."""
        return IngestTask(
            assignment,
            state,
            self._settings,
            self._article_partitions,
            self._fetcher,
            self._parser,
            self._clock,
            self._outage,
        )


@dataclass(frozen=True, slots=True)
class _NewArticle(ArticlePart):
    """An article to publish, and the changes of the item memory that must be committed with it."""

    memory_changes: dict[str, bytes | None]


class IngestTask:
    """The feeds of one partition."""

    def __init__(
        self,
        assignment: Assignment,
        state: Mapping[str, bytes],
        settings: Settings,
        article_partitions: int,
        fetcher: Fetcher,
        parser: DocumentParser,
        clock: SteadyClock,
        outage: Outage | None = None,
    ) -> None:
        """Restores the feeds, the published items and the clock of a partition from its committed state.

        Args:
            assignment: the partition of `feeds`; steps are committed through it.
            article_partitions: the number of partitions of `articles`, each of which gets ticks.
            fetcher: shared with the tasks of other partitions, like `parser`, `clock` and `outage`.
        """
        self._assignment = assignment
        self._settings = settings
        self._article_partitions = article_partitions
        self._fetcher = fetcher
        self._parser = parser
        self._clock = clock
        if _CLOCK_KEY in state:
            self._clock.not_before(_CLOCK.validate_json(state[_CLOCK_KEY]))
        self._memory = ItemMemory(state, settings.ingest.remember)
        self._roster = Roster(state, utc_now(), time.monotonic())
        self._last_tick: datetime | None = None
        self._polls: set[asyncio.Task[PollResult]] = set()
        self._isolation = ArticleIsolation(INGEST.name)
        self._outage = Outage() if outage is None else outage
        self._log = log.bind()

    def start_effects(self) -> Collection[asyncio.Task[Any]]:
        """Starts the polls that are due. Returns the running polls."""
        self._start_polls()
        return self._polls

    def max_wait_s(self) -> float:
        """Returns the seconds until a feed is due, at most a quarter of `tick_s` so that ticks are on time."""
        next_poll_s = self._roster.next_due_at() - time.monotonic()
        return min(max(next_poll_s, _MIN_WAIT_S), self._settings.ingest.tick_s / 4, _MAX_WAIT_S)

    async def step(self, batch: Sequence[Message]) -> None:
        """Takes feed records, publishes the items of finished polls, and publishes a tick when one is due.

        A tick is a record that tells the other stages the time; any of the committed steps may carry it.

        Args:
            batch: records of the topic `feeds`; each adds, changes or disables a feed.
        """
        await self._take(batch)
        for poll in [poll for poll in self._polls if poll.done()]:
            self._polls.discard(poll)
            await self._finish(poll.result())
        await self._commit([], {})

    async def close(self) -> None:
        """Cancels the running polls."""
        show_feeds((), self._assignment.partition)
        for poll in self._polls:
            poll.cancel()
        await asyncio.gather(*self._polls, return_exceptions=True)

    def _start_polls(self) -> None:
        """Starts a poll of each feed that is due, as far as the fetcher has a free connection for its host.

        The connection is freed when the poll ends. A feed without one stays due.
        """
        for feed in self._roster.due_feeds(time.monotonic()):
            if self._fetcher.acquire(feed.url):
                self._roster.start_poll(feed)
                poll = asyncio.create_task(self._poll(feed, self._roster.poll_state(feed)), name=f"poll-{feed.id}")
                poll.add_done_callback(partial(_release, self._fetcher, feed.url))
                self._polls.add(poll)

    async def _poll(self, feed: Feed, state: PollState) -> PollResult:
        """Fetches and parses a feed once, and returns the result; an error is part of the result.

        The document is not parsed if its hash equals that of the last poll.

        Args:
            state: the outcome of the last poll of the feed: HTTP validators, which make the request conditional, and
            the
                hash of the document.
        """
        try:
            headers = {"headers": read_headers(Path(feed.headers_file))} if feed.headers_file else {}
            fetched = await self._fetcher.fetch(feed.url, state.validators, **headers)
            if not isinstance(fetched, FetchedDocument):
                return PollResult(feed, fetched)
            document_hash = blake2b(fetched.body, digest_size=16).hexdigest()
            if document_hash == state.document_hash:
                return PollResult(feed, fetched, document_hash=document_hash)
            return PollResult(feed, fetched, await self._parser.parse(feed, fetched), document_hash)
        except RiskwireError as error:
            return PollResult(feed, error=error)
        except Exception as error:
            log.exception("poll failed with an unexpected error", feed=feed.id)
            return PollResult(feed, error=FetchError(f"unexpected error: {error!r}", where=feed.url))

    async def _take(self, messages: Sequence[Message]) -> None:
        """Applies records of the feed list to the roster (the feeds of this partition), and commits both.

        A record that cannot be read becomes a dead letter.
        """
        if not messages:
            return
        results: list[Outgoing] = []
        for message in messages:
            try:
                self._roster.put(read_record(_FEEDS, message.value, message.where), time.monotonic())
            except SchemaError as error:
                log.error("feed record to dead letters", where=message.where, error=str(error))
                results.append(dead_letter(INGEST.name, message, error))
        show_feeds(self._roster.polls(), self._assignment.partition)
        await self._commit(results, self._roster.take_changes(), position=messages[-1].offset + 1)

    async def _finish(self, poll: PollResult) -> None:
        """Publishes the items of a finished poll and commits the feed's status and next poll time.

        Ignores the result if the feed was removed or got another URL during the poll.
        """
        feed = poll.feed
        metrics.FETCHES.labels(outcome=poll.outcome).inc()
        if not self._roster.has(feed):
            return
        before = self._roster.poll_state(feed)
        after, wait_s = after_poll(before, poll, self._settings.ingest.backoff_max_s, self._clock.now(), WORKER)
        if poll.parsed is not None:
            items, first = poll.parsed.items, not before.document_hash
            articles = await self._publish(feed, items, first=first)
            after = with_date_counts(after, items, articles, self._clock.now(), first=first)
        log_changes(before, after, poll, wait_s, self._outage, len(self._roster))
        self._log.debug("feed polled", feed=feed.id, outcome=poll.outcome, again_in_s=round(wait_s))
        self._roster.finish_poll(feed, after, wait_s, self._clock.now(), time.monotonic())
        show_feeds(self._roster.polls(), self._assignment.partition)
        await self._commit([], self._roster.take_changes())

    async def _publish(self, feed: Feed, items: Sequence[FeedItem], *, first: bool) -> list[Article]:
        """Publishes the items of a document that are new or changed, in steps of at most `bus.batch` items.

        Returns the articles.

        If the bus refuses a step, its articles are published one by one, and a refused article becomes a dead letter.

        Args:
            first: whether this is the first document read of the feed. An item without a date is then marked as
                backfill, because it may be old.
        """
        max_batch = self._settings.bus.batch
        published: list[Article] = []
        for start in range(0, len(items), max_batch):
            now = self._clock.now()
            new: list[_NewArticle] = []
            for ordinal, item in enumerate(items[start : start + max_batch], start + 1):
                backfill_after_s = self._settings.ingest.backfill_after_s
                articles = admit([item], feed.id, self._memory, now, backfill_after_s, first=first)
                count_dates(item, articles, now)
                published += articles
                new += [
                    _NewArticle(article, self._origin(feed, ordinal, article), self._memory.take_changes())
                    for article in articles
                ]
            try:
                await self._publish_step(new)
            except SchemaError as error:
                log.warning("articles were refused, publishing them one by one", feed=feed.id, error=str(error))
                # No tick is published in between: the articles after it would be older than the tick.
                await self._isolation.publish_each(new, partial(self._publish_step, tick=False))
            else:
                if new:
                    self._isolation.accepted()
        return published

    async def _publish_step(
        self, new: Sequence[_NewArticle], refused: Sequence[tuple[_NewArticle, Outgoing]] = (), *, tick: bool = True
    ) -> None:
        """Publishes articles, and the dead letters of refused articles, as one step.

        Refused articles are remembered as well, so that the next poll does not try them again.

        Args:
            new: articles with the changes of the item memory, which remembers what was published.
            refused: articles that the bus refused, each with its dead letter.
            tick: whether the step may carry a tick, the record that tells later stages the time.

        Raises:
            SchemaError: the bus refuses an article; the step had no effect.
        """
        articles = [part.article for part in new if part.article is not None]
        results = [*(dead for _, dead in refused), *map(_outgoing, articles)]
        state: dict[str, bytes | None] = {}
        for part in (*(part for part, _ in refused), *new):
            state |= part.memory_changes
        await self._commit(results, state, tick=tick)
        for article in articles:
            metrics.ARTICLES.labels(kind="new" if article.version == 1 else "revised").inc()
            self._log.debug(
                "article published",
                article=article.id,
                version=article.version,
                feed=article.source,
                backfill=article.backfill,
            )

    def _origin(self, feed: Feed, ordinal: int, article: Article) -> Message:
        """Returns an article's origin as a message, from which a dead letter of the article can be made.

        Args:
            ordinal: the number of the item in its document, from 1; it becomes the offset.
        """
        return Message(f"feed:{feed.id}", self._assignment.partition, ordinal, article.id, article.to_bytes())

    async def _commit(
        self,
        results: Sequence[Outgoing],
        state: Mapping[str, bytes | None],
        *,
        position: int | None = None,
        tick: bool = True,
    ) -> None:
        """Commits one atomic step, with a tick when one is due. A step without any content is not committed.

        A tick is a record that tells the other stages the time while no article arrives; every partition of `articles`
        gets it. The state of each step has the time of the clock.

        Args:
            results: records to publish.
            state: changes of the state; None deletes a key.
            position: the new read position; None leaves it unchanged.
            tick: whether a tick may be published in this step.
        """
        now = self._clock.now()
        tick_s = timedelta(seconds=self._settings.ingest.tick_s)
        due = tick and (self._last_tick is None or now - self._last_tick >= tick_s)
        if due:
            results = [*results, *broadcast(Topic.ARTICLES, Tick(seen_at=now).to_bytes(), self._article_partitions)]
        if results or state or position is not None:
            position = self._assignment.position or 0 if position is None else position
            clock = {_CLOCK_KEY: _CLOCK.dump_json(now)}
            with metrics.STAGE_COMMIT_SECONDS.labels(stage=INGEST.name).time():
                await commit_with_dead_letters(self._assignment, position, results, {**state, **clock})
        if due:
            self._last_tick = now


def _release(fetcher: Fetcher, url: str, _: asyncio.Task[PollResult]) -> None:
    """Frees the fetch that was reserved for a poll which is done."""
    fetcher.release(url)


def _outgoing(article: Article) -> Outgoing:
    """Returns an article as a record of `articles`."""
    return Outgoing(Topic.ARTICLES, article.id, article.to_bytes())
