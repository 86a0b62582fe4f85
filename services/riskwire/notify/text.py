"""The content of a notification: a text for people; idempotency key and signature for machines."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from riskwire.records import (
    MAX_EVENTS,
    Alert,
    AlertEvidence,
    AlertStatus,
    Tier,
    content_id,
    event_label,
)

MAX_STORIES = 5
"""Stories listed in a text for people; the alert record has every story."""
_MAX_LINE = 300
"""Characters."""
_MAX_NAMES = 4
"""Names of targets in a title."""
_CHANGES: Final[dict[AlertStatus, str]] = {"firing": "alert", "escalated": "alert escalated", "resolved": "resolved"}
_TIERS: Final[dict[Tier, int]] = {"digest": 0, "notice": 1, "page": 2}


@dataclass(frozen=True, slots=True)
class NotificationText:
    """A notification for people, in plain text."""

    title: str
    body: str


def idempotency_key(alert: Alert) -> str:
    """Returns the idempotency key of a notification.

    It is equal for every attempt and after every restart, and differs between two records of one episode.
    """
    return content_id("notification", alert.id, alert.status, alert.at.isoformat())


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Returns the value of `X-Riskwire-Signature`: `sha256=` and the hex HMAC-SHA256 of `timestamp + "." + body`."""
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"sha256={digest}"


def notification_text(alert: Alert) -> NotificationText:
    """Returns an alert as text for people.

    The title has severity, name, event types and status. The body has the summary, at most `MAX_STORIES` stories with
    links, the alert's sentence on what would not have fired (`would_not_fire`, left out if empty), and target, time and
    id.
    """
    lines = [sanitised_line(alert.summary)]
    if alert.evidence:
        lines += ["", "Stories:"]
        lines += [_story_line(evidence) for evidence in alert.evidence[:MAX_STORIES]]
        if len(alert.evidence) > MAX_STORIES:
            lines.append(f"and {len(alert.evidence) - MAX_STORIES} more")
    if alert.would_not_fire and alert.status != "resolved":
        lines += ["", f"Would not have fired: {sanitised_line(alert.would_not_fire)}"]
    since = f" · since {alert.opened_at:%Y-%m-%d %H:%M} UTC" if alert.status == "resolved" else ""
    weight = "" if alert.weight == 1.0 else f" · weight {alert.weight:g}"
    lines += ["", f"{alert.target}{weight} · {alert.at:%Y-%m-%d %H:%M} UTC{since} · alert {alert.id}"]
    title = f"{alert.severity.upper()}: {_subject(alert)} ({_CHANGES[alert.status]})"
    return NotificationText(title=title, body="\n".join(lines))


def grouped_text(alerts: Sequence[Alert]) -> NotificationText:
    """Returns alerts that one story raised, most on different targets, as one text for people, the loudest first."""
    ranked = sorted(alerts, key=loudness, reverse=True)
    names = list(dict.fromkeys(sanitised_line(alert.name) for alert in ranked))
    listed = ", ".join(names[:_MAX_NAMES])
    if len(names) > _MAX_NAMES:
        listed += f" and {len(names) - _MAX_NAMES} more"
    lines = ["One story raised these alerts:", _story_line(alerts[0].evidence[0])]
    for alert in ranked:
        lines += ["", f"{alert.severity.upper()}: {_subject(alert)} ({_CHANGES[alert.status]})"]
        lines += [sanitised_line(alert.summary), f"{alert.target} · {alert.at:%Y-%m-%d %H:%M} UTC · alert {alert.id}"]
    change = "resolved" if all(alert.status == "resolved" for alert in alerts) else "alerts"
    title = f"{ranked[0].severity.upper()}: {listed} ({len(ranked)} {change} from one story)"
    return NotificationText(title=title, body="\n".join(lines))


def loudness(alert: Alert) -> tuple[float, int, float, int]:
    """Returns the key by which alerts are ranked: exposure x severity, tier, how adverse or surprising, and stories."""
    return alert.priority, _TIERS[alert.tier], alert.adverse or alert.surprise, alert.stories


def _subject(alert: Alert) -> str:
    """Returns the name of an alert's target and, of an event, what happened."""
    happenings = ", ".join(map(event_label, alert.events[:MAX_EVENTS]))
    return sanitised_line(f"{alert.name}: {happenings}" if happenings else alert.name)


def sanitised_line(text: str) -> str:
    """Returns text from outside as one line of at most `_MAX_LINE` characters that cannot mention people in a chat.

    Characters that cannot be printed, and runs of white space, become one space. A zero-width space breaks mentions.

    Titles come from feeds: `@everyone` or `<!channel>` in a title must not alert a whole company.
    """
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    line = line.replace("@", "@\u200b").replace("<!", "<\u200b!")
    return line if len(line) <= _MAX_LINE else line[: _MAX_LINE - 1] + "…"


def _source(evidence: AlertEvidence) -> str:
    """Returns the publisher of a story and the feed that delivered it; only the feed if they are the same."""
    publisher, source = evidence.publisher, evidence.source
    return source if publisher in ("", source) else f"{publisher} via {source}"


def _story_line(evidence: AlertEvidence) -> str:
    """Returns a story of an alert as a line of the notification: title, source, time and, if it is safe, the link."""
    link = evidence.url if evidence.url.startswith(("https://", "http://")) and evidence.url.isprintable() else ""
    title, source = sanitised_line(evidence.title), sanitised_line(_source(evidence))
    return f"- {title} ({source}, {evidence.seen_at:%Y-%m-%d %H:%M} UTC) {link}".rstrip()
