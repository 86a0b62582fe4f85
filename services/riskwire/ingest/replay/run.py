"""Replays an archive: publishes its news with `seen_at` equal to `published_at`, and ticks in the time of the archive.

Lines are published in batches. Each batch is one atomic step of the publisher `replay`, together with the position in
the archive, the clock and the item memory. The records of a line depend only on the lines before it, so a replay that
was killed and started again leaves the same records as an undisturbed one. After a step was refused, its lines are
published one by one (`article_isolation.py`).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import ParamSpec, TypeVar

import structlog

from riskwire import metrics
from riskwire.bus import Bus, Outgoing, Publisher
from riskwire.errors import SchemaError
from riskwire.ingest.article_isolation import ArticleIsolation
from riskwire.ingest.memory import ItemMemory
from riskwire.ingest.replay.archive import Archive, open_archive
from riskwire.ingest.replay.archive_item import ArchiveLine
from riskwire.ingest.replay.conversion import STAGE, ConvertedLine, LineConverter, ReplayClock, ReplayPosition
from riskwire.ingest.replay.lines import ParsedLine, latest_valid_time, parse_lines
from riskwire.pipeline import Topic
from riskwire.records import Record
from riskwire.settings import Settings
from riskwire.stage import publish_with_dead_letters

log = structlog.get_logger(__name__)

PUBLISHER = "replay"
BATCH = 100
"""Lines in one atomic step."""

_CLOCK_KEY = "clock"
_MIN_PAUSE_S = 0.05
"""The shortest wait for the next article before which the articles so far are published."""
_CLOSING_MARGIN_S = 61.0

R = TypeVar("R", bound=Record)
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ReplayProgress:
    """The progress of a replay. Counts and bytes are from the beginning of the archive.

    Attributes:
        read_bytes: bytes of the file that were read.
        size_bytes: bytes of the file.
        seen_at: the time that the replay has reached.
    """

    stories: int
    published: int
    bad: int
    read_bytes: int
    size_bytes: int
    seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """The result of one run of a replay. Counts are of this run only.

    Attributes:
        stories: lines that were read, including bad ones.
        resumed_at: the line that an earlier run had reached.
        seen_at: the time of the newest record: the last article, or the closing tick.
    """

    stories: int
    published: int
    bad: int
    resumed_at: int
    seen_at: datetime | None

    @property
    def nothing_readable(self) -> bool:
        """Whether the archive was read from its beginning and no line could be read."""
        return self.resumed_at == 0 and self.stories == self.bad

    @property
    def nothing_new(self) -> bool:
        """Whether an earlier run had published every line."""
        return self.stories == 0 and self.resumed_at > 0


async def replay(
    bus: Bus,
    archive: Path,
    settings: Settings,
    *,
    speed: float | None = None,
    limit: int | None = None,
    progress: Callable[[ReplayProgress], None] | None = None,
    partition_salt: int = 0,
    names: Mapping[str, str] | None = None,
) -> ReplayReport:
    """Publishes an archive, from the line that an earlier replay of it on this bus has reached.

    Args:
        archive: a file of JSON lines or CSV, uncompressed, .gz or .zst; or of Parquet.
        settings: `ingest` for how lines are parsed, `alerting` for the time of the closing tick.
        speed: seconds of the archive per real second; None for as fast as the stages read.
        limit: the most stories (lines that are not blank), from the beginning of the archive.
        progress: called after each step.
        partition_salt: a different salt distributes the articles differently over the partitions.
        names: for fields of an item the name that the archive uses.

    Raises:
        RiskwireError: the file is missing, not an archive, or has no line that can be read (nothing was written), or
            it is truncated (the records before the end were published).
    """
    opened = await asyncio.to_thread(open_archive, archive, names, settings.ingest.max_line)
    async with bus.publisher(PUBLISHER) as publisher:
        state = await publisher.restore()
        position_key = f"archive:{opened.identity}"
        converter = LineConverter(
            position=_decode(ReplayPosition, state, position_key),
            clock=_decode(ReplayClock, state, _CLOCK_KEY),
            memory=ItemMemory(state, settings.ingest.remember),
            settings=settings.ingest,
            partitions=bus.partitions(Topic.ARTICLES),
            name=archive.name,
            salt=partition_salt,
        )
        start = converter.position
        reader = _Reader()
        latest = await reader.run(latest_valid_time, opened, settings.ingest, datetime.now(UTC), reader.stopped)
        pace = _Pace(speed)
        await _Replay(opened, publisher, converter, position_key, settings, pace, progress, latest, reader).run(limit)
        return ReplayReport(
            stories=converter.position.stories - start.stories,
            published=converter.position.published - start.published,
            bad=converter.position.bad - start.bad,
            resumed_at=start.line,
            seen_at=converter.clock.seen_at,
        )


def _decode(kind: type[R], state: Mapping[str, bytes], key: str) -> R:
    """Returns a record of the state, or one with default values if the state has no such key."""
    return kind.model_validate_json(state[key]) if key in state else kind()


@dataclass(slots=True)
class _Pace:
    """Slows a replay down to `speed` archive seconds per real second, counted from its first article."""

    speed: float | None
    _start: tuple[datetime, float] | None = None

    def wait_s(self, moment: datetime) -> float:
        """Returns the seconds until an item of the given time is due; negative if it is overdue; 0 without a speed.

        The first item is due at once, and its time is the start from which the others are counted.
        """
        if self.speed is None:
            return 0.0
        if self._start is None:
            self._start = (moment, time.monotonic())
        first_moment, started_at = self._start
        return started_at + (moment - first_moment).total_seconds() / self.speed - time.monotonic()


class _Reader:
    """Reads an archive in a thread, which a cancellation stops at the next blank lines that it skips.

    Without this a file of a million blank lines would keep the process from ending.
    """

    def __init__(self) -> None:
        self._stop = threading.Event()

    def stopped(self) -> bool:
        """Returns whether the replay was cancelled."""
        return self._stop.is_set()

    async def run(self, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls a function in a thread and returns its result."""
        try:
            return await asyncio.to_thread(read, *args, **kwargs)
        except asyncio.CancelledError:
            self._stop.set()
            raise


@dataclass(slots=True)
class _Replay:
    """One run of a replay of an archive.

    Attributes:
        converter: converts lines to articles and ticks, and knows the position in the archive.
        position_key: the key of the position in the state of the publisher.
        latest: the latest valid publication time; None for no bound.
        reader: reads the archive in a thread.
        isolation: publishes the lines of a refused step one by one, and stops after too many refusals in a row.
    """

    archive: Archive
    publisher: Publisher
    converter: LineConverter
    position_key: str
    settings: Settings
    pace: _Pace
    progress: Callable[[ReplayProgress], None] | None
    latest: datetime | None
    reader: _Reader
    isolation: ArticleIsolation = field(default_factory=lambda: ArticleIsolation(STAGE))
    refused: int = 0
    """Articles of the batch that is being published one by one that have become dead letters."""

    async def run(self, limit: int | None) -> None:
        """Reads, converts and publishes the lines of the archive that are new, batch by batch, at the set pace.

        At the end it publishes a closing tick: a time so late that alerting closes the buckets of the last articles.

        Args:
            limit: the most stories (lines that are not blank), counted from the beginning of the archive; None for all.
        """
        max_stories = None if limit is None else max(0, limit - self.converter.position.stories)
        lines = islice(self._new_lines(), max_stories)
        while batch := await self.reader.run(self._parse_batch, lines):
            for parsed in batch:
                await self._keep_pace(parsed)
                self.converter.convert(parsed)
            await self._publish_pending(batch[-1].line.bytes_read)
        alerting = self.settings.alerting
        self.converter.close(alerting.bucket_s + alerting.lateness_s + _CLOSING_MARGIN_S)
        await self._publish_pending(self.archive.size)

    def _new_lines(self) -> Iterator[ArchiveLine]:
        """Returns the lines of the archive that no earlier replay on this bus has published."""
        start = self.converter.position.line
        lines = self.archive.lines(self.settings.ingest.max_line, self.reader.stopped)
        return (line for line in lines if line.number > start)

    def _parse_batch(self, lines: Iterator[ArchiveLine]) -> list[ParsedLine]:
        """Returns the next lines of an archive as items; empty at its end."""
        return parse_lines(list(islice(lines, BATCH)), self.archive.reader, self.settings.ingest, self.latest)

    async def _keep_pace(self, parsed: ParsedLine) -> None:
        """Waits until a line is due at the speed of the replay; publishes the pending lines before the wait.

        A bad line is not waited for, nor is a line that is due within `_MIN_PAUSE_S`.
        """
        if parsed.item is None or parsed.item.published_at is None:
            return
        wait_s = self.pace.wait_s(parsed.item.published_at)
        if wait_s > _MIN_PAUSE_S:
            await self._publish_pending(parsed.line.bytes_read)
            await asyncio.sleep(wait_s)

    async def _publish_pending(self, read_bytes: int) -> None:
        """Publishes the archive lines that were converted since the last call, as one step, and reports progress.

        When the bus refuses the step, `isolation` publishes the lines one by one, so that only the faulty ones become
        dead letters. Does nothing without converted lines.

        Args:
            read_bytes: bytes of the archive that have been read, for the progress report.

        Raises:
            BusError: the publisher failed or was fenced.
        """
        converter = self.converter
        lines = converter.take_pending()
        if not lines:
            return
        try:
            await self.publisher.publish(*self._step(lines))
        except SchemaError as error:
            log.warning("lines were refused, publishing them one by one", archive=converter.name, error=str(error))
            await self.isolation.publish_each(lines, self._publish_parts)
            converter.count_refused(self.refused)
            self.refused = 0
        else:
            _count_articles(lines)
            self.isolation.accepted()
        if self.progress is not None:
            position = converter.position
            self.progress(
                ReplayProgress(
                    position.stories,
                    position.published,
                    position.bad,
                    read_bytes,
                    self.archive.size,
                    converter.clock.seen_at,
                )
            )

    async def _publish_parts(
        self, accepted: Sequence[ConvertedLine], refused: Sequence[tuple[ConvertedLine, Outgoing]]
    ) -> None:
        """Publishes accepted lines and the dead letters of refused lines in one step, and counts both.

        Args:
            refused: lines whose article the bus refused, each with the dead letter.
        """
        await publish_with_dead_letters(self.publisher, *self._step(accepted, refused))
        self.refused += len(refused)
        _count_articles(accepted)

    def _step(
        self, accepted: Sequence[ConvertedLine], refused: Sequence[tuple[ConvertedLine, Outgoing]] = ()
    ) -> tuple[list[Outgoing], dict[str, bytes | None]]:
        """Returns the records and the changed state of a step. A dead letter replaces each refused article.

        Args:
            accepted: converted lines, at least one if `refused` is empty. The state has the position after the last.
            refused: lines whose article the bus refused, each with the dead letter.
        """
        results = [record for line, letter in refused for record in (*line.records, letter)]
        for line in accepted:
            results += line.records
            if line.article is not None:
                results.append(self.converter.outgoing(line.article))
        lines = [*(line for line, _ in refused), *accepted]
        state = {key: value for line in lines for key, value in line.memory_changes.items()}
        state[self.position_key] = lines[-1].position.with_refused(self.refused + len(refused)).to_bytes()
        state[_CLOCK_KEY] = lines[-1].clock.to_bytes()
        return results, state


def _count_articles(lines: Sequence[ConvertedLine]) -> None:
    """Counts the lines that published an article, for the metrics."""
    metrics.ARTICLES.labels(kind="replayed").inc(sum(line.article is not None for line in lines))
