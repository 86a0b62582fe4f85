"""The line of the log that says what an alert is."""

from __future__ import annotations

import structlog

from riskwire.records import Alert

log = structlog.get_logger(__name__)


def log_alert(alert: Alert, *, sent: bool) -> None:
    """Logs the fields of an alert record: as information if it is resolved, else as a warning.

    Args:
        sent: whether the alert is also sent to the receivers.
    """
    write = log.info if alert.status == "resolved" else log.warning
    write(
        f"alert {alert.status}",
        severity=alert.severity,
        name=alert.name,
        target=alert.target,
        summary=alert.summary,
        stories=alert.stories,
        sources=alert.sources,
        surprise=round(alert.surprise, 1),
        at=f"{alert.at:%Y-%m-%dT%H:%M:%SZ}",
        alert=alert.id,
        sent=sent,
    )
