"""The verdict on one event of a target that a story states: the tier in which it is reported, or why it is not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from riskwire.alerting.events.memory import EventMemory
from riskwire.alerting.events.reading import Happening
from riskwire.alerting.events.rules import TIER_RANK
from riskwire.records import NearMissReason, Signal, Tier

_FOLLOW_UP: Final = ("threshold", "level", "corroboration")
"""Reasons that give way to `same_episode`: a story of the running alert is a follow-up, however sure it is."""


@dataclass(frozen=True, slots=True)
class EventVerdict:
    """Whether a happening is reported, and how that was decided.

    Attributes:
        tier: the tier in which it is reported; for one that is not, the tier that its rule would give it.
        reason: why it is not reported; None if it is.
        novelty: how new it is for the target, 0 to 1.
        publishers: the publishers that reported it so far.
        corroborated: whether a second publisher confirms it, or title and lead of the article agree.
    """

    happening: Happening
    tier: Tier
    reason: NearMissReason | None
    novelty: float
    publishers: int
    corroborated: bool

    @property
    def rank(self) -> tuple[int, int]:
        """How bad it is: the tier, then the step."""
        return TIER_RANK[self.tier], self.happening.step


def judge(
    signal: Signal, happening: Happening, memory: EventMemory, present: Iterable[str], now_ms: int, wait_ms: int
) -> EventVerdict:
    """Returns the verdict on one thing that a story says happened to its target. Changes nothing.

    Args:
        memory: what the target was notified of.
        present: the publishers of stories that the present bucket has reported of this family.
        wait_ms: how long a doubtful story waits for a further publisher.
    """
    in_bucket = list(present)
    publishers = memory.publishers(happening.family, [signal.source_key, *in_bucket], now_ms, wait_ms)
    least = happening.rule.least_sources
    corroborated = publishers >= max(2, least) or (signal.confirmed and publishers >= least)
    tier, reason = _strength(signal, happening, publishers, corroborated=corroborated)
    novelty = memory.novelty(happening, signal.story, tier, now_ms)
    episode = memory.episode
    if novelty < 1.0 and (reason is None or reason in _FOLLOW_UP):
        running = episode is not None and happening.family in episode.last.families
        reason = "same_episode" if in_bucket or running else reason or "novelty"
    elif reason is None and tier == "digest" and episode is not None and episode.last.tier != "digest":
        reason = "same_episode"  # a line of the digest is a follow-up of an alert that notified
    return EventVerdict(happening, tier, reason, novelty, publishers, corroborated)


def _strength(
    signal: Signal, happening: Happening, publishers: int, *, corroborated: bool
) -> tuple[Tier, NearMissReason | None]:
    """Returns the tier in which a story is reported if it is new, and the reason if it is not sure enough."""
    rule, level, adverse = happening.rule, signal.level, happening.adverse
    assert level is not None
    tier = rule.tier_of(corroborated=corroborated)
    reason: NearMissReason | None = None
    if tier == "none":
        return "digest", "muted"
    if signal.relevance < rule.relevance:
        reason = "relevance"
    elif happening.fires_outright and publishers >= rule.least_sources:
        reason = None
    elif adverse >= rule.adverse and level.material >= rule.doubtful:
        alone = level.material >= rule.threshold and publishers >= rule.least_sources
        reason = None if alone or corroborated else "corroboration"
    elif adverse >= rule.mild:
        tier = "digest"
    else:
        reason = "threshold" if level.label(signal.adverse_from) == "material" else "level"
    return tier, reason
