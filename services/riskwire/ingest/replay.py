"""A replay publishes an archive as if its news were coming in: `seen_at` is `published_at`, ticks follow its time.

Lines go out in batches, each with the place in the archive, the clock and the item memory as one atomic step of the
publisher `replay`. What a line becomes depends on nothing but the lines before it, so a replay that was killed and
started again leaves the same records as one that was not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

from riskwire import metrics
from riskwire.bus import Bus, Outgoing, Publisher, broadcast, partition_of
from riskwire.errors import SchemaError
from riskwire.ingest.admission import admit
from riskwire.ingest.archive import Archive, ArchiveItem, Line, open_archive, read_line
from riskwire.ingest.documents import Limits
from riskwire.ingest.entry import Entry, FeedDocument
from riskwire.ingest.memory import ItemMemory
from riskwire.ingest.reading import Item, read_entries
from riskwire.schemas import Article, DeadLetter, Model, Tick, Topic, Utc
from riskwire.settings import IngestSettings, Settings

BATCH = 100
"""Lines in one atomic step."""

_FLUSH_BEFORE_S = 0.05
"""A wait of the pace longer than this first sends off what is ready."""


class Place(Model):
    """How far a replay of one archive has come."""

    line: int = 0
    stories: int = 0
    bad: int = 0
    published: int = 0
    closed: bool = False
    """The tick that closes the last buckets is out and nothing came after it."""


class ReplayClock(Model):
    """The time that replays have told, over all archives on this bus."""

    seen_at: Utc | None = None
    tick: Utc | None = None


@dataclass(frozen=True, slots=True)
class ReplayProgress:
    """How far a replay is: counts are from the archive's beginning, bytes of its file."""

    stories: int
    published: int
    bad: int
    read_bytes: int
    size_bytes: int
    seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a replay did; `resumed_at` is the line an earlier run had reached."""

    stories: int
    """Lines read in this run, bad ones included."""
    published: int
    bad: int
    resumed_at: int
    seen_at: datetime | None
    """The newest time on the log: the last article's, or the closing tick's."""

    @property
    def nothing_new(self) -> bool:
        """An earlier run had published all of it."""
        return self.stories == 0 and self.resumed_at > 0


@dataclass(slots=True)
class ReadLine:
    """A line and what it says: an item or the reason why not."""

    line: Line
    item: Item | None
    source: str = ""
    error: SchemaError | None = None


@dataclass(slots=True)
class Tape:
    """The pure core: turns read lines into records, moving its place, clock and memory on.

    Args:
        partitions: how many partitions `articles` has.
        salt: another one spreads the articles differently over the partitions.
    """

    place: Place
    clock: ReplayClock
    memory: ItemMemory
    settings: IngestSettings
    partitions: int
    name: str
    salt: int = 0
    records: list[Outgoing] = field(default_factory=list)

    def take(self, read: ReadLine) -> None:
        """Publish what a line says: a tick where time has passed, then its article where it is new."""
        self.place = self.place.model_copy(
            update={"line": read.line.number, "stories": self.place.stories + 1, "closed": False}
        )
        if read.item is None:
            self.place = self.place.model_copy(update={"bad": self.place.bad + 1})
            self.records.append(_dead_letter(read, self.name))
            return
        published_at = read.item.published_at
        assert published_at is not None
        seen_at = max(published_at, self.clock.seen_at or published_at)
        tick = self.clock.tick
        if tick is None or seen_at - tick >= timedelta(seconds=self.settings.tick_s):
            self.tell(seen_at)
        self.clock = self.clock.model_copy(update={"seen_at": seen_at})
        for article in admit([read.item], read.source, self.memory, seen_at, self.settings.backfill_after_s):
            self.records.append(self._outgoing(article))
            self.place = self.place.model_copy(update={"published": self.place.published + 1})

    def tell(self, moment: datetime) -> None:
        """A tick on every partition."""
        self.clock = ReplayClock(seen_at=moment, tick=moment)
        self.records.extend(broadcast(Topic.ARTICLES, Tick(seen_at=moment).to_bytes(), self.partitions))

    def close(self, after_s: float) -> None:
        """The last tick: far enough on that the last buckets close."""
        if self.place.closed or self.clock.seen_at is None or not self.place.stories:
            return
        self.tell(self.clock.seen_at + timedelta(seconds=after_s))
        self.place = self.place.model_copy(update={"closed": True})

    def _outgoing(self, article: Article) -> Outgoing:
        partition = partition_of(f"{self.salt}:{article.id}", self.partitions) if self.salt else None
        return Outgoing(Topic.ARTICLES, article.id, article.to_bytes(), partition)


async def replay(
    bus: Bus,
    archive: Path,
    settings: Settings,
    *,
    speed: float | None = None,
    limit: int | None = None,
    progress: Callable[[ReplayProgress], None] | None = None,
    partition_salt: int = 0,
) -> ReplayReport:
    """Publish an archive, going on where an earlier replay of it on this bus stopped.

    Args:
        bus: where `articles` and `dead-letters` are.
        archive: JSON lines, plain, .gz or .zst.
        settings: `ingest` for how items are read, `alerting` for how far the last tick must reach.
        speed: seconds of the archive in one real second; as fast as the stages read when None.
        limit: most stories (lines that are not blank), from the archive's beginning.
        progress: called after each step.
        partition_salt: another one spreads the articles differently over the partitions.

    Raises:
        RiskwireError: the archive is missing, not an archive (nothing was written), or breaks off (what was published
            before stays).
    """
    opened = await asyncio.to_thread(open_archive, archive)
    async with bus.publisher("replay") as publisher:
        state = await publisher.restore()
        key = f"archive:{opened.identity}"
        tape = Tape(
            place=Place.model_validate_json(state[key]) if key in state else Place(),
            clock=ReplayClock.model_validate_json(state["clock"]) if "clock" in state else ReplayClock(),
            memory=ItemMemory(state, settings.ingest.remember),
            settings=settings.ingest,
            partitions=bus.partitions(Topic.ARTICLES),
            name=archive.name,
            salt=partition_salt,
        )
        start = tape.place
        latest = await asyncio.to_thread(latest_of, opened, settings.ingest, datetime.now(UTC))
        run = _Run(opened, publisher, tape, key, settings, _Pace(speed), progress, latest)
        await run.all(limit)
        return ReplayReport(
            stories=tape.place.stories - start.stories,
            published=tape.place.published - start.published,
            bad=tape.place.bad - start.bad,
            resumed_at=start.line,
            seen_at=tape.clock.seen_at,
        )


@dataclass(slots=True)
class _Pace:
    """Holds a replay to `speed` archive seconds a second, from its first article on."""

    speed: float | None
    _origin: tuple[datetime, float] | None = None

    def wait_s(self, moment: datetime) -> float:
        """Seconds until an item of this moment is due."""
        if self.speed is None:
            return 0.0
        if self._origin is None:
            self._origin = (moment, time.monotonic())
        began, at = self._origin
        return at + (moment - began).total_seconds() / self.speed - time.monotonic()


@dataclass(slots=True)
class _Run:
    archive: Archive
    publisher: Publisher
    tape: Tape
    key: str
    settings: Settings
    pace: _Pace
    progress: Callable[[ReplayProgress], None] | None
    latest: datetime | None

    async def all(self, limit: int | None) -> None:
        most = None if limit is None else max(0, limit - self.tape.place.stories)
        lines = islice(self._remaining(), most)
        while batch := await asyncio.to_thread(self._next, lines):
            for read in batch:
                await self._keep_pace(read)
                self.tape.take(read)
            await self._send(batch[-1].line.read)
        alerting = self.settings.alerting
        self.tape.close(alerting.bucket_s + alerting.lateness_s + 61)
        if self.tape.records:
            await self._send(self.archive.size)

    def _remaining(self) -> Iterator[Line]:
        done = self.tape.place.line
        return (line for line in self.archive.lines(self.settings.ingest.max_line) if line.number > done)

    def _next(self, lines: Iterator[Line]) -> list[ReadLine]:
        return read_lines(list(islice(lines, BATCH)), self.archive.path.name, self.settings.ingest, self.latest)

    async def _keep_pace(self, read: ReadLine) -> None:
        if read.item is None or read.item.published_at is None:
            return
        wait_s = self.pace.wait_s(read.item.published_at)
        if wait_s > _FLUSH_BEFORE_S:
            await self._send(read.line.read)
            await asyncio.sleep(wait_s)

    async def _send(self, read_bytes: int) -> None:
        tape = self.tape
        state: dict[str, bytes | None] = dict(tape.memory.take_changes())
        state[self.key] = tape.place.to_bytes()
        state["clock"] = tape.clock.to_bytes()
        records, tape.records = tape.records, []
        await self.publisher.publish(records, state)
        _count(records)
        if self.progress is not None:
            place = tape.place
            self.progress(
                ReplayProgress(
                    place.stories, place.published, place.bad, read_bytes, self.archive.size, tape.clock.seen_at
                )
            )


def read_lines(
    lines: Sequence[Line], name: str, settings: IngestSettings, latest: datetime | None = None
) -> list[ReadLine]:
    """Parse, clean and identify lines; one that is of after `latest` is bad. Pure."""
    return [_read(line, name, settings, latest) for line in lines]


def latest_of(archive: Archive, settings: IngestSettings, now: datetime) -> datetime | None:
    """The latest time that an item of an archive may have: a day from `now`.

    One wrong date would carry the clock of every stage past all other news. An archive that begins in the future plays
    there, as the demo does, without bound.
    """
    latest = now + timedelta(days=1)
    for line in islice(archive.lines(settings.max_line), BATCH):
        try:
            return None if read_line(line, archive.path.name).published_at > latest else latest
        except SchemaError:
            continue
    return latest


def _read(line: Line, name: str, settings: IngestSettings, latest: datetime | None) -> ReadLine:
    try:
        found = read_line(line, name)
        if latest is not None and found.published_at > latest:
            raise SchemaError(
                "published_at: lies in the future", value=str(found.published_at), where=f"{name}, line {line.number}"
            )
        source = found.source.strip()[:100] or _host(found.url) or name
        items = _items(found, source, settings)
        if not items:
            what = "title: nothing is left of it and the text once they are cleaned"
            raise SchemaError(what, value=found.title, where=f"{name}, line {line.number}")
    except SchemaError as error:
        return ReadLine(line, None, error=error)
    return ReadLine(line, items[0], source)


def _items(found: ArchiveItem, source: str, settings: IngestSettings) -> tuple[Item, ...]:
    bodies = tuple(body for body in (found.summary, found.text) if body)
    entry = Entry(link=found.url, title=found.title, bodies=bodies, published=found.published_at)
    document = FeedDocument("archive", (entry,), language=found.language)
    limits = Limits(text=settings.max_text)
    return read_entries(document, source, limits, settings.min_language_confidence).items


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").removeprefix("www.")[:100]
    except ValueError:
        return ""


def _dead_letter(read: ReadLine, name: str) -> Outgoing:
    topic = f"archive:{name}"
    letter = DeadLetter(
        stage="replay",
        topic=topic,
        partition=0,
        offset=read.line.number,
        error=f"SchemaError: {read.error}",
        at=datetime.now(UTC),
        record=read.line.raw.decode("utf-8", "backslashreplace"),
    )
    return Outgoing(Topic.DEAD_LETTERS, topic, letter.to_bytes())


def _count(records: Sequence[Outgoing]) -> None:
    for record in records:
        if record.topic == Topic.DEAD_LETTERS:
            metrics.DEAD_LETTERS.labels(stage="replay").inc()
        elif record.key is not None:
            metrics.ARTICLES.labels(kind="replayed").inc()
