"""What a notification says and how it is signed: text for people, headers for machines."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from riskwire.records import Alert, AlertEvidence, content_id

MOST_STORIES = 5
"""Stories named in a text for people; the record on the topic carries them all."""
_MOST_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Text:
    """A notification as people read it, plain text."""

    title: str
    body: str


def idempotency_key(alert: Alert) -> str:
    """The same for every try and every restart; differs between two changes of one episode."""
    return content_id("notification", alert.id, alert.status, alert.at.isoformat())


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """`sha256=` and the hex HMAC-SHA256 of `timestamp + "." + body`, as `X-Riskwire-Signature` carries it."""
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"sha256={digest}"


def text_of(alert: Alert) -> Text:
    """Title and body: severity, name, summary, the stories with their links, what would not have fired."""
    change = {"firing": "alert", "escalated": "alert escalated", "resolved": "resolved"}[alert.status]
    lines = [plain(alert.summary)]
    if alert.evidence:
        lines += ["", "Stories:"]
        lines += [_story(evidence) for evidence in alert.evidence[:MOST_STORIES]]
        if len(alert.evidence) > MOST_STORIES:
            lines.append(f"and {len(alert.evidence) - MOST_STORIES} more")
    if alert.would_not_fire:
        lines += ["", f"Would not have fired: {plain(alert.would_not_fire)}"]
    lines += ["", f"{alert.target} · {alert.at:%Y-%m-%d %H:%M} UTC · alert {alert.id}"]
    return Text(title=f"{alert.severity.upper()}: {plain(alert.name)} ({change})", body="\n".join(lines))


def plain(text: str) -> str:
    """One line of text from outside, without control characters and without what chat services read as a call to all.

    Titles come from feeds: `@everyone` or `<!channel>` in one must not wake a whole company.
    """
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    line = line.replace("@", "@\u200b").replace("<!", "<\u200b!")
    return line if len(line) <= _MOST_CHARACTERS else line[: _MOST_CHARACTERS - 1] + "…"


def _story(evidence: AlertEvidence) -> str:
    link = evidence.url if evidence.url.startswith(("https://", "http://")) and evidence.url.isprintable() else ""
    return f"- {plain(evidence.title)} ({plain(evidence.source)}, {evidence.seen_at:%Y-%m-%d %H:%M}) {link}".rstrip()
