"""What one attempt delivers: an alert record for machines, and its text for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from riskwire.notify.text import NotificationText, grouped_text, idempotency_key, notification_text
from riskwire.records import Alert

Tone = Literal["info", "success", "warning", "failure"]
"""How a notification is coloured where a service has colours; the types of Apprise."""


@dataclass(frozen=True, slots=True)
class PreparedNotification:
    """One message to one receiver.

    Attributes:
        subjects: the alerts that it tells; empty for a digest.
        key: the idempotency key.
        record: the first alert as it was read from the topic.
        chart: a picture (PNG) to attach; None without.
    """

    subjects: tuple[Alert, ...]
    key: str
    record: bytes
    text: NotificationText
    tone: Tone
    chart: bytes | None = None


def notification_of(alerts: Sequence[Alert], record: bytes, chart: bytes | None = None) -> PreparedNotification:
    """Returns the notification of alerts that one story raised.

    Args:
        alerts: at least one; the first one decides the key.
        record: the first alert as it was read from the topic.
    """
    first = alerts[0]
    text = notification_text(first) if len(alerts) == 1 else grouped_text(alerts)
    return PreparedNotification(tuple(alerts), idempotency_key(first), record, text, _tone(alerts), chart)


def _tone(alerts: Sequence[Alert]) -> Tone:
    if all(alert.status == "resolved" for alert in alerts):
        return "success"
    return "failure" if any(alert.severity == "critical" for alert in alerts) else "warning"
