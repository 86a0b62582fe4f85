"""Delivers to one receiver what the partitions of this process have for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from riskwire.bus import Assignment
from riskwire.notify.dispatch.receiver_queue import OnDone, ReceiverQueue, WaitingDelivery
from riskwire.notify.outbox import Delivery
from riskwire.notify.retry import AttemptError
from riskwire.records import Alert

Send = Callable[[Sequence[Delivery]], Awaitable[AttemptError | None]]
"""Attempts a message until it arrives (None) or is given up (the last error)."""


class Dispatcher:
    """Starts the messages of one `ReceiverQueue` when they are due, and reports what became of them."""

    def __init__(
        self, queue: ReceiverQueue, send: Send, *, wall: Callable[[], datetime], group_wait_s: float = 0.0
    ) -> None:
        """Prepares deliveries to a receiver; `run` makes them.

        Args:
            wall: returns the time of day.
            group_wait_s: how long a delivery waits for others that are part of the same message.
        """
        self._queue = queue
        self._send = send
        self._wall = wall
        self._group_wait_s = group_wait_s
        self._changed = asyncio.Event()
        self._running: dict[tuple[WaitingDelivery, ...], asyncio.Task[None]] = {}

    def submit(self, delivery: Delivery, alert: Alert, on_done: OnDone) -> None:
        """Adds a delivery. `on_done` is called when it has arrived or was given up, unless it was withdrawn."""
        ready_s = asyncio.get_running_loop().time() + self._group_wait_s
        self._queue.add(WaitingDelivery(delivery, alert, on_done, ready_s))
        self._changed.set()

    def withdraw(self, assignment: Assignment) -> None:
        """Removes the deliveries of a partition. One on its way is cancelled, unless it is one message with others."""
        self._queue.withdraw(assignment.topic, assignment.partition)
        for message, task in self._running.items():
            places = {(waiting.delivery.message.topic, waiting.delivery.message.partition) for waiting in message}
            if places == {(assignment.topic, assignment.partition)}:
                task.cancel()

    async def run(self) -> None:
        """Delivers until cancelled.

        Raises:
            ExceptionGroup: a delivery failed in another way than by an `AttemptError`.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            while True:
                self._changed.clear()
                for message in self._queue.take(self._wall(), loop.time()):
                    self._running[message] = group.create_task(self._deliver(message))
                try:
                    async with asyncio.timeout(self._queue.wait_s(self._wall(), loop.time())):
                        await self._changed.wait()
                except TimeoutError:
                    continue

    async def _deliver(self, message: tuple[WaitingDelivery, ...]) -> None:
        try:
            error = await self._send([waiting.delivery for waiting in message])
        finally:
            self._queue.finish(message)
            del self._running[message]
            self._changed.set()
        for waiting in message:
            waiting.on_done(waiting.delivery, error)
