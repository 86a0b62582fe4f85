"""The loop that every stage is: take a batch of one partition, decide, publish results + state + position as one step.

A stage gives a `Task` for each partition it is assigned. The task decides; it holds no bus. Should it fail on a batch,
its state is restored and the batch is taken record by record, so that one poison record goes to the dead letters and
nothing else is lost.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

import structlog

from riskwire import metrics
from riskwire.bus import Assignment, Bus, Message, Outgoing
from riskwire.errors import BundleError, BusError, DeviceError, RiskwireError, StoreError
from riskwire.schemas import DeadLetter, Topic

log = structlog.get_logger(__name__)

POISON_IN_A_ROW = 25
"""This many records in a row that cannot be processed: it is the stage that is broken, not the records."""

_FATAL = (BusError, StoreError, DeviceError, BundleError, OSError, MemoryError)


@dataclass(slots=True)
class Step:
    """What a task decided on a batch."""

    results: list[Outgoing] = field(default_factory=list)
    state: dict[str, bytes | None] = field(default_factory=dict)


class Task(Protocol):
    """The work of a stage on one partition."""

    async def process(self, batch: Sequence[Message]) -> Step:
        """Decide on a batch; a record that cannot be read may be put to the dead letters (`dead_letter`)."""
        ...


class Stage(Protocol):
    """A stage: its name (also its group), the topic it reads, and a task for each partition."""

    name: str
    topic: Topic

    def open(self, partition: int, state: Mapping[str, bytes]) -> Task:
        """A task for a partition, continuing from a committed state."""
        ...


def dead_letter(stage: str, message: Message, error: BaseException) -> Outgoing:
    """The record of a record that cannot be processed."""
    try:
        record, encoding = message.value.decode(), "text"
    except UnicodeDecodeError:
        record, encoding = base64.b64encode(message.value).decode(), "base64"
    letter = DeadLetter(
        stage=stage,
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        error=f"{type(error).__name__}: {error}",
        at=datetime.now(UTC),
        record=record,
        encoding="text" if encoding == "text" else "base64",
    )
    metrics.DEAD_LETTERS.labels(stage=stage).inc()
    return Outgoing(Topic.DEAD_LETTERS, message.key or f"{message.topic}-{message.partition}", letter.to_bytes())


async def run_stage(bus: Bus, stage: Stage, *, batch: int, wait_s: float = 1.0) -> None:
    """Run a stage on every partition it is assigned, until the bus is closed.

    Raises:
        RiskwireError: when the stage cannot go on.
    """
    async with asyncio.TaskGroup() as group:
        async for assignment in bus.assignments(stage.name, stage.topic):
            group.create_task(
                _run_partition(stage, assignment, batch, wait_s), name=f"{stage.name}-{assignment.partition}"
            )


async def _run_partition(stage: Stage, assignment: Assignment, most: int, wait_s: float) -> None:
    task = stage.open(assignment.partition, await assignment.restore())
    progress = metrics.STAGE_PROGRESS.labels(stage=stage.name)
    while not assignment.revoked:
        batch = await assignment.fetch(most, wait_s)
        progress.set_to_current_time()
        if not batch:
            continue
        try:
            with metrics.STAGE_SECONDS.labels(stage=stage.name).time():
                step = await task.process(batch)
        except _FATAL:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a record provokes, the stream goes on
            log.warning("batch failed, taking it record by record", stage=stage.name, error=repr(error))
            task = await _one_by_one(stage, assignment, batch)
        else:
            await assignment.commit(batch[-1].offset + 1, step.results, step.state)
        metrics.STAGE_RECORDS.labels(stage=stage.name).inc(len(batch))


async def _one_by_one(stage: Stage, assignment: Assignment, batch: Sequence[Message]) -> Task:
    """Take a batch record by record; each that fails goes to the dead letters and leaves the state as it was."""
    poison = 0
    task = stage.open(assignment.partition, await assignment.restore())
    for message in batch:
        try:
            step = await task.process([message])
        except _FATAL:
            raise
        except Exception as error:
            poison += 1
            if poison >= POISON_IN_A_ROW:
                raise RiskwireError(
                    f"stage {stage.name} failed on {poison} records in a row; it stops so that none is lost",
                    where=message.where,
                ) from error
            log.error("record to dead letters", stage=stage.name, where=message.where, error=repr(error))
            await assignment.commit(message.offset + 1, [dead_letter(stage.name, message, error)], {})
            task = stage.open(assignment.partition, await assignment.restore())
        else:
            poison = 0
            await assignment.commit(message.offset + 1, step.results, step.state)
    return task
