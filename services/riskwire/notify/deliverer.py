"""Delivery of alerts: the receivers, queues, limits and retries that all partitions of the notify stage share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Final, Self
from zoneinfo import ZoneInfo

import stamina
import structlog
from pydantic import TypeAdapter

from riskwire import metrics
from riskwire.bus import Assignment, Bus
from riskwire.notify.chart import TrendReader, check_charts, draw_chart, trend_of_alert
from riskwire.notify.digest import Digests
from riskwire.notify.digest.schedule import DigestSchedule
from riskwire.notify.dispatch import Dispatcher, OnDone, Progress, QuietHours, ReceiverQueue
from riskwire.notify.notification import PreparedNotification, notification_of
from riskwire.notify.outbox import Delivery
from riskwire.notify.receivers import Receiver, configured_receivers
from riskwire.notify.retry import AttemptError, retry_decision
from riskwire.notify.routing import Routing
from riskwire.records import Alert, read_record
from riskwire.settings import NotifySettings
from riskwire.stage.spans import span
from riskwire.steady_clock import SteadyClock

log = structlog.get_logger(__name__)

_ALERT: Final = TypeAdapter(Alert)
_CHART_S: Final = 20.0
"""Seconds that a chart may take. Then the alert goes without it."""
_UTC: Final = ZoneInfo("UTC")


class Deliverer:
    """Delivers alerts. Connects to a receiver at the first delivery, and closes connections when its context ends."""

    def __init__(
        self,
        settings: NotifySettings,
        *,
        live: bool = True,
        wall: Callable[[], datetime] | None = None,
        zone: ZoneInfo = _UTC,
        bus: Bus | None = None,
    ) -> None:
        """Creates the receivers of the settings, without connecting to them.

        Args:
            live: False logs every alert and sends none (replay, demo).
            wall: returns the time of day in UTC; by default that of a `SteadyClock`.
            zone: the time zone of quiet hours and digests.
            bus: where digests read the log; without it, or `attach`, there are none.

        Raises:
            SettingsError: a receiver or a route cannot be used.
        """
        self.settings = settings
        self.live = live
        self._zone = zone
        self._bus = bus
        self._read_trend: TrendReader | None = None
        self.wall = SteadyClock().now if wall is None else wall
        receivers = configured_receivers(settings)
        check_charts(settings)
        self.receivers = {receiver.name: receiver for receiver in receivers}
        self.routing = Routing(settings, receivers)
        self._limits = {name: asyncio.Semaphore(settings.concurrency) for name in self.receivers}
        self._dispatchers = {receiver.name: self._dispatcher(receiver) for receiver in receivers}
        self._tasks: list[asyncio.Task[None]] = []
        self._pending: dict[int, int] = {}

    async def __aenter__(self) -> Self:
        """Starts a task for each receiver, which delivers what is submitted."""
        self._tasks = [
            asyncio.create_task(dispatcher.run(), name=f"notify-{name}")
            for name, dispatcher in self._dispatchers.items()
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops deliveries and closes the connections of every receiver; an error of the context passes on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for receiver in self.receivers.values():
            await receiver.close()

    def attach(self, bus: Bus, read_trend: TrendReader | None = None) -> None:
        """Gives what digests and charts are read from. The settings can so be checked before it is opened.

        Args:
            bus: the log.
            read_trend: reads trends from the store; None without a store, and then there are no charts.
        """
        self._bus = bus
        self._read_trend = read_trend

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

    @property
    def tasks(self) -> Sequence[asyncio.Task[None]]:
        """The tasks that deliver. One ends only when it fails."""
        return self._tasks

    def submit(self, delivery: Delivery, on_done: OnDone) -> None:
        """Queues a delivery for its receiver.

        Args:
            on_done: called when it has arrived or was given up.

        Raises:
            KeyError: the receiver is not in the settings.
            SchemaError: the record is not an alert.
        """
        alert = read_record(_ALERT, delivery.message.value, delivery.message.where)
        self._dispatchers[delivery.receiver].submit(delivery, alert, on_done)

    def withdraw(self, assignment: Assignment) -> None:
        """Stops the deliveries of a partition that this process no longer owns."""
        for dispatcher in self._dispatchers.values():
            dispatcher.withdraw(assignment)

    def stop(self, delivery: Delivery) -> bool:
        """Makes no further attempt to deliver. Returns whether none is being made, so that the delivery is over.

        Else `on_done` is called when the attempt has ended, with a `StoppedError` if it failed.
        """
        dispatcher = self._dispatchers.get(delivery.receiver)
        return dispatcher is not None and dispatcher.stop(delivery)

    async def deliver(self, deliveries: Sequence[Delivery], progress: Progress | None = None) -> AttemptError | None:
        """Attempts a message until it arrives or is given up, with exponential backoff between the attempts.

        It is given up after `settings.attempts` attempts, after an error that another attempt would not avoid, or at
        the first failure `give_up_after_s` after its newest record was read. At most `concurrency` attempts for one
        receiver run at a time.

        Args:
            deliveries: those that are one message: of one receiver, and of alerts that one story raised.
            progress: is kept up to date, and may stop further attempts.

        Returns:
            None when it arrived, or the error of the last attempt.

        Raises:
            KeyError: the receiver is not in the settings.
            SchemaError: a record is not an alert.
        """
        first = deliveries[0]
        alerts = [read_record(_ALERT, delivery.message.value, delivery.message.where) for delivery in deliveries]
        chart = await self._chart(first.receiver, alerts[0])
        notification = notification_of(alerts, first.message.value, chart)
        accepted_at = max(delivery.accepted_at for delivery in deliveries)
        error = await self.send(first.receiver, notification, accepted_at, progress)
        if error is not None:
            return error
        receiver = self.receivers[first.receiver]
        for alert in alerts:
            log.info("notified", id=alert.id, status=alert.status, target=alert.target, receiver=receiver.label)
            if alert.status != "resolved" and alert.evidence:
                newest = max(story.seen_at for story in alert.evidence)
                age_s = (self.wall() - newest).total_seconds()
                metrics.FETCHED_TO_NOTIFIED.labels(channel=receiver.channel).observe(max(0.0, age_s))
        return None

    async def send(
        self,
        name: str,
        notification: PreparedNotification,
        accepted_at: float,
        progress: Progress | None = None,
    ) -> AttemptError | None:
        """Attempts a notification until it arrives (None) or is given up (the last error), as `deliver` does.

        Args:
            name: the name of the receiver.
            accepted_at: when the delivery became due, in epoch seconds.

        Raises:
            KeyError: the receiver is not in the settings.
        """
        receiver, settings, progress = self.receivers[name], self.settings, progress or Progress()
        deadline = accepted_at + settings.give_up_after_s

        def decide_retry(error: Exception) -> bool | float:
            """Counts a failed attempt, and returns whether and when the next one follows, as stamina expects it.

            Returns:
                False for no further attempt, True for one after the usual backoff, or seconds to wait.
            """
            metrics.DELIVERIES.labels(channel=receiver.channel, outcome="failed_try").inc()
            if progress.stopped:
                return False
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
                subject = notification.subjects[0].id if notification.subjects else ""
                with attempt, span("notify attempt", channel=receiver.channel, alert=subject):
                    async with self._limits[name]:
                        with progress.attempt():
                            await receiver.attempt(notification)
        except AttemptError as error:
            return error
        return None

    def digests(self, state: Mapping[str, bytes]) -> Digests | None:
        """Returns the digests of the receivers; None without any, or if nothing may be sent.

        Args:
            state: the committed state of the task that delivers them.
        """
        if self._bus is None or not self.live:
            return None
        schedules: dict[str, DigestSchedule] = {}
        for receiver in self.receivers.values():
            named = self.settings.receivers.get(receiver.setting)
            schedule = None if named is None else DigestSchedule.of(named, self._zone)
            if schedule is not None:
                schedules[receiver.name] = schedule

        async def send(name: str, notification: PreparedNotification) -> AttemptError | None:
            return await self.send(name, notification, self.wall().timestamp())

        return Digests(state, schedules, self._bus, send, self.wall) if schedules else None

    async def _chart(self, name: str, alert: Alert) -> bytes | None:
        """Returns the chart for an alert that begins or escalates, if its receiver wants one and it can be drawn."""
        named = self.settings.receivers.get(self.receivers[name].setting)
        if named is None or not named.chart or self._read_trend is None or alert.status == "resolved":
            return None
        try:
            async with asyncio.timeout(_CHART_S):
                trend = await trend_of_alert(alert, self._read_trend)
                return None if trend is None else await asyncio.to_thread(draw_chart, alert, trend, self._zone)
        except Exception as error:  # noqa: BLE001 - an alert without its chart is better than none
            log.warning("alert goes without its chart", id=alert.id, error=repr(error))
            return None

    def _dispatcher(self, receiver: Receiver) -> Dispatcher:
        """Returns what delivers to a receiver, by its settings; one without a name has no quiet hours."""
        named = self.settings.receivers.get(receiver.setting)
        hours = named.quiet_hours if named is not None else ""
        queue = ReceiverQueue(
            groups=receiver.reads_text,
            quiet=QuietHours.parse(hours, self._zone) if hours else None,
            quiet_tiers=named.quiet_tiers if named is not None else (),
        )
        return Dispatcher(
            queue,
            self.deliver,
            wall=self.wall,
            group_wait_s=self.settings.group_wait_s if receiver.reads_text else 0.0,
        )
