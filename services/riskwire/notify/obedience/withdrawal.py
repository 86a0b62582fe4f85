"""Withdraws records that wait for a receiver when their alert is snoozed, muted or marked as a false alarm.

A record waits while its receiver is down, during quiet hours, or between two attempts. A running attempt is completed.
If it fails, no other attempt follows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, Protocol

import orjson
import structlog
from pydantic import TypeAdapter

from riskwire import metrics
from riskwire.bus import Outgoing
from riskwire.notify.alertmanager import AlertmanagerUpkeep
from riskwire.notify.obedience.obedience import Obedience, Withheld
from riskwire.notify.outbox import Delivery, Outbox
from riskwire.pipeline import Topic
from riskwire.records import Alert, near_miss_of_alert, read_record

log = structlog.get_logger(__name__)

_ALERT: Final = TypeAdapter(Alert)


class StopsDeliveries(Protocol):
    """The part of a `Deliverer` that a withdrawal needs."""

    def stop(self, delivery: Delivery) -> bool:
        """Makes no further attempt. Returns whether none is being made, so that the delivery is over."""
        ...


class Withdrawal:
    """Withdraws the deliveries of one partition that wait for receivers and must not be sent any more.

    Attributes:
        queued: the deliveries in the queues of their receivers.
        attempted: the alert of each delivery that was stopped while an attempt was being made.
    """

    def __init__(
        self, obedience: Obedience, outbox: Outbox, alertmanagers: AlertmanagerUpkeep, deliverer: StopsDeliveries
    ) -> None:
        """Takes the outbox and the Alertmanagers to search. The first `run` searches what waited before a restart."""
        self._obedience = obedience
        self._outbox = outbox
        self._alertmanagers = alertmanagers
        self._deliverer = deliverer
        self._is_due = True
        self.queued: set[Delivery] = set()
        self.attempted: dict[Delivery, str] = {}

    def request(self) -> None:
        """Makes the next `run` search all waiting deliveries, after a decision or a stopped delivery."""
        self._is_due = True

    def ended(self, delivery: Delivery) -> None:
        """Notes that a delivery has left the queue of its receiver."""
        self.queued.discard(delivery)
        self.attempted.pop(delivery, None)

    def run(self, now: datetime, attempted: Collection[Delivery]) -> tuple[list[Outgoing], list[Delivery]]:
        """Withdraws the deliveries that must not be sent any more, if there was a request.

        Args:
            now: the wall clock time.
            attempted: deliveries that have ended, and are in the outbox until the next step.

        Returns:
            near misses of muted alerts that reached no receiver, and the deliveries that must be queued: they are in
            no queue, and nothing silences them.
        """
        if not self._is_due:
            return [], []
        self._is_due = False
        near_misses: list[Outgoing] = []
        unqueued: list[Delivery] = []
        for alert_id, delivery in self._outbox.waiting():
            status = orjson.loads(delivery.message.value)["status"]
            reason = self._obedience.reason_to_withdraw(alert_id, status, delivery.receiver, now)
            if delivery in attempted:
                continue
            if reason is None:
                unqueued += [] if delivery in self.queued else [delivery]
            elif delivery not in self.queued or self._deliverer.stop(delivery):
                near_misses += self._withdraw(alert_id, delivery, reason, now)
            else:
                self.attempted[delivery] = alert_id
        for receiver, alert_id in self._alertmanagers.unaware():
            self._withdraw_from_alertmanager(receiver, alert_id, now)
        return near_misses, unqueued

    def _withdraw(self, alert_id: str, delivery: Delivery, reason: Withheld, now: datetime) -> Sequence[Outgoing]:
        """Withdraws a delivery that is over. Returns the near miss of a muted alert that reached no receiver."""
        alert = read_record(_ALERT, delivery.message.value, delivery.message.where)
        mute = self._obedience.withdraw(alert_id, delivery.message, delivery.receiver, now)
        self._outbox.remove([delivery])
        self.ended(delivery)
        _report(alert_id, delivery.receiver, reason, status=alert.status, at=alert.at.isoformat())
        miss = None if mute is None else near_miss_of_alert(alert, mute)
        return [] if miss is None else [Outgoing(Topic.NEAR_MISSES, miss.target, miss.to_bytes())]

    def _withdraw_from_alertmanager(self, receiver: str, alert_id: str, now: datetime) -> None:
        """Withdraws an alert that an Alertmanager has not received yet, if it is silenced."""
        reason = self._obedience.reason_to_withdraw_only_record(alert_id, receiver, now)
        if reason is not None:
            self._obedience.withdraw(alert_id, None, receiver, now)
            self._alertmanagers.withdraw(receiver, alert_id)
            _report(alert_id, receiver, reason)


def _report(alert_id: str, receiver: str, reason: Withheld, **record: object) -> None:
    """Logs and counts a record that was withdrawn. The name of a receiver does not show its URL."""
    channel = receiver.partition(":")[0]
    log.info("delivery withdrawn", alert=alert_id, receiver=receiver, reason=reason, **record)
    metrics.DELIVERIES.labels(channel=channel, outcome="withdrawn").inc()
