"""What a digest says: alerts by rank, what was muted, and what came near."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from riskwire.notify.text import NotificationText, loudness, sanitised_line
from riskwire.records import Alert, Decision, NearMiss, Tier, covering_mute, event_label, mute_key, publishers_of

MAX_ALERTS = 40
"""Alerts in a digest."""
MAX_MUTED = 20
"""Muted alerts in a digest."""
MAX_NEAR = 20
"""Near misses in a digest."""
_FOR_EVER: Final = 1e15
"""Epoch seconds; the end of a mute without end."""
_NOUNS: Final[dict[Tier, str]] = {"page": "page", "notice": "notice", "digest": "line"}
_REASONS: Final[dict[str, str]] = {
    "level": "not bad for it",
    "same_episode": "told already",
    "backfill": "old news",
    "language": "language not read",
    "relevance": "named in passing",
    "novelty": "told before",
    "threshold": "not surely material",
    "corroboration": "one doubtful source",
    "muted": "muted",
}


@dataclass(slots=True)
class _DigestAlert:
    """An alert of the period: its loudest and its newest record, and what muted it."""

    loudest: Alert
    newest: Alert
    mute: str | None


@dataclass(slots=True)
class DigestContent:
    """Collects the records of a period. Mutes are obeyed as in `notify`, from their place in the log on.

    Attributes:
        mutes: the mutes in force: their end in epoch seconds, by key.
    """

    mutes: dict[str, float] = field(default_factory=dict)
    _alerts: dict[str, _DigestAlert] = field(default_factory=dict)
    _near: dict[str, NearMiss] = field(default_factory=dict)
    _reasons: Counter[str] = field(default_factory=Counter)

    def take_partition(self, records: Iterable[Alert | Decision]) -> dict[str, float]:
        """Takes the alerts and decisions of one partition, in order. Returns the mutes in force after them."""
        mutes = dict(self.mutes)
        for record in records:
            if isinstance(record, Decision):
                _take_decision(mutes, record)
            else:
                self._take_alert(record, mutes)
        return mutes

    def take_near_misses(self, near_misses: Iterable[NearMiss]) -> None:
        """Takes near misses. Only those are kept that can be in the digest: the most adverse of each target."""
        for miss in near_misses:
            self._reasons[miss.reason] += 1
            known = self._near.get(miss.target)
            if known is None or (miss.adverse or 0.0) > (known.adverse or 0.0):
                self._near[miss.target] = miss

    def text(self, rhythm: str, since: datetime, until: datetime, zone: ZoneInfo) -> NotificationText:
        """Returns the digest as text, the loudest alerts first.

        Args:
            rhythm: `daily` or `weekly`.
            since: the start of the period; `until` is its end.
        """
        ranked = sorted(self._alerts.values(), key=lambda row: loudness(row.loudest), reverse=True)
        alerts = [row for row in ranked if row.mute is None]
        muted = [row for row in ranked if row.mute is not None]
        near = sorted(self._near.values(), key=lambda miss: miss.adverse or 0.0, reverse=True)
        tiers = Counter(row.loudest.tier for row in alerts)
        counts = ", ".join(
            f"{tiers[tier]} {noun if tiers[tier] == 1 else noun + 's'}" for tier, noun in _NOUNS.items() if tiers[tier]
        )
        period = f"{since.astimezone(zone):%Y-%m-%d %H:%M} to {until.astimezone(zone):%Y-%m-%d %H:%M} ({zone.key})"
        lines = [period, "", *_section("Alerts", [_alert_line(row) for row in alerts], MAX_ALERTS)]
        lines += _section("Muted", [f"{_alert_line(row)} [{row.mute}]" for row in muted], MAX_MUTED)
        lines += _section("Came near and did not alert", [_near_line(miss) for miss in near], MAX_NEAR)
        if self._reasons:
            reasons = ", ".join(f"{_REASONS.get(reason, reason)} {n}" for reason, n in self._reasons.most_common())
            lines.append(f"Near misses by reason: {reasons}")
        return NotificationText(f"riskwire {rhythm} digest: {counts or 'no alerts'}", "\n".join(lines).rstrip())

    def _take_alert(self, alert: Alert, mutes: Mapping[str, float]) -> None:
        """Takes a record of an alert. One that was once delivered was not muted, whatever comes later."""
        at = alert.at.timestamp()
        mute = covering_mute(
            {key for key, until in mutes.items() if until > at},
            target=alert.target,
            kind=alert.kind,
            types=alert.events,
            publishers=publishers_of(alert),
        )
        known = self._alerts.get(alert.id)
        if known is None:
            self._alerts[alert.id] = _DigestAlert(alert, alert, mute)
            return
        known.newest = alert
        known.mute = known.mute and mute
        if loudness(alert) > loudness(known.loudest):
            known.loudest = alert


def _take_decision(mutes: dict[str, float], decision: Decision) -> None:
    if decision.subject is None:
        return
    if decision.decision == "mute":
        mutes[mute_key(decision.subject)] = _FOR_EVER if decision.until is None else decision.until.timestamp()
    elif decision.decision == "unmute":
        mutes.pop(mute_key(decision.subject), None)


def _section(title: str, lines: Sequence[str], limit: int) -> list[str]:
    """Returns a section of a digest; nothing without lines."""
    if not lines:
        return []
    more = [f"and {len(lines) - limit} more"] if len(lines) > limit else []
    return [f"{title}:", *(f"- {line}" for line in lines[:limit]), *more, ""]


def _alert_line(row: _DigestAlert) -> str:
    alert = row.loudest
    reason = ", ".join(map(event_label, alert.events)) or alert.kind
    end = ", resolved" if row.newest.status == "resolved" else ""
    name, title = sanitised_line(alert.name), sanitised_line(alert.evidence[0].title) if alert.evidence else ""
    story = f": {title}" if title else ""
    return f"{alert.tier.upper()} {name} ({reason}{end}){story}"


def _near_line(miss: NearMiss) -> str:
    why = _REASONS.get(miss.reason, miss.reason)
    return f"{sanitised_line(miss.name)}: {sanitised_line(miss.title)} ({why}, adverse {miss.adverse or 0.0:.2f})"
