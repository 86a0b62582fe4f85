"""Starting aiokafka's clients, and letting them go with all their tasks, whether or not the brokers are there.

A `stop` of aiokafka may wait for what can no longer be sent, and may raise the CancelledError of a task of its own
(aiokafka#647), which would look as though whoever called it had been cancelled; the rest is then left undone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from aiokafka.errors import IllegalOperation

from riskwire.bus.kafka.cluster import Cluster
from riskwire.bus.kafka.retry import answered

_STOP_S = 2.0
_TRIES = 5
"""How often a part is told to close: each time it frees itself of one task more."""


async def start_consumer(consumer: Any, cluster: Cluster, check: Callable[[], None] = lambda: None) -> None:
    """Start a consumer within the deadline, however often it takes, or leave nothing of it.

    Args:
        check: called before each try; raises where it is no longer wanted.

    Raises:
        BusError: it cannot be started.
    """

    async def start() -> None:
        check()
        await consumer.start()

    try:
        await answered(cluster, "Kafka cannot be reached", start)
    except BaseException:
        await stop_consumer(consumer)
        raise


async def stop_consumer(consumer: Any) -> None:
    """Stop a consumer; waits a few seconds at most."""
    if not await _ended(consumer.stop()):
        for part in (consumer._coordinator, consumer._fetcher, consumer._client):
            await _close(part)


async def stop_producer(producer: Any) -> None:
    """Stop a producer; what it has not sent it will not send. Waits a few seconds at most."""
    producer._closed = True  # its own `stop` would first wait for all to be sent
    if (sender := producer._sender.sender_task) is not None:
        await cancelled(sender)
    await _close(producer.client)


def met(producer: Any, raised: BaseException) -> BaseException:
    """Why a call in a transaction failed. What the producer meets by itself, between two calls (that it is fenced, that
    a coordinator refused it), it does not say at the next call: only that it is in no transaction.
    """
    if isinstance(raised, (IllegalOperation, AssertionError)):
        end: asyncio.Future[None] | None = producer._txn_manager.wait_for_transaction_end()
        if end is not None and end.done() and not end.cancelled():
            return end.exception() or raised
    return raised


async def cancelled(task: asyncio.Task[Any]) -> None:
    """Cancel a task until it is done: each time it gets free of one thing more that will never come."""
    for _ in range(_TRIES):
        if task.done():
            return
        task.cancel()
        await asyncio.wait([task], timeout=_STOP_S / _TRIES)


async def _close(part: Any) -> None:
    for _ in range(_TRIES):
        if part is None or await _ended(part.close()):
            return


async def _ended(closing: Coroutine[Any, Any, Any]) -> bool:
    """Whether it came to its end within the time; it is cancelled where it did not."""
    task = asyncio.create_task(closing, name="kafka-client-close")
    try:
        await asyncio.wait([task], timeout=_STOP_S)
    finally:
        late = not task.done()
        await cancelled(task)
    return late or (not task.cancelled() and task.exception() is None)
