"""Records of the topic `alerts`."""

from __future__ import annotations

from typing import Final, Literal

from riskwire.records.codec import Probability, Record, Utc
from riskwire.records.risk import EventScore, Level
from riskwire.vocabulary import AlertKind, Severity


class AlertEvidence(Record):
    """One story of an alert, with the article and the sentence that mention the target.

    `article` is empty and `published_at` None in records from before 0.2.
    `level`, `adverse`, `events`, `adverse_from` and `relevance` are those of the signal. `novelty` is 1 if the
    story reported something new for the target, 0 if the same was reported just before; None in spikes.
    """

    story: str
    title: str
    url: str
    source: str
    publisher: str = ""
    """The news publisher, such as "Reuters" or the host of the page; empty in records of riskwire 0.1."""
    article: str = ""
    published_at: Utc | None = None
    seen_at: Utc
    text: str
    start: int
    end: int
    negative: Probability
    level: Level | None = None
    adverse: Probability | None = None
    events: tuple[EventScore, ...] | None = None
    adverse_from: Probability | None = None
    novelty: Probability | None = None
    relevance: Probability | None = None
    member: str = ""
    member_name: str = ""
    """In an alert on a group, a topic or the market, the party whose mention decided."""

    @property
    def source_key(self) -> str:
        """Identifies the publisher, without case, to count independent sources; without a publisher, the feed."""
        return (self.publisher or self.source).casefold()


class AlertDriver(Record):
    """A party that drives an alert on a group, a topic or the market.

    Attributes:
        stories: the adverse stories about it.
        share: their share of the adverse stories of the alert.
    """

    target: str
    name: str
    stories: int
    share: Probability


Tier = Literal["digest", "notice", "page"]
AlertStatus = Literal["firing", "escalated", "resolved"]
_SEVERITY_FACTORS: Final[dict[Severity, int]] = {"warning": 1, "high": 2, "critical": 3}


class Alert(Record):
    """One change of an episode. All records of an episode have the same `id`; `at` and `status` distinguish them.

    Attributes:
        kind: `event`: something material happened; `spike`: bad news builds up faster than it should; `slide`: it has
            been getting worse for weeks.
        events: of an event, the codes of what happened (`EVENT_TYPES`), the newest reported first; empty for a spike.
        families: the families of these event types, in the same order.
        tier: `page` for a crisis, `notice` for what is material, `digest` for what is worth a line and no push.
        window_s: the window of the verdict; of an event, the re-arm period of its rule.
        sources: the publishers of the stories.
        expected: the expected number of negative stories; 0 for an event.
        surprise: -log10 of the chance of as many negative stories; 0 for an event.
        threshold: the surprise, or for an event the probability of `material`, from which it notified.
        level: of an event, that of the story that decided. So are `adverse`, `relevance` and `novelty`.
        drivers: of a spike or slide on a group, a topic or the market, the parties that drive it, the strongest first.
        weight: how large the exposure to the target is, by the watchlist.
        corroborated: of an event, whether a second publisher, or title and lead together, confirm it.
    """

    v: int = 1
    id: str
    target: str
    name: str
    groups: tuple[str, ...] = ()
    rule: str = "default"
    kind: AlertKind = "spike"
    events: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    tier: Tier = "notice"
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
    level: Level | None = None
    adverse: Probability | None = None
    relevance: Probability | None = None
    novelty: Probability | None = None
    corroborated: bool = False
    blind: bool = False
    bundle: str = ""
    summary: str
    would_not_fire: str
    evidence: tuple[AlertEvidence, ...] = ()
    drivers: tuple[AlertDriver, ...] = ()
    weight: float = 1.0

    @property
    def priority(self) -> float:
        """Exposure times severity, by which lists may be ordered: a warning counts 1, `high` 2, `critical` 3."""
        return self.weight * _SEVERITY_FACTORS[self.severity]
