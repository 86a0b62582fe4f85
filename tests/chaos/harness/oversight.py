"""Who works beside a run: the operator aborts, with Kafka's own tools, the transactions that Kafka has left hanging."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from subprocess import TimeoutExpired

from broker import Broker, Hanging

_EVERY_S = 60.0


@asynccontextmanager
async def beside(
    works: Mapping[str, Coroutine[object, object, None]], say: Callable[[str], None]
) -> AsyncIterator[dict[str, str]]:
    """Do works, by name, as long as the block lasts; which of them fail is said as it happens.

    Yields:
        What the works failed of, by name; complete when the block has been left.
    """
    failed: dict[str, str] = {}

    def seen(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            failed[task.get_name()] = f"{type(error).__name__}: {error}"
            say(f"{task.get_name()} has failed: {failed[task.get_name()]}")

    tasks = [asyncio.create_task(work, name=name) for name, work in works.items()]
    for task in tasks:
        task.add_done_callback(seen)
    try:
        yield failed
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(slots=True)
class Operator:
    """Looks every minute; `aborted` are those that were found.

    Kafka 4.3.1 takes a transaction for ended whose partitions have no leader as their markers are due (KAFKA-20734). In
    each of its partitions it then stays open, and whoever reads there waits for ever. Where no partition got a marker,
    aborting it in all of them undoes the step as a whole, and the stage takes it again.
    """

    broker: Broker
    at_broker: asyncio.Lock
    """Held by whoever stops the broker."""
    say: Callable[[str], None]
    aborted: list[Hanging] = field(default_factory=list)

    async def work(self) -> None:
        """Look and abort, until cancelled."""
        while True:
            await asyncio.sleep(_EVERY_S)
            async with self.at_broker:
                try:
                    await self._look()
                except (AssertionError, TimeoutExpired) as error:  # so busy that it does not answer: in a minute again
                    self.say(f"the operator got no answer: {str(error)[:200]}")

    async def _look(self) -> None:
        for one in await asyncio.to_thread(self.broker.hanging_transactions):
            self.say(f"the operator aborts what Kafka left hanging: {one.topic}[{one.partition}]@{one.start}")
            await asyncio.to_thread(self.broker.abort, one)
            self.aborted.append(one)
