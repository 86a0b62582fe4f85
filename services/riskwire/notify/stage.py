"""The notify stage: reads alert records, and delivers them to the configured receivers.

Deliveries outlast the batch that started them, so this is an effect stage. `task.py` works on one partition; this file
holds what all partitions share: receivers, limits and retries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Final

import stamina
from pydantic import TypeAdapter

from riskwire import metrics
from riskwire.bus import Assignment
from riskwire.notify.outbox import Delivery
from riskwire.notify.receiver import configured_receivers
from riskwire.notify.retry import AttemptError, retry_decision
from riskwire.notify.task import NotifyTask
from riskwire.pipeline import NOTIFY
from riskwire.records import Alert, read_record
from riskwire.settings import NotifySettings

_ALERT: Final = TypeAdapter(Alert)


class NotifyStage:
    """Delivers alerts. Connects to a receiver at the first delivery, and closes connections when its context ends.

    Args:
        live: False logs every alert and sends none (replay, demo).
        wall: returns the wall clock time, in UTC.

    Raises:
        SettingsError: a receiver that cannot be used.
    """

    spec = NOTIFY

    def __init__(
        self, settings: NotifySettings, *, live: bool = True, wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.settings = settings
        self.live = live
        self.wall = wall
        self.receivers = {receiver.name: receiver for receiver in configured_receivers(settings)}
        self._limits = {name: asyncio.Semaphore(settings.concurrency) for name in self.receivers}
        self._pending: dict[int, int] = {}

    async def __aenter__(self) -> NotifyStage:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for receiver in self.receivers.values():
            await receiver.close()

    def open(self, assignment: Assignment, state: Mapping[str, bytes]) -> NotifyTask:
        """Returns a task for a partition, which resumes the pending deliveries of the committed state."""
        return NotifyTask(self, assignment, state)

    @property
    def pending(self) -> int:
        """The number of pending deliveries on the assigned partitions.

        Every alert is delivered or given up when the lag of the group is 0 and then this is 0, read in that order.
        """
        return sum(self._pending.values())

    def set_pending(self, partition: int, deliveries: int) -> None:
        """Records the number of pending deliveries of one partition."""
        self._pending[partition] = deliveries
        metrics.PENDING_DELIVERIES.set(self.pending)

    async def deliver(self, delivery: Delivery) -> AttemptError | None:
        """Attempts a delivery until it arrives or is given up.

        Returns:
            None when it arrived, or the error of the last attempt.

        Raises:
            SchemaError: the record is not an alert.
        """
        receiver, settings = self.receivers[delivery.receiver], self.settings
        alert = read_record(_ALERT, delivery.message.value, delivery.message.where)
        deadline = delivery.accepted_at + settings.give_up_after_s

        def decide_retry(error: Exception) -> bool | float:
            """Counts a failed attempt, and returns whether and when the next one follows, as stamina expects it."""
            metrics.DELIVERIES.labels(channel=receiver.channel, outcome="failed_try").inc()
            remaining_s = deadline - self.wall().timestamp()
            return retry_decision(error, backoff_max_s=settings.backoff_max_s, remaining_s=remaining_s)

        try:
            async for attempt in stamina.retry_context(
                on=decide_retry,
                attempts=settings.attempts,
                timeout=None,
                wait_initial=settings.backoff_s,
                wait_max=settings.backoff_max_s,
                wait_jitter=settings.backoff_s / 2,
            ):
                with attempt:
                    async with self._limits[delivery.receiver]:
                        await receiver.attempt(alert, delivery.message.value)
        except AttemptError as error:
            return error
        return None
