"""What an error of a step says came of it: nothing, or that it may have happened."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

pytest.importorskip("aiokafka")

from aiokafka.errors import IllegalOperation, KafkaConnectionError, KafkaError, ProducerFenced
from aiokafka.producer.transaction_manager import TransactionManager

from riskwire.bus.kafka.cluster import Cluster, Record
from riskwire.bus.kafka.transactions import Transactions
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


class NeverWell(Scene):
    """Every producer starts and none gets a step through, as with brokers that have no room left."""

    async def _started(self) -> FakeProducer:
        return FakeProducer("begin", _nothing)


async def test_a_step_that_failed_until_the_deadline_says_why_where_and_what_to_do() -> None:
    told = str(await refused(NeverWell("")))
    assert told.startswith("kafka://broker:9092: a step could not be committed; nothing of it has happened")
    assert "connection lost" in told
    assert told.endswith("Check that the brokers run and have room")


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


class FailingBetweenCalls(FakeProducer):
    """Meets a failure by itself, after `begin_transaction` and before the next call, as aiokafka's sender does."""

    def __init__(self, failure: KafkaError) -> None:
        super().__init__("", _nothing)
        self._failure = failure
        self._txn_manager = TransactionManager("sink-trends-0", 60_000)
        self._txn_manager.set_pid_and_epoch(1, 0)

    async def begin_transaction(self) -> None:
        self._txn_manager.begin_transaction()
        self._txn_manager.fatal_error(self._failure)

    async def commit_transaction(self) -> None:
        self._txn_manager.committing_transaction()

    async def abort_transaction(self) -> None:
        self._txn_manager.aborting_transaction()

    def create_batch(self) -> FailingBetweenCalls:
        return self

    def append(self, **_: object) -> bool:
        return True

    async def send_batch(self, *_: object, **__: object) -> None:
        raise IllegalOperation("Can't send messages while not in transaction")


async def _nothing() -> None:
    pass


@pytest.mark.parametrize("records", [[], [Record("articles", 0, None, b"1")]], ids=["at the commit", "at a batch"])
async def test_a_producer_that_was_fenced_between_two_calls_says_that_it_was_fenced(records: list[Record]) -> None:
    scene = Scene("")
    scene._producer = FailingBetweenCalls(ProducerFenced())
    scene.follows(None)
    with pytest.raises(FencedError):
        await scene.take("step", records)


@pytest.mark.parametrize("records", [[], [Record("articles", 0, None, b"1")]], ids=["at the commit", "at a batch"])
async def test_a_step_that_failed_between_two_calls_is_taken_again_by_a_new_producer(records: list[Record]) -> None:
    scene = Scene("", come_back=True, last="step")
    scene._producer = FailingBetweenCalls(KafkaError("Unexpected error during batch delivery"))
    scene.follows(None)
    await scene.take("step", records)
    assert not isinstance(scene._producer, FailingBetweenCalls)
