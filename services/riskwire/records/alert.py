"""Records of the topic `alerts`."""

from __future__ import annotations

from typing import Literal

from riskwire.records.codec import Probability, Record, Utc
from riskwire.records.risk import EventScore, Level


class AlertEvidence(Record):
    """One story of an alert, with the article and the sentence that mention the target.

    `level`, `adverse`, `events` and `adverse_from` are those of the signal.
    """

    story: str
    title: str
    url: str
    source: str
    publisher: str = ""
    """The news publisher, such as "Reuters" or the host of the page; empty in records of riskwire 0.1."""
    seen_at: Utc
    text: str
    start: int
    end: int
    negative: Probability
    level: Level | None = None
    adverse: Probability | None = None
    events: tuple[EventScore, ...] | None = None
    adverse_from: Probability | None = None

    @property
    def source_key(self) -> str:
        """Identifies the publisher, without case, to count independent sources; without a publisher, the feed."""
        return (self.publisher or self.source).casefold()


AlertStatus = Literal["firing", "escalated", "resolved"]
Severity = Literal["warning", "high", "critical"]


class Alert(Record):
    """One change of an episode. All records of an episode have the same `id`; `at` and `status` distinguish them."""

    v: int = 1
    id: str
    target: str
    name: str
    groups: tuple[str, ...] = ()
    rule: str = "default"
    tier: Literal["notice", "page"] = "notice"
    status: AlertStatus
    severity: Severity
    opened_at: Utc
    at: Utc
    window_s: int
    stories: int
    sources: int
    expected: float
    surprise: float
    threshold: float
    score: float = 0.0
    baseline_score: float = 0.0
    blind: bool = False
    bundle: str = ""
    summary: str
    would_not_fire: str
    evidence: tuple[AlertEvidence, ...] = ()
