"""The alerts that Alertmanager should have: those that run, and for a while those that have ended.

Alertmanager identifies an alert by its labels, and ends one that is not sent again. So the labels say what an alert is
(target, group, kind, tier), everything else is an annotation, and each running alert is sent regularly. If a label
changes, the alert with the old labels is ended first. State of the notify stage, for one partition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from riskwire.notify.delivered import record_key
from riskwire.notify.text import sanitised_line
from riskwire.records import Alert, content_id, event_label
from riskwire.stage.state import KeyedState

ALERT_NAME: Final = "riskwire"
"""The label `alertname` of every alert."""
ENDED_FOR_S: Final = 900.0
"""Seconds in which an end is sent again: Alertmanager may restart before it has notified of it."""
_PREFIX: Final = "alertmanager:"


@dataclass(frozen=True, slots=True)
class ActiveAlert:
    """An alert as one Alertmanager should have it. Times are epoch seconds.

    Attributes:
        receiver: the name of the Alertmanager.
        alert: the id of the alert.
        record: its newest record, as `delivered` remembers it.
        ends_at: when it ended; None while it runs.
        changed_at: when this was decided.
        arrived: whether Alertmanager has it in this form.
    """

    receiver: str
    alert: str
    record: str
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: float
    ends_at: float | None
    changed_at: float
    arrived: bool = False

    @property
    def key(self) -> str:
        """Identifies the receiver and the labels."""
        return f"{self.receiver}/{content_id(*(f'{name}={value}' for name, value in sorted(self.labels.items())))}"

    def posted(self, now: datetime, hold_s: float) -> dict[str, Any]:
        """Returns the alert as the API takes it.

        Args:
            hold_s: how long Alertmanager takes it for running if nothing more comes.
        """
        if self.ends_at is None:
            end = now + timedelta(seconds=hold_s)
        else:  # an end in the future of Alertmanager's clock would be no end
            end = datetime.fromtimestamp(max(self.starts_at, min(self.ends_at, now.timestamp() - 1)), UTC)
        return {
            "labels": self.labels,
            "annotations": self.annotations,
            "startsAt": datetime.fromtimestamp(self.starts_at, UTC).isoformat(),
            "endsAt": end.isoformat(),
        }


class ActiveAlerts:
    """What every Alertmanager should have of the alerts of one partition."""

    def __init__(self, state: Mapping[str, bytes], *, remember: int) -> None:
        """Restores the alerts from the committed state.

        Args:
            remember: the most alerts that are kept; the oldest are forgotten first.
        """
        self._remember = remember
        self._alerts = KeyedState.of_dataclass(_PREFIX, state, ActiveAlert, oldest_first=lambda alert: alert.changed_at)

    def take(self, receiver: str, alert: Alert, now: datetime) -> None:
        """Takes an alert record that an Alertmanager should know of.

        Args:
            receiver: the name of the Alertmanager.
        """
        at, moment = alert.at.timestamp(), now.timestamp()
        newest = ActiveAlert(
            receiver=receiver,
            alert=alert.id,
            record=record_key(alert),
            labels=labels_of(alert),
            annotations=annotations_of(alert),
            starts_at=alert.opened_at.timestamp(),
            ends_at=at if alert.status == "resolved" else None,
            changed_at=moment,
        )
        for key, known in list(self._alerts.entries.items()):
            runs = known.ends_at is None and (known.receiver, known.alert) == (receiver, alert.id)
            if runs and key != newest.key:
                self._put(key, replace(known, ends_at=at, changed_at=moment, arrived=False))
        self._put(newest.key, newest)
        while len(self._alerts) > self._remember:
            self._alerts.delete(next(iter(self._alerts)))

    def of_receiver(self, receiver: str) -> list[ActiveAlert]:
        """Returns what an Alertmanager should have, what has ended first."""
        alerts = [alert for alert in self._alerts.entries.values() if alert.receiver == receiver]
        return sorted(alerts, key=lambda alert: alert.ends_at is None)

    def arrived(self, posted: list[ActiveAlert], now: datetime) -> list[ActiveAlert]:
        """Remembers what an Alertmanager has got, and forgets what ended long ago.

        Args:
            posted: alerts as `of_receiver` returned them; one that has changed since has not arrived.

        Returns:
            those that it had not got before.
        """
        new: list[ActiveAlert] = []
        for alert in posted:
            if self._alerts.get(alert.key) != alert:
                continue
            if not alert.arrived:
                new.append(alert)
                self._alerts.set(alert.key, replace(alert, arrived=True))
            elif alert.ends_at is not None and now.timestamp() - alert.changed_at > ENDED_FOR_S:
                self._alerts.delete(alert.key)
        return new

    def give_up(self, before: datetime, receivers: set[str]) -> list[ActiveAlert]:
        """Forgets ends that have not arrived since a time, and alerts of receivers that are gone. Returns them."""
        lost = [
            alert
            for alert in self._alerts.entries.values()
            if alert.receiver not in receivers
            or (alert.ends_at is not None and not alert.arrived and alert.changed_at < before.timestamp())
        ]
        for alert in lost:
            self._alerts.delete(alert.key)
        return lost

    def unaware(self) -> list[tuple[str, str]]:
        """Returns receiver and id of each running alert that an Alertmanager has not got in its newest form."""
        running = [alert for alert in self._alerts.entries.values() if alert.ends_at is None]
        return [(alert.receiver, alert.alert) for alert in running if not alert.arrived]

    def withdraw(self, receiver: str, alert_id: str) -> None:
        """Forgets an alert that an Alertmanager has never got."""
        for key, known in list(self._alerts.entries.items()):
            if (known.receiver, known.alert) == (receiver, alert_id):
                self._alerts.delete(key)

    @property
    def pending(self) -> int:
        """The number of alerts that an Alertmanager has not got in their newest form."""
        return sum(not alert.arrived for alert in self._alerts.entries.values())

    def take_changes(self) -> dict[str, bytes | None]:
        """Returns the state entries that changed since the last call."""
        return self._alerts.take_changes()

    def _put(self, key: str, alert: ActiveAlert) -> None:
        self._alerts.set(key, alert)
        self._alerts.move_to_end(key)


def labels_of(alert: Alert) -> dict[str, str]:
    """Returns the labels of an alert: what it is. Alertmanager takes an empty label for a missing one."""
    labels = {"alertname": ALERT_NAME, "target": alert.target, "kind": alert.kind, "tier": alert.tier}
    return labels | ({"group": alert.groups[0]} if alert.groups else {})


def annotations_of(alert: Alert) -> dict[str, str]:
    """Returns the annotations of an alert: what a person reads. Empty ones are left out."""
    first = alert.evidence[0] if alert.evidence else None
    annotations = {
        "name": sanitised_line(alert.name),
        "summary": sanitised_line(alert.summary),
        "severity": alert.severity,
        "status": alert.status,
        "events": ", ".join(map(event_label, alert.events)),
        "weight": f"{alert.weight:g}",
        "stories": str(alert.stories),
        "sources": str(alert.sources),
        "story": sanitised_line(first.title) if first else "",
        "url": first.url if first and first.url.startswith(("https://", "http://")) else "",
        "alert": alert.id,
    }
    return {name: value for name, value in annotations.items() if value}
