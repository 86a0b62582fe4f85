"""The loop of a batch stage on one partition: fetch a batch, process it, commit results, state and position.

The task of a stage decides what a batch results in; it has no access to the bus. When a batch fails, the task is opened
again from the committed state and takes the batch record by record (`isolation.py`), so that a record that cannot be
processed becomes a dead letter and every other record is processed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Protocol, runtime_checkable

import structlog

from riskwire import metrics
from riskwire.bus import Assignment, Message, Outgoing
from riskwire.errors import is_fatal
from riskwire.pipeline import StageSpec
from riskwire.stage.dead_letters import commit_with_dead_letters, dead_letter
from riskwire.stage.isolation import Isolation
from riskwire.stage.spans import span

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Step:
    """What a task decided on a batch: records to publish, and changes of its state (None deletes a key).

    Attributes:
        seen: when each piece of live news of the batch was first seen, for the metric of its age.
    """

    results: list[Outgoing] = field(default_factory=list)
    state: dict[str, bytes | None] = field(default_factory=dict)
    seen: list[datetime] = field(default_factory=list)


class Task(Protocol):
    """The work of a batch stage on one partition."""

    async def process(self, batch: Sequence[Message]) -> Step:
        """Decides on a batch. A record that cannot be read may become a dead letter among the results."""
        ...


@runtime_checkable
class TaskWithFirstStep(Protocol):
    """A task that has a step to take when its partition is assigned, before the first batch."""

    async def first_step(self) -> Step:
        """Decides on the step; an empty one is not committed."""
        ...


class BatchStage(Protocol):
    """A stage whose results follow from its input and its state alone."""

    @property
    def spec(self) -> StageSpec: ...

    def open(self, partition: int, state: Mapping[str, bytes]) -> Task:
        """Returns a task for a partition, continuing from the committed state."""
        ...


class BatchLoop:
    """Runs a batch stage on one partition until the partition is revoked.

    Args:
        max_batch: the most records of one step.
        fetch_timeout_s: how long one fetch waits for records.
    """

    def __init__(self, stage: BatchStage, assignment: Assignment, *, max_batch: int, fetch_timeout_s: float) -> None:
        self._stage = stage
        self._name = stage.spec.name
        self._assignment = assignment
        self._max_batch = max_batch
        self._fetch_wait_s = fetch_timeout_s
        self._isolation = Isolation(self._name)  # counts refused records in a row, over all batches
        self._task: Task  # the work of the stage on this partition, set by `_open_task`

    async def run(self) -> None:
        """Fetches and takes batches until the partition is revoked or the bus is closed.

        Raises:
            RiskwireError, OSError or MemoryError: the stage cannot continue. A `BusError` may also mean that the
                partition was revoked during a step. Other errors of opening the task or of its first step are raised
                as they are.
        """
        await self._open_task()
        await self._take_first_step()
        while not self._assignment.revoked:
            batch = await self._assignment.fetch(self._max_batch, self._fetch_wait_s)
            if batch:
                first = batch[0]
                with span(f"{self._name} batch", partition=first.partition, offset=first.offset, records=len(batch)):
                    await self._take(batch)
                metrics.STAGE_RECORDS.labels(stage=self._name).inc(len(batch))
                metrics.STAGE_BATCH.labels(stage=self._name).observe(len(batch))

    async def _open_task(self) -> None:
        """Opens a new task from the committed state, which drops what a failed step left in memory.

        The read position goes back to the last committed step.
        """
        state = await self._assignment.restore()
        self._task = self._stage.open(self._assignment.partition, state)

    async def _take_first_step(self) -> None:
        """Commits the step that some tasks make before they read any record, without moving the position.

        A step without results and changes of the state is not committed.
        """
        if not isinstance(self._task, TaskWithFirstStep):
            return
        step = await self._task.first_step()
        if step.results or step.state:
            await self._assignment.commit(self._assignment.position or 0, step.results, step.state)

    async def _take(self, batch: Sequence[Message]) -> None:
        """Processes and commits a batch in one step. If that fails, takes the batch record by record.

        A committed batch also resets the count of refused records in a row.

        Raises:
            RiskwireError, OSError or MemoryError: a fatal error: one of the stage, not of a record. Also if too many
                records in a row were refused.
        """
        try:
            with metrics.STAGE_SECONDS.labels(stage=self._name).time():
                step = await self._task.process(batch)
            await self._commit(batch[-1].offset + 1, step)
        except Exception as error:
            if is_fatal(error):
                raise
            metrics.count_error(self._name, error)
            log.warning("batch failed, taking it record by record", stage=self._name, error=repr(error))
            await self._take_each(batch)
        else:
            self._isolation.accepted()

    async def _take_each(self, batch: Sequence[Message]) -> None:
        """Takes a batch record by record. A record that fails becomes a dead letter and leaves the state unchanged.

        A dead letter is committed with the next record that succeeds, or after the last record.

        Raises:
            RiskwireError, OSError or MemoryError: a fatal error: one of the stage, not of a record. Also if too many
                records in a row failed.
        """
        await self._open_task()
        await self._isolation.take_each(
            batch,
            take=self._take_record,
            refuse=self._refuse_record,
            finish=partial(self._finish, batch[-1].offset + 1),
            place=lambda message: message.where,
        )

    async def _take_record(self, message: Message, dead_letters: Sequence[Outgoing]) -> None:
        """Processes one record and commits its step, together with the dead letters of refused records before it."""
        step = await self._task.process([message])
        step.results = [*dead_letters, *step.results]
        await self._commit(message.offset + 1, step)

    async def _commit(self, position: int, step: Step) -> None:
        """Commits a step, and measures it: how long it took, what it published, and how old its news is now."""
        with metrics.STAGE_COMMIT_SECONDS.labels(stage=self._name).time(), span(f"{self._name} commit"):
            await commit_with_dead_letters(self._assignment, position, step.results, step.state)
        for topic, count in Counter(str(result.topic) for result in step.results).items():
            metrics.STAGE_RESULTS.labels(stage=self._name, topic=topic).inc(count)
        metrics.observe_ages(self._name, step.seen)

    async def _refuse_record(self, message: Message, error: Exception) -> Outgoing:
        """Returns the dead letter of a record that failed; logs the error.

        Opens the task again from its committed state, because the failed record may have changed it in memory.
        """
        log.error("record to dead letters", stage=self._name, where=message.where, error=repr(error))
        await self._open_task()
        return dead_letter(self._name, message, error)

    async def _finish(self, position: int, dead_letters: Sequence[Outgoing]) -> None:
        """Commits dead letters that follow the last accepted record, and moves the position to `position`."""
        await commit_with_dead_letters(self._assignment, position, dead_letters, {})
