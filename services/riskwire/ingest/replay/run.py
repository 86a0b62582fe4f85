"""A replay publishes an archive as if its news were coming in: `seen_at` is `published_at`, ticks follow its time.

Lines go out in batches, each with the place in the archive, the clock and the item memory as one atomic step of the
publisher `replay`. What a line becomes depends on nothing but the lines before it, so a replay that was killed and
started again leaves the same records as one that was not. Where a step is refused, its lines go out one by one: an
article that is too large is shortened, one that cannot stand on its topic goes to the dead letters (`piecemeal.py`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import structlog

from riskwire import metrics
from riskwire.bus import Bus, Outgoing, Publisher
from riskwire.errors import SchemaError
from riskwire.ingest.memory import ItemMemory
from riskwire.ingest.piecemeal import Piecemeal
from riskwire.ingest.replay.archive import Archive, Line, open_archive
from riskwire.ingest.replay.tape import STAGE, Place, ReadLine, ReplayClock, Taken, Tape, latest_of, read_lines
from riskwire.pipeline import Topic
from riskwire.settings import Settings
from riskwire.stage import publish_with_dead_letters

log = structlog.get_logger(__name__)

BATCH = 100
"""Lines in one atomic step."""

_FLUSH_BEFORE_S = 0.05
"""A wait of the pace longer than this first sends off what is ready."""


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
    piecemeal: Piecemeal = field(default_factory=lambda: Piecemeal(STAGE))
    refused: int = 0
    """Articles of what is being sent that have gone to the dead letters."""

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
        taken, tape.taken = tape.taken, []
        if not taken:
            return
        try:
            await self.publisher.publish(*self._step(taken))
        except SchemaError as error:
            log.warning("lines were refused, publishing them one by one", archive=tape.name, error=str(error))
            await self.piecemeal.publish(taken, self._publish)
            tape.refused(self.refused)
            self.refused = 0
        else:
            self._count(taken)
            self.piecemeal.went_well()
        if self.progress is not None:
            place = tape.place
            self.progress(
                ReplayProgress(
                    place.stories, place.published, place.bad, read_bytes, self.archive.size, tape.clock.seen_at
                )
            )

    async def _publish(self, live: Sequence[Taken], dead: Sequence[tuple[Taken, Outgoing]]) -> None:
        await publish_with_dead_letters(self.publisher, *self._step(live, dead))
        self.refused += len(dead)
        self._count(live)

    def _step(
        self, live: Sequence[Taken], dead: Sequence[tuple[Taken, Outgoing]] = ()
    ) -> tuple[list[Outgoing], dict[str, bytes | None]]:
        """Records and state of a step; letters stand where the articles would that were refused."""
        results = [record for one, letter in dead for record in (*one.records, letter)]
        for one in live:
            results += one.records
            if one.article is not None:
                results.append(self.tape.outgoing(one.article))
        everyone = [*(one for one, _ in dead), *live]
        state = {key: value for one in everyone for key, value in one.remembered.items()}
        state[self.key] = everyone[-1].place.less(self.refused + len(dead)).to_bytes()
        state["clock"] = everyone[-1].clock.to_bytes()
        return results, state

    def _count(self, live: Sequence[Taken]) -> None:
        metrics.ARTICLES.labels(kind="replayed").inc(sum(one.article is not None for one in live))
