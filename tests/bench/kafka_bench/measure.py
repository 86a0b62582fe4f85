"""Times a stage on the real bus, from the restore of its last partition to its last commit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from kafka_bench.bare import Run
from riskwire.bus import Assignment, Message, Outgoing
from riskwire.bus.kafka.bus import KafkaBus
from riskwire.stage import BatchStage, run_stage

Steps = list[tuple[int, Sequence[Outgoing], Mapping[str, bytes | None]]]
"""Partition, results and state of each step."""


class _Timed:
    """An assignment whose first fetch waits until all are restored, and that times its commits."""

    def __init__(self, assignment: Assignment, bus: TimedBus) -> None:
        """Wraps an assignment of a timed bus, which collects the times of all partitions."""
        self._assignment = assignment
        self._bus = bus
        self._read = 0
        """Records that were fetched since the last commit."""
        self.topic, self.partition = assignment.topic, assignment.partition

    @property
    def position(self) -> int | None:
        return self._assignment.position

    @property
    def revoked(self) -> bool:
        return self._assignment.revoked

    async def restore(self) -> dict[str, bytes]:
        state = await self._assignment.restore()
        self._bus.restored()
        return state

    async def fetch(self, max_records: int, timeout_s: float) -> Sequence[Message]:
        """Fetches a batch, and counts its records; waits before until all partitions are restored."""
        await self._bus.go.wait()
        batch = await self._assignment.fetch(max_records, timeout_s)
        self._read += len(batch)
        return batch

    async def commit(self, position: int, results: Sequence[Outgoing], state: Mapping[str, bytes | None]) -> None:
        """Commits a step, reports its records and its seconds to the bus, and records the step if asked to."""
        started = time.perf_counter()
        await self._assignment.commit(position, results, state)
        self._bus.committed(self._read, time.perf_counter() - started)
        if self._bus.steps is not None:
            self._bus.steps.append((self.partition, results, state))
        self._read = 0


class TimedBus:
    """A bus for `run_stage` that times the stage."""

    def __init__(self, bus: KafkaBus, partitions: int, total: int) -> None:
        """Wraps a bus on which a stage is about to be timed.

        Args:
            partitions: the partitions that must be restored before the clock starts.
            total: the records after which it stops, and `done` is set.
        """
        self._bus = bus
        self._unrestored = partitions
        self._remaining = total
        self._total = total
        self.go = asyncio.Event()
        self.done = asyncio.Event()
        self._began = self._worked = 0.0
        self._commits: list[float] = []
        self.run: Run | None = None
        self.steps: Steps | None = None
        """The committed steps, or None if they are not recorded."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    async def assignments(self, group: str, topic: str) -> AsyncIterator[_Timed]:
        async for assignment in self._bus.assignments(group, topic):
            yield _Timed(assignment, self)

    def restored(self) -> None:
        """Notes that one more partition is restored. The last one starts the clock, and lets all fetch."""
        self._unrestored -= 1
        if not self._unrestored:
            self._began, self._worked = time.perf_counter(), time.process_time()
            self.go.set()

    def committed(self, records: int, seconds: float) -> None:
        """Notes a committed step. When all records have been committed, sets the measurements in `run`, and `done`.

        Args:
            records: the records that were read since the last step.
            seconds: how long the commit took.
        """
        self._commits.append(seconds)
        self._remaining -= records
        if self._remaining <= 0:
            self.run = Run(
                records=self._total - self._remaining,
                seconds=time.perf_counter() - self._began,
                worked=time.process_time() - self._worked,
                commits=self._commits,
            )
            self.done.set()


async def timed_stage(
    bus: KafkaBus,
    stage: BatchStage,
    total: int,
    batch: int,
    steps: Steps | None = None,
) -> Run:
    """Runs a stage over `total` records that are already published, and stops it; returns the measurements.

    Raises what the stage raises.

    Args:
        batch: the most records of a step.
        steps: takes partition, results and state of each step, if given.
    """
    timed = TimedBus(bus, bus.partitions(stage.spec.reads), total)
    timed.steps = steps
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
