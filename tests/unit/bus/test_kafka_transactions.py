"""What an error of a step says came of it: nothing, or that it may have happened."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

pytest.importorskip("aiokafka")

from aiokafka.errors import KafkaConnectionError

from riskwire.bus.kafka_cluster import Cluster
from riskwire.bus.kafka_transactions import Transactions
from riskwire.errors import BusError, FencedError
from riskwire.settings import KafkaSettings


class FakeProducer:
    """Loses its connection at the point it is told."""

    def __init__(self, lost_at: str, then: Callable[[], Awaitable[None]]) -> None:
        self._lost_at, self._then = lost_at, then
        self.client = self
        self._sender = type("Sender", (), {"sender_task": None})

    async def begin_transaction(self) -> None:
        await self._reach("begin")

    async def commit_transaction(self) -> None:
        await self._reach("commit")

    async def abort_transaction(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def _reach(self, point: str) -> None:
        if point == self._lost_at:
            await self._then()
            raise KafkaConnectionError("connection lost")


class Scene(Transactions):
    """The first producer is lost; then no broker answers, unless `come_back` says what the last step was."""

    def __init__(self, lost_at: str, *, come_back: bool = False, last: str | None = None) -> None:
        async def last_step() -> str | None:
            return last

        super().__init__(Cluster("kafka://broker:9092", KafkaSettings(deadline_s=1)), "sink-trends-0", last_step)
        self.close_at_loss = False
        self._come_back = come_back
        self._first = True
        self._lost_at = lost_at

    async def _started(self) -> FakeProducer:
        self._check()
        if not self._first and not self._come_back:
            raise KafkaConnectionError("no broker")
        lost_at, self._first = self._lost_at if self._first else "", False
        return FakeProducer(lost_at, self._lost)

    async def _lost(self) -> None:
        self._closed = self._closed or self.close_at_loss


async def refused(scene: Scene) -> BusError:
    """The error of a step that follows none."""
    await scene.open()
    scene.follows(None)
    with pytest.raises(BusError) as failed:
        async with asyncio.timeout(10):
            await scene.take("step", [])
    return failed.value


async def test_before_the_commit_was_asked_for_nothing_of_it_has_happened() -> None:
    scene = Scene("begin")
    scene.close_at_loss = True
    assert "nothing of it has happened" in str(await refused(scene))


async def test_where_nobody_says_what_came_of_the_commit_it_may_have_happened() -> None:
    error = await refused(Scene("commit"))
    assert "it may have happened" in str(error)
    assert "nothing" not in str(error)


async def test_where_the_bus_was_closed_at_the_commit_it_may_have_happened() -> None:
    scene = Scene("commit")
    scene.close_at_loss = True
    error = await refused(scene)
    assert "it may have happened" in str(error)
    assert "nothing" not in str(error)


async def test_a_commit_whose_answer_was_lost_is_found_to_have_happened() -> None:
    scene = Scene("commit", come_back=True, last="step")
    await scene.open()
    scene.follows(None)
    await scene.take("step", [])


async def test_where_somebody_else_has_worked_since_the_commit_this_one_is_fenced() -> None:
    assert isinstance(await refused(Scene("commit", come_back=True, last="another's")), FencedError)
