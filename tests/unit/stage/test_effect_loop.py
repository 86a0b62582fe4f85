"""The loop of an effect stage, on a real embedded bus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import pytest

from riskwire.bus import Assignment, Message, Outgoing
from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.errors import DeviceError
from riskwire.pipeline import StageKind, StageSpec, Topic
from riskwire.settings import BusSettings
from riskwire.stage import run_stage


class EchoStage:
    """Starts an effect for each record, and publishes the record when its effect has ended."""

    spec = StageSpec("echo", Topic.ARTICLES, (Topic.ANALYSES,), "echo", "stage", StageKind.EFFECTS)

    def __init__(self) -> None:
        self.entered = False
        self.tasks: list[EchoTask] = []
        self.release: dict[bytes, asyncio.Event] = {}
        """The effect of a record waits for its event, if it has one."""
        self.error: Exception | None = None

    async def __aenter__(self) -> EchoStage:
        self.entered = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.entered = False

    def open(self, assignment: Assignment, state: Mapping[str, bytes]) -> EchoTask:
        """Returns a task for an assigned partition; the context of the stage must have been entered."""
        assert self.entered
        task = EchoTask(self, assignment)
        self.tasks.append(task)
        return task


class EchoTask:
    def __init__(self, stage: EchoStage, assignment: Assignment) -> None:
        self._stage = stage
        self._assignment = assignment
        self.effects: set[asyncio.Task[bytes]] = set()
        self.closed = False

    def start_effects(self) -> Collection[asyncio.Task[bytes]]:
        return self.effects

    def max_wait_s(self) -> float:
        return 60.0

    async def step(self, batch: Sequence[Message]) -> None:
        """Starts an effect for each record, and commits the results of those that have ended.

        The position moves past the whole batch, although its effects may still run. Raises the error of the stage, if
        any.
        """
        if self._stage.error is not None:
            raise self._stage.error
        self.effects |= {asyncio.create_task(self._echo(message.value)) for message in batch}
        ended = [effect for effect in self.effects if effect.done()]
        self.effects -= set(ended)
        results = [Outgoing(Topic.ANALYSES, None, effect.result(), 0) for effect in ended]
        position = batch[-1].offset + 1 if batch else self._assignment.position or 0
        await self._assignment.commit(position, results, {})

    async def close(self) -> None:
        """Cancels the running effects and waits for their end."""
        self.closed = True
        for effect in self.effects:
            effect.cancel()
        await asyncio.gather(*self.effects, return_exceptions=True)

    async def _echo(self, value: bytes) -> bytes:
        if (event := self._stage.release.get(value)) is not None:
            await event.wait()
        return value


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[EmbeddedBus]:
    opened = await EmbeddedBus.open(tmp_path, BusSettings(partitions=1))
    yield opened
    await opened.close()


async def publish(bus: EmbeddedBus, *records: bytes) -> None:
    async with bus.publisher("source") as publisher:
        await publisher.publish([Outgoing(Topic.ARTICLES, None, value, 0) for value in records], {})


async def wait_for_results(bus: EmbeddedBus, count: int) -> list[bytes]:
    """Waits until at least `count` results are published, and returns the values of all."""
    async with asyncio.timeout(20):
        while len(messages := await bus.read(Topic.ANALYSES, 0, 0, 100)) < count:
            await bus.wait_for_change(0.05)
    return [message.value for message in messages]


async def test_records_are_fetched_while_an_effect_runs_and_its_end_wakes_the_loop(bus: EmbeddedBus) -> None:
    """The effect of `slow` waits for the test. A fetch may take 60 s, so only the end of the effect wakes the loop."""
    stage = EchoStage()
    stage.release[b"slow"] = asyncio.Event()
    running = asyncio.create_task(run_stage(bus, stage, batch=1, fetch_timeout_s=60))
    await publish(bus, b"slow", b"fast")
    assert await wait_for_results(bus, 1) == [b"fast"]
    stage.release[b"slow"].set()
    assert await wait_for_results(bus, 2) == [b"fast", b"slow"]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_closing_the_bus_stops_the_effects_and_leaves_the_context_of_the_stage(bus: EmbeddedBus) -> None:
    """One of two effects still runs when the bus is closed."""
    stage = EchoStage()
    stage.release[b"slow"] = asyncio.Event()
    running = asyncio.create_task(run_stage(bus, stage, batch=10, fetch_timeout_s=60))
    await publish(bus, b"slow", b"fast")
    await wait_for_results(bus, 1)
    await bus.close()
    async with asyncio.timeout(20):
        await running
    (task,) = stage.tasks
    assert task.closed
    assert not stage.entered


async def test_an_error_of_a_step_stops_the_stage_and_is_raised_without_a_group(bus: EmbeddedBus) -> None:
    stage = EchoStage()
    stage.error = DeviceError("no such device")
    await publish(bus, b"1")
    with pytest.raises(DeviceError, match="no such device"):
        async with asyncio.timeout(20):
            await run_stage(bus, stage, batch=10)
    (task,) = stage.tasks
    assert task.closed
