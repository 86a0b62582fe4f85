"""A stage on the real bus, timed from the moment all its partitions are restored to its last commit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from kafka_bare import Run

from riskwire.bus import Assignment, Message, Outgoing
from riskwire.bus.kafka.bus import KafkaBus
from riskwire.stage import BatchStage, run_stage

Kept = list[tuple[int, Sequence[Outgoing], Mapping[str, bytes | None]]]
"""Partition, results and state of each step."""


class _Timed:
    """An assignment whose first fetch waits for the others, and that counts what it commits."""

    def __init__(self, assignment: Assignment, watch: TimedBus) -> None:
        self._assignment = assignment
        self._watch = watch
        self._read = 0
        self.topic, self.partition = assignment.topic, assignment.partition

    @property
    def position(self) -> int | None:
        return self._assignment.position

    @property
    def revoked(self) -> bool:
        return self._assignment.revoked

    async def restore(self) -> dict[str, bytes]:
        state = await self._assignment.restore()
        self._watch.restored()
        return state

    async def fetch(self, max_records: int, timeout_s: float) -> Sequence[Message]:
        await self._watch.go.wait()
        batch = await self._assignment.fetch(max_records, timeout_s)
        self._read += len(batch)
        return batch

    async def commit(self, position: int, results: Sequence[Outgoing], state: Mapping[str, bytes | None]) -> None:
        started = time.perf_counter()
        await self._assignment.commit(position, results, state)
        self._watch.committed(self._read, time.perf_counter() - started)
        if self._watch.kept is not None:
            self._watch.kept.append((self.partition, results, state))
        self._read = 0


class TimedBus:
    """The bus as `run_stage` sees it."""

    def __init__(self, bus: KafkaBus, partitions: int, total: int) -> None:
        self._bus = bus
        self._waiting = partitions
        self._left = total
        self._total = total
        self.go = asyncio.Event()
        self.done = asyncio.Event()
        self._began = self._worked = 0.0
        self._commits: list[float] = []
        self.run: Run | None = None
        self.kept: Kept | None = None
        """What was committed, by partition, where someone wants to know."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    async def assignments(self, group: str, topic: str) -> AsyncIterator[_Timed]:
        async for assignment in self._bus.assignments(group, topic):
            yield _Timed(assignment, self)

    def restored(self) -> None:
        """One more partition is ready."""
        self._waiting -= 1
        if not self._waiting:
            self._began, self._worked = time.perf_counter(), time.process_time()
            self.go.set()

    def committed(self, records: int, took: float) -> None:
        """So many records more have been taken in one step."""
        self._commits.append(took)
        self._left -= records
        if self._left <= 0:
            self.run = Run(
                self._total - self._left,
                time.perf_counter() - self._began,
                time.process_time() - self._worked,
                self._commits,
            )
            self.done.set()


async def timed_stage(
    bus: KafkaBus,
    stage: BatchStage,
    total: int,
    batch: int,
    kept: Kept | None = None,
) -> Run:
    """Run a stage over `total` records that are there; what it commits is added to `kept`."""
    timed = TimedBus(bus, bus.partitions(stage.spec.reads), total)
    timed.kept = kept
    running = asyncio.create_task(run_stage(timed, stage, batch=batch))  # type: ignore[arg-type]
    waiting = asyncio.create_task(timed.done.wait())
    await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        waiting.cancel()
        running.result()
    running.cancel()
    await asyncio.wait([running])
    assert timed.run is not None
    return timed.run
