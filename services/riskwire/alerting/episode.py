"""An episode: it fires, may escalate, and resolves after calm. Decided from verdicts alone.

While it runs, only stories since the last notification can escalate it, and what has been notified of is part of what
is expected: so the same flow does not ring twice, and a running episode does not hide the next blow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from riskwire.alerting.detector import Verdict
from riskwire.records import Alert, Severity

CRITICAL_SOURCES = 3
CRITICAL_ABOVE = 2.0
"""A page-tier surprise this far above its threshold, from enough sources, is critical."""
HOT = 0.5
"""An episode stays warm while surprise is above this part of the notice threshold (hysteresis)."""


class Move(StrEnum):
    """What to do."""

    NONE = "none"
    FIRE = "fire"
    ESCALATE = "escalate"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The surprise from which each tier notifies."""

    notice: float
    page: float

    def tier(self, surprise: float) -> str | None:
        """The tier that a surprise reaches."""
        if surprise >= self.page:
            return "page"
        return "notice" if surprise >= self.notice else None


@dataclass(slots=True)
class Episode:
    """A running episode.

    Attributes:
        last: the newest alert record, from which the resolving one is made.
        notified_ms: when it was last notified of; only stories after it can escalate.
        hot_ms: when surprise was last above the hysteresis level.
        negative: negative stories notified of so far, part of what is expected from then on.
    """

    last: Alert
    notified_ms: int
    hot_ms: int
    negative: int

    def calm_until(self, calm_ms: int) -> int:
        """When it resolves, unless something happens before."""
        return self.hot_ms + calm_ms


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, the verdict that decided, and whether that was on stories since the last notification only."""

    move: Move
    verdict: Verdict | None = None
    tier: str | None = None
    fresh: bool = False


def decide(
    episode: Episode | None,
    whole: Sequence[Verdict],
    fresh: Sequence[Verdict],
    thresholds: Thresholds,
    min_stories: int,
) -> Decision:
    """Decide on a target that has just had a new negative story.

    Args:
        whole: a verdict for each window, on all its stories.
        fresh: the same on stories since the last notification, expecting what was notified of; empty outside episodes.
    """
    if episode is None:
        verdict = _strongest(whole, min_stories)
        tier = thresholds.tier(verdict.surprise) if verdict else None
        return Decision(Move.FIRE, verdict, tier) if tier else Decision(Move.NONE)
    verdict = _strongest(fresh, min_stories)
    if verdict and (tier := thresholds.tier(verdict.surprise)):
        return Decision(Move.ESCALATE, verdict, "page" if episode.last.tier == "page" else tier, fresh=True)
    if episode.last.tier == "notice":
        verdict = _strongest(whole, min_stories)
        if verdict and thresholds.tier(verdict.surprise) == "page":
            return Decision(Move.ESCALATE, verdict, "page")
    return Decision(Move.NONE)


def _strongest(verdicts: Sequence[Verdict], min_stories: int) -> Verdict | None:
    """The most surprising verdict that may notify; of equals the shortest window."""
    able = [verdict for verdict in verdicts if verdict.worse and verdict.negative >= min_stories]
    return max(able, key=lambda verdict: (verdict.surprise, -verdict.window_s), default=None)


def severity(tier: str, surprise: float, sources: int, thresholds: Thresholds) -> Severity:
    """How bad: the tier, raised by more sources and far greater surprise."""
    if tier != "page":
        return "warning"
    critical = surprise >= thresholds.page + CRITICAL_ABOVE and sources >= CRITICAL_SOURCES
    return "critical" if critical else "high"


def is_hot(whole: Sequence[Verdict], thresholds: Thresholds) -> bool:
    """Whether a surprise keeps an episode warm."""
    return any(verdict.surprise >= HOT * thresholds.notice for verdict in whole)
