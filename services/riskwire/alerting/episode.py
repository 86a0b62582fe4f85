"""An episode: it fires, may escalate, and resolves after calm. Decided from verdicts alone.

During an episode only stories since the last notification can escalate it, and the stories notified of count as
expected. So one flow of news notifies once, and a running episode does not hide the next blow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from riskwire.alerting.detectors.rate_detector import WindowVerdict
from riskwire.records import Alert, Severity

CRITICAL_SOURCES = 3
CRITICAL_ABOVE = 2.0
"""A page is critical when its surprise is this far above the threshold and it has `CRITICAL_SOURCES`."""
HOT = 0.5
"""An episode is hot while the surprise is above this part of the notice threshold (hysteresis)."""


class EpisodeMove(StrEnum):
    """What happens to an episode."""

    NONE = "none"
    FIRE = "fire"
    ESCALATE = "escalate"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The surprise from which each tier notifies."""

    notice: float
    page: float

    def tier(self, surprise: float) -> str | None:
        """Returns the tier that a surprise reaches: `page`, `notice`, or None below both thresholds."""
        if surprise >= self.page:
            return "page"
        return "notice" if surprise >= self.notice else None


@dataclass(slots=True)
class Episode:
    """A running episode.

    Attributes:
        last: the newest alert record, from which the resolving one is made.
        notified_ms: the time of the last notification; only later stories can escalate the episode.
        hot_ms: when the surprise was last above the hysteresis level.
        negative: negative stories notified of so far; they count as expected from then on.
    """

    last: Alert
    notified_ms: int
    hot_ms: int
    negative: int

    def calm_until_ms(self, calm_ms: int) -> int:
        """When the episode resolves, unless it is hot again before."""
        return self.hot_ms + calm_ms


@dataclass(frozen=True, slots=True)
class EpisodeDecision:
    """What happens to an episode, and why.

    Attributes:
        verdict: the verdict that decided.
        tier: the tier of the notification.
        since_notified: whether the verdict is on the stories since the last notification.
    """

    move: EpisodeMove
    verdict: WindowVerdict | None = None
    tier: str | None = None
    since_notified: bool = False


def decide(
    episode: Episode | None,
    verdicts: Sequence[WindowVerdict],
    verdicts_since_notified: Sequence[WindowVerdict],
    thresholds: Thresholds,
    min_stories: int,
) -> EpisodeDecision:
    """Returns whether a target that just had a new negative story fires, escalates or does nothing, and why.

    Without an episode (a running alert) it can fire. With one it can escalate: for new stories that are surprising in
    themselves, or when a notice becomes a page. A page stays one. Only windows that are `worse` than the target's past
    in share or score can notify.

    Args:
        verdicts: a verdict for each window, on all its stories.
        verdicts_since_notified: a verdict for each window on the stories since the last notification; stories of
            notifications count as expected. Empty without an episode.
        thresholds: the surprise from which an alert is a notice or a page.
        min_stories: the least number of negative stories in a window that can notify.
    """
    if episode is None:
        verdict = _strongest(verdicts, min_stories)
        tier = thresholds.tier(verdict.surprise) if verdict else None
        return EpisodeDecision(EpisodeMove.FIRE, verdict, tier) if tier else EpisodeDecision(EpisodeMove.NONE)
    verdict = _strongest(verdicts_since_notified, min_stories)
    if verdict and (tier := thresholds.tier(verdict.surprise)):
        tier = "page" if episode.last.tier == "page" else tier
        return EpisodeDecision(EpisodeMove.ESCALATE, verdict, tier, since_notified=True)
    if episode.last.tier == "notice":
        verdict = _strongest(verdicts, min_stories)
        if verdict and thresholds.tier(verdict.surprise) == "page":
            return EpisodeDecision(EpisodeMove.ESCALATE, verdict, "page")
    return EpisodeDecision(EpisodeMove.NONE)


def _strongest(verdicts: Sequence[WindowVerdict], min_stories: int) -> WindowVerdict | None:
    """Returns the most surprising verdict that may notify; the shortest window among equals; None if none may.

    One may notify if its window has at least `min_stories` negative stories and is worse than the target's past.
    """
    eligible = [verdict for verdict in verdicts if verdict.worse and verdict.negative >= min_stories]
    return max(eligible, key=lambda verdict: (verdict.surprise, -verdict.window_s), default=None)


def severity(tier: str, surprise: float, sources: int, thresholds: Thresholds) -> Severity:
    """Returns `warning` for a notice; for a page `high`, or `critical` with many sources and a very high surprise."""
    if tier != "page":
        return "warning"
    critical = surprise >= thresholds.page + CRITICAL_ABOVE and sources >= CRITICAL_SOURCES
    return "critical" if critical else "high"


def is_hot(verdicts: Sequence[WindowVerdict], thresholds: Thresholds) -> bool:
    """Returns whether a window is surprising enough to prolong the episode, which ends after a time of calm."""
    return any(verdict.surprise >= HOT * thresholds.notice for verdict in verdicts)
