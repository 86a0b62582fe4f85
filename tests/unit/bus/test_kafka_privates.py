"""The private attributes of aiokafka that `bus/kafka/clients.py` uses still exist and still mean the same.

If a test fails with a new version of aiokafka, read `clients.py` beside the new source of aiokafka, adapt both, and
raise the upper bound in `pyproject.toml`.
"""

from __future__ import annotations

import asyncio
import inspect
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

pytest.importorskip("aiokafka")

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator, NoGroupCoordinator
from aiokafka.errors import ProducerFenced
from aiokafka.producer.sender import Sender
from aiokafka.producer.transaction_manager import TransactionManager

from riskwire.bus.kafka.clients import transaction_failure

ROOT = Path(__file__).parents[3]


class ClosablePart:
    """A part of a client that counts how often it was closed."""

    def __init__(self) -> None:
        self.closed = 0

    async def close(self) -> None:
        self.closed += 1


@pytest.fixture
async def producer() -> AsyncIterator[AIOKafkaProducer]:
    """A transactional producer that was never started."""
    producer = AIOKafkaProducer(bootstrap_servers="127.0.0.1:1", transactional_id="privates")
    yield producer
    await producer.client.close()


def test_pyproject_bounds_the_version_of_aiokafka_from_above() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (requirement,) = [requirement for requirement in extras["kafka"] if requirement.startswith("aiokafka")]
    assert ",<" in requirement


@pytest.mark.parametrize(
    "part", [GroupCoordinator, NoGroupCoordinator, Fetcher, AIOKafkaClient], ids=lambda part: part.__name__
)
def test_every_part_of_a_consumer_has_an_asynchronous_close_without_arguments(part: type) -> None:
    assert inspect.iscoroutinefunction(part.close)
    assert list(inspect.signature(part.close).parameters) == ["self"]


async def test_stopping_a_consumer_closes_its_coordinator_fetcher_and_client_and_nothing_else() -> None:
    """The three private parts are replaced by parts that count; `stop` closes each once."""
    consumer = AIOKafkaConsumer(bootstrap_servers="127.0.0.1:1")
    assert isinstance(consumer._client, AIOKafkaClient)
    assert consumer._coordinator is None, "until the consumer is started"
    assert consumer._fetcher is None, "until the consumer is started"
    await consumer._client.close()
    parts = [ClosablePart() for _ in range(3)]
    consumer._coordinator, consumer._fetcher, consumer._client = parts
    await consumer.stop()
    assert [part.closed for part in parts] == [1, 1, 1]


async def test_a_producer_marked_as_closed_sends_nothing_when_it_is_stopped(producer: AIOKafkaProducer) -> None:
    """With `_closed` set, `stop` returns without closing the client, which the test replaces by a part that counts."""
    assert producer._closed is False
    client, producer.client = producer.client, ClosablePart()
    producer._closed = True
    await producer.stop()
    assert producer.client.closed == 0, "stop returned at once"
    producer.client = client


async def test_the_sender_of_a_producer_exposes_its_task(producer: AIOKafkaProducer) -> None:
    """`sender_task` is the task that sends records in the background."""
    assert isinstance(producer._sender, Sender)
    assert producer._sender.sender_task is None, "until the producer is started"
    task = asyncio.create_task(asyncio.sleep(0))
    producer._sender._sender_task = task
    assert producer._sender.sender_task is task
    await task


async def test_a_transaction_ended_by_the_sender_keeps_the_error_in_its_future(producer: AIOKafkaProducer) -> None:
    """The transaction manager of a producer returns a future that ends with the transaction.

    The sender task ends the transaction with a fatal error, which is then the exception of the future.
    """
    manager = producer._txn_manager
    assert isinstance(manager, TransactionManager)
    assert manager.wait_for_transaction_end() is None, "until the first transaction begins"
    manager.set_pid_and_epoch(1, 0)
    manager.begin_transaction()
    end = manager.wait_for_transaction_end()
    assert isinstance(end, asyncio.Future)
    assert not end.done()
    manager.fatal_error(ProducerFenced())
    assert isinstance(manager.wait_for_transaction_end().exception(), ProducerFenced)


async def test_a_commit_after_the_sender_failed_lacks_the_reason_which_transaction_failure_returns(
    producer: AIOKafkaProducer,
) -> None:
    """`commit_transaction` raises an `AssertionError` after the producer was fenced.

    `transaction_failure` finds the fencing error, which the transaction manager of the producer has.
    """
    producer._txn_manager.set_pid_and_epoch(1, 0)
    producer._txn_manager.begin_transaction()
    producer._txn_manager.fatal_error(ProducerFenced())
    with pytest.raises(AssertionError) as failed:
        async with asyncio.timeout(10):
            await producer.commit_transaction()
    assert isinstance(transaction_failure(producer, failed.value), ProducerFenced)
