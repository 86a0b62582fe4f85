"""Delivery of alerts: the receivers, limits and retries that all partitions of the notify stage share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Final, Self

import stamina
import structlog
from pydantic import TypeAdapter

from riskwire import metrics
from riskwire.notify.outbox import Delivery
from riskwire.notify.receiver import configured_receivers
from riskwire.notify.retry import AttemptError, retry_decision
from riskwire.notify.routing import Routing
from riskwire.records import Alert, read_record
from riskwire.settings import NotifySettings
from riskwire.stage.spans import span
from riskwire.steady_clock import SteadyClock

log = structlog.get_logger(__name__)

_ALERT: Final = TypeAdapter(Alert)


class Deliverer:
    """Delivers alerts. Connects to a receiver at the first delivery, and closes connections when its context ends.

    Args:
        live: False logs every alert and sends none (replay, demo).
        wall: returns the time of day in UTC; by default that of a `SteadyClock`.

    Raises:
        SettingsError: a receiver that cannot be used.
    """

    def __init__(
        self, settings: NotifySettings, *, live: bool = True, wall: Callable[[], datetime] | None = None
    ) -> None:
        """Creates the receivers of the settings, without connecting to them.

        Args:
            live: False logs every alert and sends none (replay, demo).
            wall: returns the time of day in UTC; by default that of a `SteadyClock`.

        Raises:
            SettingsError: a receiver or a route cannot be used.
        """
        self.settings = settings
        self.live = live
        self.wall = SteadyClock().now if wall is None else wall
        receivers = configured_receivers(settings)
        self.receivers = {receiver.name: receiver for receiver in receivers}
        self.routing = Routing(settings.routes, receivers)
        self._limits = {name: asyncio.Semaphore(settings.concurrency) for name in self.receivers}
        self._pending: dict[int, int] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the connections of every receiver; an error of the context passes on."""
        for receiver in self.receivers.values():
            await receiver.close()

    @property
    def pending(self) -> int:
        """The number of pending deliveries on the assigned partitions.

        To know that every alert was delivered or given up, read the lag of the group first: both must be 0.
        """
        return sum(self._pending.values())

    def set_pending(self, partition: int, deliveries: int) -> None:
        """Records the number of pending deliveries of one partition."""
        self._pending[partition] = deliveries
        metrics.PENDING_DELIVERIES.set(self.pending)

    async def deliver(self, delivery: Delivery) -> AttemptError | None:
        """Attempts a delivery until it arrives or is given up, with exponential backoff between the attempts.

        It is given up after `settings.attempts` attempts, after an error that another attempt would not avoid, or at
        the first failure `give_up_after_s` after its record was read. At most `concurrency` attempts for one receiver
        run at a time.

        Returns:
            None when it arrived, or the error of the last attempt.

        Raises:
            KeyError: the receiver is not in the settings.
            SchemaError: the record is not an alert.
        """
        receiver, settings = self.receivers[delivery.receiver], self.settings
        alert = read_record(_ALERT, delivery.message.value, delivery.message.where)
        deadline = delivery.accepted_at + settings.give_up_after_s

        def decide_retry(error: Exception) -> bool | float:
            """Counts a failed attempt, and returns whether and when the next one follows, as stamina expects it.

            Returns:
                False for no further attempt, True for one after the usual backoff, or seconds to wait.
            """
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
                with attempt, span("notify attempt", channel=receiver.channel, alert=alert.id, status=alert.status):
                    async with self._limits[delivery.receiver]:
                        await receiver.attempt(alert, delivery.message.value)
        except AttemptError as error:
            return error
        log.info("notified", id=alert.id, status=alert.status, target=alert.target, receiver=receiver.label)
        if alert.status != "resolved" and alert.evidence:
            newest = max(story.seen_at for story in alert.evidence)
            age_s = (self.wall() - newest).total_seconds()
            metrics.FETCHED_TO_NOTIFIED.labels(channel=receiver.channel).observe(max(0.0, age_s))
        return None
