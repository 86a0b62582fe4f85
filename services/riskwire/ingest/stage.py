"""ingest as a stage: each task has the feeds of one partition of the topic `feeds`, polls them and publishes.

Articles, validators, item memory, ticks and the read position go out in the steps of one assignment. A document of
many items goes out in several steps; its validators are in the last, so that a task that is killed in between reads it
again and the memory drops what is out already.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from hashlib import blake2b

import structlog
from pydantic import TypeAdapter

from riskwire import metrics
from riskwire.bus import Assignment, Bus, Message, Outgoing, broadcast
from riskwire.errors import BusError, FetchError, RiskwireError, SchemaError
from riskwire.ingest.admission import admit
from riskwire.ingest.feeds.roster import Roster
from riskwire.ingest.feeds.schedule import Polled, PollState, settle
from riskwire.ingest.fetching.fetch import Document, Fetcher
from riskwire.ingest.memory import ItemMemory
from riskwire.ingest.parsing.items import Item, Reading
from riskwire.ingest.parsing.reader import Reader
from riskwire.ingest.parsing.times import IngestClock, utc_now
from riskwire.ingest.piecemeal import Piece, Piecemeal
from riskwire.pipeline import Topic
from riskwire.records import Article, Feed, Tick, Utc, read_record
from riskwire.settings import Settings
from riskwire.stage import commit_with_dead_letters, dead_letter

log = structlog.get_logger(__name__)

STAGE = "ingest"
WORKER = f"{socket.gethostname()}, process {os.getpid()}"
"""This process, as operators find it."""

_LISTEN_S = 1.0
"""How long one look for new feed records lasts."""

_FEEDS = TypeAdapter(Feed)


async def run_ingest(bus: Bus, settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> None:
    """Poll the feeds of every partition of `feeds` that is assigned, until the bus is closed.

    Raises:
        RiskwireError: when it cannot go on; a feed that fails is no reason.
    """
    shared = IngestClock(clock)
    async with Fetcher(settings.ingest) as fetcher, Reader(settings.ingest) as reader, asyncio.TaskGroup() as group:
        async for assignment in bus.assignments(STAGE, Topic.FEEDS):
            task = FeedTask(bus, assignment, settings, fetcher, reader, shared)
            group.create_task(task.run(), name=f"{STAGE}-{assignment.partition}")


@dataclass(frozen=True, slots=True)
class _New(Piece):
    """An article to publish, and what is to be remembered of it."""

    remembered: dict[str, bytes | None]


class FeedTask:
    """The feeds of one partition."""

    def __init__(
        self,
        bus: Bus,
        assignment: Assignment,
        settings: Settings,
        fetcher: Fetcher,
        reader: Reader,
        clock: IngestClock,
    ) -> None:
        self._assignment = assignment
        self._partitions = bus.partitions(Topic.ARTICLES)
        self._settings = settings
        self._fetcher = fetcher
        self._reader = reader
        self._clock = clock
        self._position = 0
        self._told: datetime | None = None
        self._polls: set[asyncio.Task[Polled]] = set()
        self._piecemeal = Piecemeal(STAGE)

    async def run(self) -> None:
        """Until the partition is someone else's or the bus is closed."""
        try:
            state = await self._assignment.restore()
        except BusError:
            if self._assignment.revoked:  # given to another while it was being restored
                return
            raise
        if "clock" in state:
            self._clock.not_before(_CLOCK.validate_json(state["clock"]))
        self._position = int(state.get("position", b"0"))
        self._memory = ItemMemory(state, self._settings.ingest.remember)
        self._roster = Roster(state, utc_now(), time.monotonic())
        del state
        listening = self._listen()
        try:
            while not self._assignment.revoked:
                metrics.STAGE_PROGRESS.labels(stage=STAGE).set_to_current_time()
                self._start_polls()
                waiting: set[asyncio.Task[Polled] | asyncio.Task[Sequence[Message]]] = {listening, *self._polls}
                done, _ = await asyncio.wait(waiting, timeout=self._idle_s(), return_when=asyncio.FIRST_COMPLETED)
                if listening in done:
                    await self._take(listening.result())
                    listening = self._listen()
                for poll in [each for each in self._polls if each in done]:
                    self._polls.discard(poll)
                    await self._finish(poll.result())
                await self._commit([], {})
        except BusError:
            if not self._assignment.revoked:
                raise
        finally:
            await _cancelled(listening, *self._polls)

    def _listen(self) -> asyncio.Task[Sequence[Message]]:
        return asyncio.create_task(_fetched(self._assignment, self._settings.bus.batch), name=f"{STAGE}-feeds")

    def _start_polls(self) -> None:
        for feed in self._roster.due(time.monotonic()):
            if self._fetcher.enter(feed.url):
                self._roster.started(feed)
                poll = asyncio.create_task(self._poll(feed, self._roster.poll_of(feed)), name=f"poll-{feed.id}")
                poll.add_done_callback(partial(_leave, self._fetcher, feed.url))
                self._polls.add(poll)

    def _idle_s(self) -> float:
        return min(max(self._roster.next_due() - time.monotonic(), 0.02), self._settings.ingest.tick_s / 4, _LISTEN_S)

    async def _poll(self, feed: Feed, state: PollState) -> Polled:
        try:
            answer = await self._fetcher.fetch(feed.url, state.validators)
            if not isinstance(answer, Document):
                return Polled(feed, answer)
            body = blake2b(answer.body, digest_size=16).hexdigest()
            if body == state.body:
                return Polled(feed, answer, body=body)
            return Polled(feed, answer, await self._reader.read(feed, answer), body)
        except RiskwireError as error:
            return Polled(feed, error=error)
        except Exception as error:
            log.exception("a poll failed in a way that was not foreseen", feed=feed.id)
            return Polled(feed, error=FetchError(f"unforeseen: {error!r}", where=feed.url))

    async def _take(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        results: list[Outgoing] = []
        state: dict[str, bytes | None] = {}
        for message in messages:
            try:
                feed = read_record(_FEEDS, message.value, message.where)
                state |= self._roster.put(feed, time.monotonic())
            except SchemaError as error:
                log.error("feed record to dead letters", where=message.where, error=str(error))
                results.append(dead_letter(STAGE, message, error))
        self._position = messages[-1].offset + 1
        state["position"] = str(self._position).encode()
        await self._commit(results, state)
        metrics.STAGE_RECORDS.labels(stage=STAGE).inc(len(messages))

    async def _finish(self, polled: Polled) -> None:
        feed = polled.feed
        metrics.FETCHES.labels(outcome=polled.outcome).inc()
        if not self._roster.holds(feed):
            return
        before = self._roster.poll_of(feed)
        after, wait_s = settle(before, polled, self._settings.ingest.backoff_max_s, utc_now(), WORKER)
        _tell(before, after, polled, wait_s)
        await self._publish(feed, polled.reading.items if polled.reading else (), first=not before.body)
        await self._commit([], self._roster.settled(feed, after, wait_s, utc_now(), time.monotonic()))

    async def _publish(self, feed: Feed, items: Sequence[Item], *, first: bool) -> None:
        """The new ones of a document's items, in steps of at most a batch."""
        most = self._settings.bus.batch
        for start in range(0, len(items), most):
            now = self._clock.now()
            new: list[_New] = []
            for ordinal, item in enumerate(items[start : start + most], start + 1):
                backfill_after_s = self._settings.ingest.backfill_after_s
                articles = admit([item], feed.id, self._memory, now, backfill_after_s, first=first)
                new += [
                    _New(article, self._origin(feed, ordinal, article), self._memory.take_changes())
                    for article in articles
                ]
            try:
                await self._publish_step(new)
            except SchemaError as error:
                log.warning("articles were refused, publishing them one by one", feed=feed.id, error=str(error))
                # No tick comes in between: what is behind it would be older.
                await self._piecemeal.publish(new, partial(self._publish_step, tick=False))
            else:
                if new:
                    self._piecemeal.went_well()

    async def _publish_step(
        self, new: Sequence[_New], dead: Sequence[tuple[_New, Outgoing]] = (), *, tick: bool = True
    ) -> None:
        """One step: articles to publish, and those that are only remembered (the next poll does not bring them back),
        each with its dead letter."""
        articles = [one.article for one in new if one.article is not None]
        results = [*(letter for _, letter in dead), *map(_outgoing, articles)]
        remembered = [one.remembered for one in (*(one for one, _ in dead), *new)]
        await self._commit(results, {key: value for each in remembered for key, value in each.items()}, tick=tick)
        for article in articles:
            metrics.ARTICLES.labels(kind="new" if article.version == 1 else "revised").inc()

    def _origin(self, feed: Feed, ordinal: int, article: Article) -> Message:
        """Where an article came from: which item of its document it is, from 1."""
        return Message(f"feed:{feed.id}", self._assignment.partition, ordinal, article.id, article.to_bytes())

    async def _commit(self, results: list[Outgoing], state: dict[str, bytes | None], *, tick: bool = True) -> None:
        """One atomic step, with a tick where one is due; none where there is nothing to say."""
        now = self._clock.now()
        due = tick and (self._told is None or now - self._told >= timedelta(seconds=self._settings.ingest.tick_s))
        if due:
            results = [*results, *broadcast(Topic.ARTICLES, Tick(seen_at=now).to_bytes(), self._partitions)]
        if results or state:
            state["clock"] = _CLOCK.dump_json(now)
            await commit_with_dead_letters(self._assignment, self._position, results, state)
        if due:
            self._told = now


_CLOCK: TypeAdapter[datetime] = TypeAdapter(Utc)


def _leave(fetcher: Fetcher, url: str, _: asyncio.Task[Polled]) -> None:
    fetcher.leave(url)


async def _fetched(assignment: Assignment, most: int) -> Sequence[Message]:
    return await assignment.fetch(most, _LISTEN_S)


async def _cancelled(*tasks: asyncio.Task[Polled] | asyncio.Task[Sequence[Message]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _outgoing(article: Article) -> Outgoing:
    return Outgoing(Topic.ARTICLES, article.id, article.to_bytes())


def _tell(before: PollState, after: PollState, polled: Polled, wait_s: float) -> None:
    """Log what changed, count what was left out."""
    feed = polled.feed
    if after.problem != before.problem:
        if after.problem == "gone":
            log.warning("feed is gone for good (410), it is polled no more", feed=feed.id, url=feed.url)
        elif after.problem:
            wait = round(wait_s)
            log.warning("feed fails", feed=feed.id, outcome=after.problem, error=polled.trouble, again_in_s=wait)
        else:
            log.info("feed is back", feed=feed.id)
    if after.moved_to and after.moved_to != before.moved_to:
        log.warning("feed has moved for good, change its url in the feed list", feed=feed.id, to=after.moved_to)
    if polled.reading is not None:
        _count(polled.reading)
        if after.faulty and not before.faulty:
            log.warning("feed was read in part", feed=feed.id, fault=polled.reading.fault)


def _count(reading: Reading) -> None:
    for reason, entries in reading.skipped.items():
        metrics.SKIPPED.labels(reason=reason).inc(entries)
    if reading.fault:
        metrics.FAULTY.inc()
