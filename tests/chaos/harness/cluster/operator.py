"""`Operator` aborts transactions that Kafka has left hanging; `background_tasks` runs it beside the run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from subprocess import TimeoutExpired

from broker import Broker, HangingTransaction

_CHECK_EVERY_S = 60.0


@asynccontextmanager
async def background_tasks(
    coroutines: Mapping[str, Coroutine[object, object, None]], log: Callable[[str], None]
) -> AsyncIterator[dict[str, str]]:
    """Runs named coroutines for the duration of the block, then cancels them. Logs a failure when it happens.

    A failure does not end the block.

    Yields:
        The error of each coroutine that failed, by name; complete after the block.
    """
    errors: dict[str, str] = {}

    def record_error(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            errors[task.get_name()] = f"{type(error).__name__}: {error}"
            log(f"{task.get_name()} has failed: {errors[task.get_name()]}")

    tasks = [asyncio.create_task(coroutine, name=name) for name, coroutine in coroutines.items()]
    for task in tasks:
        task.add_done_callback(record_error)
    try:
        yield errors
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(slots=True)
class Operator:
    """Aborts hanging transactions every minute with Kafka's own tools, as the operator of a cluster should.

    Kafka 4.3.1 regards a transaction as ended if its partitions have no leader when their markers are due
    (KAFKA-20734). The transaction then stays open in each of its partitions, and readers of these partitions wait
    forever. If no partition got a marker, aborting it in all partitions undoes the whole step, which the stage repeats.

    Attributes:
        broker_lock: held by faults that stop the broker.
        aborted: the transactions that were aborted.
    """

    broker: Broker
    broker_lock: asyncio.Lock
    log: Callable[[str], None]
    aborted: list[HangingTransaction] = field(default_factory=list)

    async def run(self) -> None:
        """Checks and aborts until cancelled."""
        while True:
            await asyncio.sleep(_CHECK_EVERY_S)
            async with self.broker_lock:
                try:
                    await self._abort_hanging_transactions()
                except (AssertionError, TimeoutExpired) as error:
                    # The broker is too busy to answer: the next check is in a minute.
                    self.log(f"the operator got no answer: {str(error)[:200]}")

    async def _abort_hanging_transactions(self) -> None:
        """Aborts each transaction that Kafka left open in a partition, and notes it in `aborted`."""
        for hanging in await asyncio.to_thread(self.broker.hanging_transactions):
            position = f"{hanging.topic}[{hanging.partition}]@{hanging.start}"
            self.log(f"the operator aborts a transaction that Kafka left hanging: {position}")
            await asyncio.to_thread(self.broker.abort, hanging)
            self.aborted.append(hanging)
