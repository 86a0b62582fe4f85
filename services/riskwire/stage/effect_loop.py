"""The loop of an effect stage on one partition: wait for records or for finished effects, and commit what they change.

An effect outlasts the batch that started it, such as polling a feed or delivering a notification. While effects run,
the loop goes on fetching records. Position, state and dead letters are committed as one step, as in the batch loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol

from riskwire import metrics
from riskwire.bus import Assignment, Message
from riskwire.pipeline import StageSpec


class EffectTask(Protocol):
    """The work of an effect stage on one partition."""

    def start_effects(self) -> Collection[asyncio.Task[Any]]:
        """Starts the effects that are due. Returns the running effects: the loop wakes up when an effect ends."""
        ...

    def max_wait_s(self) -> float:
        """How long the loop may wait for records or finished effects before the next step."""
        ...

    async def step(self, batch: Sequence[Message]) -> None:
        """Takes new records, if any, and what effects have finished; commits what they change."""
        ...

    async def close(self) -> None:
        """Stops the running effects."""
        ...


class EffectStage(Protocol):
    """A stage with effects outside the bus. An asynchronous context manager, entered while the stage runs."""

    @property
    def spec(self) -> StageSpec: ...

    def open(self, assignment: Assignment, state: Mapping[str, bytes]) -> EffectTask:
        """Returns a task for a partition, continuing from the committed state."""
        ...

    async def __aenter__(self) -> object: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class EffectLoop:
    """Runs an effect stage on one partition until the partition is revoked.

    Args:
        max_batch: the most records of one fetch.
        fetch_timeout_s: how long one fetch waits for records.
    """

    def __init__(self, stage: EffectStage, assignment: Assignment, *, max_batch: int, fetch_timeout_s: float) -> None:
        self._stage = stage
        self._assignment = assignment
        self._max_batch = max_batch
        self._fetch_wait_s = fetch_timeout_s

    async def run(self) -> None:
        """Runs until the partition is revoked or the bus is closed; then stops the running effects.

        Each round waits until records have arrived, an effect has ended or the task's wait is over, and takes a step.
        The batch of a step is empty while the fetch still waits for records.

        Raises:
            RiskwireError: the stage cannot continue. Any other error of the task or of a fetch is raised as it is.
        """
        name = self._stage.spec.name
        records, sizes = metrics.STAGE_RECORDS.labels(stage=name), metrics.STAGE_BATCH.labels(stage=name)
        state = await self._assignment.restore()
        task = self._stage.open(self._assignment, state)
        del state  # the state of ingest may be large, and the task has decoded it
        fetch = self._start_fetch()
        try:
            while not self._assignment.revoked:
                effects = task.start_effects()
                await asyncio.wait({fetch, *effects}, timeout=task.max_wait_s(), return_when=asyncio.FIRST_COMPLETED)
                if self._assignment.revoked:
                    break
                batch: Sequence[Message] = ()
                if fetch.done():
                    batch = fetch.result()
                    fetch = self._start_fetch()
                await task.step(batch)
                records.inc(len(batch))
                if batch:
                    sizes.observe(len(batch))
        finally:
            fetch.cancel()
            await asyncio.gather(fetch, return_exceptions=True)
            await task.close()

    def _start_fetch(self) -> asyncio.Task[Sequence[Message]]:
        fetch = _fetch(self._assignment, self._max_batch, self._fetch_wait_s)
        return asyncio.create_task(fetch, name=f"{self._stage.spec.name}-fetch")


async def _fetch(assignment: Assignment, max_batch: int, wait_s: float) -> Sequence[Message]:
    return await assignment.fetch(max_batch, wait_s)
