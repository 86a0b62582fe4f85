"""The errors of a step say truthfully whether it had no effect or may have happened."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

pytest.importorskip("aiokafka")

from aiokafka.errors import IllegalOperation, KafkaConnectionError, KafkaError, ProducerFenced
from aiokafka.producer.transaction_manager import TransactionManager

from riskwire.bus.kafka.cluster import Cluster, KafkaRecord
from riskwire.bus.kafka.transactions import Transactions
from riskwire.errors import BusError, FencedError
from riskwire.settings import KafkaSettings


class FakeProducer:
    """A producer that loses its connection in one call: `begin`, `commit` or, with an empty `lost_in`, none.

    Args:
        lost_in: the call that fails with `KafkaConnectionError`.
        on_loss: awaited before that.
    """

    def __init__(self, lost_in: str, on_loss: Callable[[], Awaitable[None]]) -> None:
        """Prepares the producer, which is its client, too, and has no sender task; see the class for the arguments."""
        self._lost_in, self._on_loss = lost_in, on_loss
        self.client = self
        self._sender = type("Sender", (), {"sender_task": None})

    async def begin_transaction(self) -> None:
        await self._call("begin")

    async def commit_transaction(self) -> None:
        await self._call("commit")

    async def abort_transaction(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def _call(self, name: str) -> None:
        if name == self._lost_in:
            await self._on_loss()
            raise KafkaConnectionError("connection lost")


class LossyTransactions(Transactions):
    """Transactions whose first producer loses its connection in the call `lost_in`.

    With `close_on_loss`, they are closed at that moment.

    Args:
        lost_in: `begin`, `commit`, or empty for no loss.
        brokers_return: whether another producer can be started after that.
        last_step: the last committed step that it then reads.
    """

    def __init__(self, lost_in: str, *, brokers_return: bool = False, last_step: str | None = None) -> None:
        """Prepares transactions with a deadline of one second; see the class for the arguments."""

        async def read_last_step() -> str | None:
            return last_step

        super().__init__(Cluster("kafka://broker:9092", KafkaSettings(deadline_s=1)), "sink-trends-0", read_last_step)
        self.close_on_loss = False
        self._brokers_return = brokers_return
        self._first = True
        self._lost_in = lost_in

    async def _start_producer(self) -> FakeProducer:
        """Returns a producer: the first one loses its connection, later ones do not.

        Raises:
            KafkaConnectionError: it is not the first one, and the brokers have not returned.
        """
        self._check_open()
        if not self._first and not self._brokers_return:
            raise KafkaConnectionError("no broker")
        lost_in, self._first = self._lost_in if self._first else "", False
        return FakeProducer(lost_in, self._on_loss)

    async def _on_loss(self) -> None:
        self._closed = self._closed or self.close_on_loss


async def error_of_step(transactions: LossyTransactions) -> BusError:
    """Commits a step named `step`, without records, and returns the error that it raises."""
    await transactions.open()
    transactions.set_last_step(None)
    with pytest.raises(BusError) as failed:
        async with asyncio.timeout(10):
            await transactions.commit_step("step", [])
    return failed.value


async def test_a_step_that_fails_before_its_commit_had_no_effect() -> None:
    """The connection is lost at the beginning of the transaction, and the bus is closed, so there is no retry."""
    transactions = LossyTransactions("begin")
    transactions.close_on_loss = True
    assert "it had no effect" in str(await error_of_step(transactions))


class _TransactionsThatAlwaysFail(LossyTransactions):
    """Every producer can be started, and none can begin a transaction, as on brokers without disk space."""

    async def _start_producer(self) -> FakeProducer:
        return FakeProducer("begin", _do_nothing)


async def test_a_step_that_fails_until_the_deadline_raises_the_reason_the_place_and_a_remedy() -> None:
    """Each new producer fails to begin a transaction, until the deadline of one second."""
    message = str(await error_of_step(_TransactionsThatAlwaysFail("")))
    assert message.startswith("kafka://broker:9092: a step could not be committed; it had no effect")
    assert "connection lost" in message
    assert message.endswith("Check that the brokers run and have space")


async def test_a_step_with_an_unknown_outcome_may_have_happened() -> None:
    """The connection is lost in the commit, and no broker answers afterwards."""
    error = await error_of_step(LossyTransactions("commit"))
    assert "it may have happened" in str(error)
    assert "no effect" not in str(error)


async def test_a_step_may_have_happened_if_the_bus_was_closed_during_its_commit() -> None:
    """The connection is lost in the commit, and the bus is closed at that moment."""
    transactions = LossyTransactions("commit")
    transactions.close_on_loss = True
    error = await error_of_step(transactions)
    assert "it may have happened" in str(error)
    assert "no effect" not in str(error)


async def test_a_step_whose_answer_was_lost_succeeds_if_it_is_the_last_committed_step() -> None:
    """The connection is lost in the commit. The next producer reads that the last committed step is this one."""
    transactions = LossyTransactions("commit", brokers_return=True, last_step="step")
    await transactions.open()
    transactions.set_last_step(None)
    await transactions.commit_step("step", [])


async def test_a_step_whose_answer_was_lost_raises_fenced_error_if_another_owner_has_committed() -> None:
    """The connection is lost in the commit. The next producer reads the step of another owner."""
    transactions = LossyTransactions("commit", brokers_return=True, last_step="step of another owner")
    assert isinstance(await error_of_step(transactions), FencedError)


class ProducerFailingBetweenCalls(FakeProducer):
    """Fails after `begin_transaction` and before the next call, as the sender task of aiokafka does.

    Its transaction manager is the real one, which keeps `failure`. Later calls raise what aiokafka raises then.
    """

    def __init__(self, failure: KafkaError) -> None:
        super().__init__("", _do_nothing)
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

    def create_batch(self) -> ProducerFailingBetweenCalls:
        return self

    def append(self, **_: object) -> bool:
        return True

    async def send_batch(self, *_: object, **__: object) -> None:
        raise IllegalOperation("Can't send messages while not in transaction")


async def _do_nothing() -> None:
    pass


noticed_by = pytest.mark.parametrize(
    "records", [[], [KafkaRecord("articles", 0, None, b"1")]], ids=["noticed by commit", "noticed by send_batch"]
)


@noticed_by
async def test_a_producer_fenced_between_two_calls_raises_fenced_error(records: list[KafkaRecord]) -> None:
    """The step is not retried, and the caller gets the reason, not the later error of the client.

    Args:
        records: the records of the step. Without any, the commit is the next call; with one, `send_batch`.
    """
    transactions = LossyTransactions("")
    transactions._producer = ProducerFailingBetweenCalls(ProducerFenced())
    transactions.set_last_step(None)
    with pytest.raises(FencedError):
        await transactions.commit_step("step", records)


@noticed_by
async def test_a_step_that_failed_between_two_calls_is_retried_by_a_new_producer(records: list[KafkaRecord]) -> None:
    """A failure that is not a fencing is retried, and the step succeeds.

    Args:
        records: the records of the step. Without any, the commit is the next call; with one, `send_batch`.
    """
    transactions = LossyTransactions("", brokers_return=True, last_step="step")
    transactions._producer = ProducerFailingBetweenCalls(KafkaError("Unexpected error during batch delivery"))
    transactions.set_last_step(None)
    await transactions.commit_step("step", records)
    assert not isinstance(transactions._producer, ProducerFailingBetweenCalls)
