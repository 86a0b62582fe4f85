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
from typing import Protocol, runtime_checkable

import structlog

from riskwire import metrics
from riskwire.bus import Assignment, Bus, Message, Outgoing
from riskwire.errors import BundleError, BusError, DeviceError, RiskwireError, StoreError, leaves
from riskwire.pipeline import Topic
from riskwire.records import DeadLetter
from riskwire.stage.dead_letters import commit_with_letters

log = structlog.get_logger(__name__)

POISON_IN_A_ROW = 25
"""This many records in a row that cannot be processed: it is the stage that is broken, not the records."""

_MOST_ERROR_TEXT = 2_000
_MOST_KEY = 1_000
"""A key longer than this is not the key of its dead letter: key and record must fit together."""

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


@runtime_checkable
class Beginning(Protocol):
    """A task that has something to say when it is given its partition, before any record."""

    async def begin(self) -> Step:
        """Decide on what there is besides the records; a step of nothing is not taken."""
        ...


class Stage(Protocol):
    """A stage: its name (also its group), the topic it reads, and a task for each partition."""

    name: str
    topic: Topic

    def open(self, partition: int, state: Mapping[str, bytes]) -> Task:
        """A task for a partition, continuing from a committed state."""
        ...


def dead_letter(stage: str, message: Message, error: BaseException, receiver: str | None = None) -> Outgoing:
    """The record of a record that cannot be processed; of a notification that was given up, with its receiver."""
    try:
        record, encoding = message.value.decode(), "text"
    except UnicodeDecodeError:
        record, encoding = base64.b64encode(message.value).decode(), "base64"
    letter = DeadLetter(
        stage=stage,
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        key=message.key,
        error=_told(error),
        at=datetime.now(UTC),
        record=record,
        encoding="text" if encoding == "text" else "base64",
        receiver=receiver,
    )
    metrics.DEAD_LETTERS.labels(stage=stage).inc()
    key = message.key if message.key and len(message.key) <= _MOST_KEY else f"{message.topic}-{message.partition}"
    return Outgoing(Topic.DEAD_LETTERS, key, letter.to_bytes())


def _told(error: BaseException) -> str:
    """An error as a dead letter tells it: bounded, and valid Unicode whatever the record made of it."""
    text = f"{type(error).__name__}: {error}".encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _MOST_ERROR_TEXT else text[: _MOST_ERROR_TEXT - 1] + "…"


async def run_stage(bus: Bus, stage: Stage, *, batch: int, wait_s: float = 1.0) -> None:
    """Run a stage on every partition it is assigned, until the bus is closed or another worker takes over.

    Raises:
        RiskwireError: when the stage cannot go on; of several failures one is raised, as it is; the others are logged.
    """
    failure: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            async for assignment in bus.assignments(stage.name, stage.topic):
                runner = _Runner(stage, assignment, batch, wait_s)
                group.create_task(runner.run(), name=f"{stage.name}-{assignment.partition}")
    except BaseExceptionGroup as failures:
        failure, *others = sorted(leaves(failures), key=_is_fatal, reverse=True)
        for other in others:
            log.error("stage failed", stage=stage.name, error=repr(other))
    if failure is not None:  # raised out here, so that it does not carry the group that carries it
        raise failure


class _Runner:
    """The loop on one partition."""

    def __init__(self, stage: Stage, assignment: Assignment, most: int, wait_s: float) -> None:
        self._stage = stage
        self._assignment = assignment
        self._most = most
        self._wait_s = wait_s
        self._poison = 0
        """Records that failed since the last one that did not, over batches."""
        self._task: Task

    async def run(self) -> None:
        progress = metrics.STAGE_PROGRESS.labels(stage=self._stage.name)
        try:
            await self._reopen()
            await self._begin()
            while not self._assignment.revoked:
                batch = await self._assignment.fetch(self._most, self._wait_s)
                progress.set_to_current_time()
                if batch:
                    await self._take(batch)
                    metrics.STAGE_RECORDS.labels(stage=self._stage.name).inc(len(batch))
        except BusError:
            # The step did not happen; whoever has the partition now, or opens the bus next, takes it.
            if not self._assignment.revoked:
                raise

    async def _begin(self) -> None:
        if not isinstance(self._task, Beginning):
            return
        step = await self._task.begin()
        if step.results or step.state:
            await self._assignment.commit(self._assignment.position or 0, step.results, step.state)

    async def _reopen(self) -> None:
        """A task that knows nothing but what was committed."""
        state = await self._assignment.restore()
        self._task = self._stage.open(self._assignment.partition, state)

    async def _take(self, batch: Sequence[Message]) -> None:
        try:
            with metrics.STAGE_SECONDS.labels(stage=self._stage.name).time():
                step = await self._task.process(batch)
            await self._assignment.commit(batch[-1].offset + 1, step.results, step.state)
        except Exception as error:
            if _is_fatal(error):
                raise
            log.warning("batch failed, taking it record by record", stage=self._stage.name, error=repr(error))
            await self._take_one_by_one(batch)
        else:
            self._poison = 0

    async def _take_one_by_one(self, batch: Sequence[Message]) -> None:
        """Take a batch record by record; each that fails goes to the dead letters and leaves the state as it was.

        Dead letters are committed with the next record that does not fail, or at the end of the batch. So if it is
        the stage that is broken, the records it failed on are still there for a stage that is not. A letter that is
        refused is not laid to the record it goes with (`commit_with_letters`).
        """
        letters: list[Outgoing] = []
        await self._reopen()
        for message in batch:
            try:
                step = await self._task.process([message])
                results = [*letters, *step.results]
                await commit_with_letters(self._assignment, message.offset + 1, results, step.state)
            except Exception as error:
                if _is_fatal(error):
                    raise
                self._poison += 1
                if self._poison >= POISON_IN_A_ROW:
                    raise RiskwireError(
                        f"stage {self._stage.name} failed on {self._poison} records in a row; it stops so that none "
                        "is lost",
                        where=message.where,
                        do="Mend what the error says and start again",
                    ) from error
                log.error("record to dead letters", stage=self._stage.name, where=message.where, error=repr(error))
                letters.append(dead_letter(self._stage.name, message, error))
                await self._reopen()
            else:
                self._poison = 0
                letters = []
        if letters:
            await commit_with_letters(self._assignment, batch[-1].offset + 1, letters, {})


def _is_fatal(error: BaseException) -> bool:
    """Whether it is the stage that cannot go on, rather than the record that cannot be processed."""
    return any(isinstance(leaf, _FATAL) for leaf in leaves(error))
