"""What the lines of an archive become: records in order, and how far the replay is behind each. Pure.

What a line becomes depends on nothing but the lines before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from urllib.parse import urlsplit

from riskwire.bus import Message, Outgoing, broadcast, partition_of
from riskwire.errors import SchemaError
from riskwire.ingest.admission import admit
from riskwire.ingest.memory import ItemMemory
from riskwire.ingest.parsing.documents import Limits
from riskwire.ingest.parsing.entry import Entry, FeedDocument
from riskwire.ingest.parsing.items import Item, read_entries
from riskwire.ingest.piecemeal import Piece
from riskwire.ingest.replay.archive import Archive, ArchiveItem, Line, read_line
from riskwire.pipeline import Topic
from riskwire.records import Article, Record, Tick, Utc
from riskwire.settings import IngestSettings
from riskwire.stage import dead_letter

STAGE = "replay"

_LOOKED_AT = 100
"""Lines that say whether an archive begins in the future."""


class Place(Record):
    """How far a replay of one archive has come."""

    line: int = 0
    stories: int = 0
    bad: int = 0
    published: int = 0
    closed: bool = False
    """The tick that closes the last buckets is out and nothing came after it."""

    def less(self, refused: int) -> Place:
        """The same, of whose articles some were refused and went to the dead letters."""
        return self.model_copy(update={"bad": self.bad + refused, "published": self.published - refused})


class ReplayClock(Record):
    """The time that replays have told, over all archives on this bus."""

    seen_at: Utc | None = None
    tick: Utc | None = None


@dataclass(slots=True)
class ReadLine:
    """A line and what it says: an item or the reason why not."""

    line: Line
    item: Item | None
    source: str = ""
    error: SchemaError | None = None


@dataclass(frozen=True, slots=True)
class Taken(Piece):
    """What a line has become: records that go out whatever becomes of its article, and how the replay stands then."""

    records: tuple[Outgoing, ...]
    remembered: dict[str, bytes | None]
    place: Place
    clock: ReplayClock


@dataclass(slots=True)
class Tape:
    """The pure core: turns read lines into what goes out, moving its place, clock and memory on.

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
    taken: list[Taken] = field(default_factory=list)
    """What has not been sent yet."""

    def take(self, read: ReadLine) -> None:
        """Publish what a line says: a tick where time has passed, then its article where it is new."""
        self.place = self.place.model_copy(
            update={"line": read.line.number, "stories": self.place.stories + 1, "closed": False}
        )
        origin = Message(f"archive:{self.name}", 0, read.line.number, None, read.line.raw)
        if read.item is None:
            self.place = self.place.model_copy(update={"bad": self.place.bad + 1})
            assert read.error is not None
            self._add(None, origin, [dead_letter(STAGE, origin, read.error)])
            return
        published_at = read.item.published_at
        assert published_at is not None
        seen_at = max(published_at, self.clock.seen_at or published_at)
        tick = self.clock.tick
        ticks: Iterable[Outgoing] = ()
        if tick is None or seen_at - tick >= timedelta(seconds=self.settings.tick_s):
            ticks = self._tell(seen_at)
        self.clock = self.clock.model_copy(update={"seen_at": seen_at})
        admitted = admit([read.item], read.source, self.memory, seen_at, self.settings.backfill_after_s)
        self.place = self.place.model_copy(update={"published": self.place.published + len(admitted)})
        self._add(admitted[0] if admitted else None, origin, ticks)

    def close(self, after_s: float) -> None:
        """The last tick: far enough on that the last buckets close."""
        if self.place.closed or self.clock.seen_at is None or not self.place.stories:
            return
        ticks = self._tell(self.clock.seen_at + timedelta(seconds=after_s))
        self.place = self.place.model_copy(update={"closed": True})
        self._add(None, Message(f"archive:{self.name}", 0, self.place.line, None, b""), ticks)

    def refused(self, articles: int) -> None:
        """Articles of what has been taken could not be published."""
        self.place = self.place.less(articles)

    def outgoing(self, article: Article) -> Outgoing:
        """The record of an article."""
        partition = partition_of(f"{self.salt}:{article.id}", self.partitions) if self.salt else None
        return Outgoing(Topic.ARTICLES, article.id, article.to_bytes(), partition)

    def _tell(self, moment: datetime) -> Iterable[Outgoing]:
        """A tick on every partition."""
        self.clock = ReplayClock(seen_at=moment, tick=moment)
        return broadcast(Topic.ARTICLES, Tick(seen_at=moment).to_bytes(), self.partitions)

    def _add(self, article: Article | None, origin: Message, records: Iterable[Outgoing]) -> None:
        changes = self.memory.take_changes()
        self.taken.append(Taken(article, origin, tuple(records), changes, self.place, self.clock))


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
    for line in islice(archive.lines(settings.max_line), _LOOKED_AT):
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
