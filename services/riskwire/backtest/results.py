"""The results of a back-test, as the report shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from riskwire.backtest.event_list import ListedEvent
from riskwire.backtest.figures import MatchFigures
from riskwire.backtest.matching import Matches
from riskwire.backtest.missed import MissedReason
from riskwire.records import Alert, Record


class NotificationRate(Record):
    """How often riskwire notified, for one kind and tier of alerts.

    Attributes:
        count: fires and escalations; for the digest, lines.
        a_month: the same a month of 30 days.
        per_target: the same a month and target with at least `MIN_ARTICLES` articles.
    """

    kind: str
    tier: str
    count: int
    a_month: float
    per_target: float


@dataclass(frozen=True, slots=True)
class RivalResult:
    """What a rival reported at its setting.

    Attributes:
        setting: the value of its knob.
    """

    name: str
    setting: float
    figures: MatchFigures


@dataclass(frozen=True, slots=True)
class BacktestResults:
    """The results of a back-test.

    Attributes:
        notifications: fires and escalations of the tiers page and notice, by time.
        first, last: the times of the first and the last article.
        months: months of 30 days between them.
        rates: by kind and tier.
        matches, figures, missed, rivals: None or empty without a list of events.
    """

    archive: str
    bundle: str
    articles: int
    signals: int
    first: datetime
    last: datetime
    months: float
    targets: int
    notifications: Sequence[Alert]
    rates: Sequence[NotificationRate]
    matches: Matches | None = None
    figures: MatchFigures | None = None
    missed: Sequence[tuple[ListedEvent, MissedReason]] = ()
    rivals: Sequence[RivalResult] = field(default=())

    @property
    def missed_by_reason(self) -> list[tuple[str, int]]:
        """How many events were missed for each reason, the most frequent first."""
        return Counter(reason.reason for _, reason in self.missed).most_common()


MIN_ARTICLES = 10
"""Articles from which a target counts in rates per target and month."""


def notification_rates(alerts: Sequence[Alert], months: float, targets: int) -> list[NotificationRate]:
    """Returns the rates of fires and escalations, by kind and tier; the most urgent first.

    Args:
        targets: the number of targets with at least `MIN_ARTICLES` articles.
    """
    counts = Counter((alert.kind, alert.tier) for alert in alerts if alert.status != "resolved")
    tiers = {"page": 0, "notice": 1, "digest": 2}
    return [
        NotificationRate(
            kind=kind,
            tier=tier,
            count=count,
            a_month=round(count / months, 2),
            per_target=round(count / months / max(targets, 1), 5),
        )
        for (kind, tier), count in sorted(counts.items(), key=lambda item: (item[0][0], tiers[item[0][1]]))
    ]
