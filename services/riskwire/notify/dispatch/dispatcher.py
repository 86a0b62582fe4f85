"""Delivers to one receiver what the partitions of this process have for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from riskwire.bus import Assignment
from riskwire.notify.dispatch.progress import Progress
from riskwire.notify.dispatch.receiver_queue import OnDone, ReceiverQueue, WaitingDelivery
from riskwire.notify.outbox import Delivery
from riskwire.notify.retry import AttemptError, StoppedError
from riskwire.records import Alert

Send = Callable[[Sequence[Delivery], Progress], Awaitable[AttemptError | None]]
"""Attempts a message until it arrives (None), or is given up or stopped (the last error)."""


@dataclass(frozen=True, slots=True, eq=False)
class _Running:
    """A message on its way."""

    task: asyncio.Task[None]
    progress: Progress


class Dispatcher:
    """Starts the messages of one `ReceiverQueue` when they are due, and reports their outcomes."""

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
        self._running: dict[tuple[WaitingDelivery, ...], _Running] = {}

    def submit(self, delivery: Delivery, alert: Alert, on_done: OnDone) -> None:
        """Adds a delivery. `on_done` is called when it has arrived or was given up, unless it was withdrawn."""
        ready_s = asyncio.get_running_loop().time() + self._group_wait_s
        self._queue.add(WaitingDelivery(delivery, alert, on_done, ready_s))
        self._changed.set()

    def withdraw(self, assignment: Assignment) -> None:
        """Removes the deliveries of a partition. One on its way is cancelled, unless it is one message with others."""
        self._queue.withdraw(assignment.topic, assignment.partition)
        for message, running in list(self._running.items()):
            places = {(waiting.delivery.message.topic, waiting.delivery.message.partition) for waiting in message}
            if places == {(assignment.topic, assignment.partition)}:
                running.task.cancel()
                self._finish(message)

    def stop(self, delivery: Delivery) -> bool:
        """Makes no further attempt to deliver. Returns whether none is being made, so that the delivery is over.

        Else `on_done` is called when the attempt has ended, with a `StoppedError` if it failed. Other deliveries of the
        same message wait again.
        """
        if self._queue.remove(delivery):
            self._changed.set()
            return True
        for message, running in list(self._running.items()):
            if all(waiting.delivery != delivery for waiting in message):
                continue
            if running.progress.is_attempting:
                running.progress.stopped.add(delivery)
                return False
            running.task.cancel()
            self._finish(message)
            self._wait_again(waiting for waiting in message if waiting.delivery != delivery)
            return True
        return False

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
                    progress = Progress()
                    task = group.create_task(self._deliver(message, progress))
                    self._running[message] = _Running(task, progress)
                try:
                    async with asyncio.timeout(self._queue.wait_s(self._wall(), loop.time())):
                        await self._changed.wait()
                except TimeoutError:
                    continue

    async def _deliver(self, message: tuple[WaitingDelivery, ...], progress: Progress) -> None:
        try:
            error = await self._send([waiting.delivery for waiting in message], progress)
        finally:
            self._finish(message)
        if error is not None and progress.stopped and not error.final:
            waiting_again = [waiting for waiting in message if waiting.delivery not in progress.stopped]
            message = tuple(waiting for waiting in message if waiting not in waiting_again)
            error = StoppedError("stopped", where=error.where or "")
            self._wait_again(waiting_again)
        for waiting in message:
            waiting.on_done(waiting.delivery, error)

    def _finish(self, message: tuple[WaitingDelivery, ...]) -> None:
        """Removes a message that was on its way; does nothing if that is done."""
        if message in self._running:
            del self._running[message]
            self._queue.finish(message)
            self._changed.set()

    def _wait_again(self, deliveries: Iterable[WaitingDelivery]) -> None:
        """Puts deliveries back into the queue."""
        self._queue.put_back(deliveries)
        self._changed.set()
