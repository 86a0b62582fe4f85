"""Keeps every Alertmanager of the settings up to date with the alerts of one partition."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog
from pydantic import TypeAdapter

from riskwire import metrics
from riskwire.bus import Message
from riskwire.notify.alertmanager.active import ActiveAlert, ActiveAlerts
from riskwire.notify.alertmanager.feed import AlertmanagerFeed
from riskwire.notify.alertmanager.silences import Silences
from riskwire.notify.delivered import Delivered
from riskwire.notify.receivers import AlertmanagerReceiver, Receiver
from riskwire.records import Alert, Decision, read_record
from riskwire.settings import NotifySettings

log = structlog.get_logger(__name__)

_ALERT: Final = TypeAdapter(Alert)


class AlertmanagerUpkeep:
    """What the Alertmanagers should have, and the tasks that post it. Part of the notify stage on one partition."""

    def __init__(
        self,
        state: Mapping[str, bytes],
        receivers: Sequence[Receiver],
        settings: NotifySettings,
        *,
        live: bool,
        keeps_silences: bool,
        wall: Callable[[], datetime],
    ) -> None:
        """Restores what the Alertmanagers should have, and starts to post it. An event loop must be running.

        Args:
            state: the committed state of the stage.
            live: False posts nothing.
            keeps_silences: whether the mutes of this partition become silences; every partition has them all.
            wall: returns the time of day.
        """
        self._settings = settings
        self._labels = {
            receiver.name: receiver.label for receiver in receivers if isinstance(receiver, AlertmanagerReceiver)
        }
        self._active = ActiveAlerts(state, remember=settings.remember)
        self._arrivals: list[ActiveAlert] = []
        self._feeds = {
            receiver.name: AlertmanagerFeed(receiver, settings, self._arrivals.extend, wall)
            for receiver in receivers
            if live and isinstance(receiver, AlertmanagerReceiver)
        }
        managers = [receiver for receiver in receivers if isinstance(receiver, AlertmanagerReceiver)]
        has_silences = keeps_silences and live and managers
        self._silences = Silences(state, managers, settings, wall) if has_silences else None
        self.publish()
        self._tasks = [asyncio.create_task(feed.run(), name=f"notify-{name}") for name, feed in self._feeds.items()]
        if self._silences is not None:
            self._tasks.append(asyncio.create_task(self._silences.run(), name="silences"))

    @property
    def tasks(self) -> Sequence[asyncio.Task[None]]:
        """The tasks that post. One ends only when it fails."""
        return self._tasks

    @property
    def pending(self) -> int:
        """The number of alerts that an Alertmanager has not got in their newest form; 0 if nothing is posted."""
        return self._active.pending if self._feeds else 0

    def take(self, names: Sequence[str], message: Message, now: datetime) -> list[str]:
        """Takes an alert record for those of its receivers that are Alertmanagers. Returns the names of the others."""
        managers = [name for name in names if name in self._labels]
        if managers:
            alert = read_record(_ALERT, message.value, message.where)
            for name in managers:
                self._active.take(name, alert, now)
        return [name for name in names if name not in managers]

    def unaware(self) -> list[tuple[str, str]]:
        """Returns receiver and id of each running alert that an Alertmanager has not got in its newest form."""
        return self._active.unaware() if self._feeds else []

    def withdraw(self, receiver: str, alert_id: str) -> None:
        """Stops to post an alert that an Alertmanager has never got."""
        self._active.withdraw(receiver, alert_id)

    def take_decision(self, decision: Decision) -> None:
        """Takes a decision: a mute becomes a silence."""
        if self._silences is not None:
            self._silences.take(decision)

    def settle(self, delivered: Delivered, now: datetime) -> bool:
        """Remembers what has arrived, and forgets what need not or cannot arrive any more.

        Returns:
            whether `take_changes` has something to commit.
        """
        arrivals = list(self._arrivals)
        self._arrivals.clear()
        new = self._active.arrived(arrivals, now)
        for alert in new:
            label = self._labels[alert.receiver]
            delivered.add_key(alert.record, label, now.timestamp())
            metrics.DELIVERIES.labels(channel="alertmanager", outcome="delivered").inc()
            log.info("notified", id=alert.alert, status=alert.annotations.get("status"), receiver=label)
        lost = self._active.give_up(now - timedelta(seconds=self._settings.give_up_after_s), set(self._labels))
        for alert in lost:
            metrics.DELIVERIES.labels(channel="alertmanager", outcome="given_up").inc()
            log.error("alertmanager never got the end of an alert", receiver=alert.receiver, id=alert.alert)
        return bool(new or lost or arrivals)

    def publish(self) -> None:
        """Posts from now on what the last step has committed."""
        for name, feed in self._feeds.items():
            feed.want(self._active.of_receiver(name))

    def take_changes(self) -> dict[str, bytes | None]:
        """Returns the state entries that changed since the last call."""
        silences = {} if self._silences is None else self._silences.take_changes()
        return self._active.take_changes() | silences

    async def close(self) -> None:
        """Stops to post. The alerts stay as they are there."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
