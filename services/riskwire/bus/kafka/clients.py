"""Starts aiokafka's clients, and stops them with all their tasks, even if no broker answers.

aiokafka's own `stop` may wait for data that can no longer be sent. It may also raise the CancelledError of one of its
own tasks (aiokafka#647), which the caller cannot tell from its own cancellation, and then stops halfway.

This file reads private attributes of aiokafka. `tests/unit/bus/test_kafka_privates.py` lists them and fails when a
new version changes one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from aiokafka.errors import IllegalOperation

from riskwire.bus.kafka.cluster import Cluster
from riskwire.bus.kafka.retry import request

_STOP_S = 2.0
_ATTEMPTS = 5
"""How often a part of a client is closed or cancelled: each attempt ends one more wait inside it."""


async def start_consumer(consumer: Any, cluster: Cluster, check: Callable[[], None] = lambda: None) -> None:
    """Starts a consumer, with retries within the deadline. Stops it again if it cannot be started.

    Args:
        check: called before each attempt; raises if the consumer is no longer needed.

    Raises:
        BusError: the consumer cannot be started.
    """

    async def start() -> None:
        check()
        await consumer.start()

    try:
        await request(cluster, "Kafka cannot be reached", start)
    except BaseException:
        await stop_consumer(consumer)
        raise


async def stop_consumer(consumer: Any) -> None:
    """Stops a consumer within a few seconds. If its own `stop` ends early, closes its parts one by one."""
    if not await _finish(consumer.stop()):
        for part in (consumer._coordinator, consumer._fetcher, consumer._client):
            await _close(part)


async def stop_producer(producer: Any) -> None:
    """Stops a producer within a few seconds. Records that it has not sent yet are dropped.

    Bypasses the producer's own `stop`: marks it as closed, cancels the task that sends, and closes the connections.
    """
    producer._closed = True  # the producer's own `stop` would first wait until every record is sent
    if (sender := producer._sender.sender_task) is not None:
        await cancel(sender)
    await _close(producer.client)


def transaction_failure(producer: Any, error: BaseException) -> BaseException:
    """Returns the reason why a call in a transaction failed: `error` itself, unless another error caused it.

    The sender task of a producer may fail between two calls, for example because it was fenced or a coordinator refused
    a request. The next call then raises an error that only says that the producer is in no transaction. The reason is
    the exception of the future that ends the transaction.
    """
    if isinstance(error, (IllegalOperation, AssertionError)):
        end: asyncio.Future[None] | None = producer._txn_manager.wait_for_transaction_end()
        if end is not None and end.done() and not end.cancelled():
            return end.exception() or error
    return error


async def cancel(task: asyncio.Task[Any]) -> None:
    """Cancels a task until it is done. Some tasks of aiokafka catch a cancellation and begin another wait.

    Gives up after `_ATTEMPTS` cancellations and about 2 s in all. Does not raise the error of the task.
    """
    for _ in range(_ATTEMPTS):
        if task.done():
            return
        task.cancel()
        await asyncio.wait([task], timeout=_STOP_S / _ATTEMPTS)


async def _close(part: Any) -> None:
    for _ in range(_ATTEMPTS):
        if part is None or await _finish(part.close()):
            return


async def _finish(closing: Coroutine[Any, Any, Any]) -> bool:
    """Runs a coroutine that closes a part of a client, for `_STOP_S` at most; then cancels it.

    Returns:
        False if it ended early, by an exception or by a cancellation from inside aiokafka. Then it must be repeated.
        True if it ended normally, and also if it took too long: repeating it would take as long again.
    """
    task = asyncio.create_task(closing, name="kafka-client-close")
    try:
        await asyncio.wait([task], timeout=_STOP_S)
    finally:
        late = not task.done()
        await cancel(task)
    return late or (not task.cancelled() and task.exception() is None)
