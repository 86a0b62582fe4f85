"""Converts the lines of an archive to records: ticks, articles and dead letters, in order. Pure.

The records of a line depend only on the lines before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from riskwire.bus import Message, Outgoing, broadcast, partition_of
from riskwire.ingest.admission import admit
from riskwire.ingest.article_isolation import ArticlePart
from riskwire.ingest.memory import ItemMemory
from riskwire.ingest.replay.lines import ParsedLine
from riskwire.pipeline import Topic
from riskwire.records import Article, Record, Tick, Utc
from riskwire.settings import IngestSettings
from riskwire.stage import dead_letter

STAGE = "replay"


class ReplayPosition(Record):
    """The position of a replay in one archive, and the counts of all its lines so far.

    Attributes:
        line: the number of the last converted line.
        stories: lines that were not blank.
        bad: lines that became a dead letter.
        published: articles.
        closed: whether the closing tick was published after the last line.
    """

    line: int = 0
    stories: int = 0
    bad: int = 0
    published: int = 0
    closed: bool = False

    def with_refused(self, articles: int) -> ReplayPosition:
        """Returns this position, with a number of published articles counted as bad instead."""
        return self.model_copy(update={"bad": self.bad + articles, "published": self.published - articles})


class ReplayClock(Record):
    """The time of the records that replays have published, over all archives on this bus.

    Attributes:
        seen_at: the newest `seen_at` of an article or tick.
        tick: the time of the last tick.
    """

    seen_at: Utc | None = None
    tick: Utc | None = None


@dataclass(frozen=True, slots=True)
class ConvertedLine(ArticlePart):
    """The records and the state of one line.

    Attributes:
        records: records that are published whether or not the article is refused, such as ticks.
        memory_changes: changes of the item memory that must be committed with the article.
        position: the position after this line.
        clock: the clock after this line.
    """

    records: tuple[Outgoing, ...]
    memory_changes: dict[str, bytes | None]
    position: ReplayPosition
    clock: ReplayClock


@dataclass(slots=True)
class LineConverter:
    """Converts lines one after the other.

    Args:
        position: the position after the last line of an earlier run.
        clock: the clock after the last replay on this bus.
        partitions: the number of partitions of `articles`.
        name: the name of the archive.
        salt: a different salt distributes the articles differently over the partitions.
    """

    position: ReplayPosition
    clock: ReplayClock
    memory: ItemMemory
    settings: IngestSettings
    partitions: int
    name: str
    salt: int = 0
    _pending: list[ConvertedLine] = field(default_factory=list)

    def convert(self, parsed: ParsedLine) -> None:
        """Converts a line of an archive into records, which `take_pending` returns, and advances position and clock.

        The records are a tick if one is due, and the article if its item is new; or a dead letter for a bad line. The
        article is seen at its time of publication, or at the time of the clock if that is later: time never goes back.
        """
        line = parsed.line
        self.position = self.position.model_copy(
            update={"line": line.number, "stories": self.position.stories + 1, "closed": False}
        )
        origin = Message(f"archive:{self.name}", 0, line.number, None, line.raw)
        if parsed.item is None:
            self.position = self.position.model_copy(update={"bad": self.position.bad + 1})
            assert parsed.error is not None
            self._add(None, origin, [dead_letter(STAGE, origin, parsed.error)])
            return
        published_at = parsed.item.published_at
        assert published_at is not None
        seen_at = max(published_at, self.clock.seen_at or published_at)
        last_tick = self.clock.tick
        ticks: Iterable[Outgoing] = ()
        if last_tick is None or seen_at - last_tick >= timedelta(seconds=self.settings.tick_s):
            ticks = self._tick(seen_at)
        self.clock = self.clock.model_copy(update={"seen_at": seen_at})
        articles = admit([parsed.item], parsed.source, self.memory, seen_at, self.settings.backfill_after_s)
        self.position = self.position.model_copy(update={"published": self.position.published + len(articles)})
        self._add(articles[0] if articles else None, origin, ticks)

    def close(self, after_s: float) -> None:
        """Adds the closing tick, which lets the alerting stage close its last buckets (short spans of signals).

        Does nothing if it was added after the last line, or if there has been no article.

        Args:
            after_s: seconds from the last article to the tick.
        """
        if self.position.closed or self.clock.seen_at is None or not self.position.stories:
            return
        ticks = self._tick(self.clock.seen_at + timedelta(seconds=after_s))
        self.position = self.position.model_copy(update={"closed": True})
        self._add(None, Message(f"archive:{self.name}", 0, self.position.line, None, b""), ticks)

    def take_pending(self) -> list[ConvertedLine]:
        """Returns the lines that were converted since the last call."""
        pending, self._pending = self._pending, []
        return pending

    def count_refused(self, articles: int) -> None:
        """Counts articles that were refused when they were published as bad."""
        self.position = self.position.with_refused(articles)

    def outgoing(self, article: Article) -> Outgoing:
        """Returns the record of an article."""
        partition = partition_of(f"{self.salt}:{article.id}", self.partitions) if self.salt else None
        return Outgoing(Topic.ARTICLES, article.id, article.to_bytes(), partition)

    def _tick(self, moment: datetime) -> Iterable[Outgoing]:
        """Sets the clock, and returns a tick for every partition."""
        self.clock = ReplayClock(seen_at=moment, tick=moment)
        return broadcast(Topic.ARTICLES, Tick(seen_at=moment).to_bytes(), self.partitions)

    def _add(self, article: Article | None, origin: Message, records: Iterable[Outgoing]) -> None:
        memory_changes = self.memory.take_changes()
        self._pending.append(ConvertedLine(article, origin, tuple(records), memory_changes, self.position, self.clock))
