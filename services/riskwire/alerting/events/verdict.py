"""The verdict on one event that a story states about its target: the tier of the report, or why it is not reported."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from riskwire.alerting.events.memory import EventMemory
from riskwire.alerting.events.reading import Happening
from riskwire.alerting.events.rules import TIER_RANK
from riskwire.records import NearMissReason, Signal, Tier

_FOLLOW_UP: Final = ("threshold", "level", "corroboration")
"""Reasons that `same_episode` replaces: a story of the running alert is a follow-up, whatever its probabilities are."""


@dataclass(frozen=True, slots=True)
class EventVerdict:
    """Whether a happening is reported, and how that was decided.

    Attributes:
        tier: the tier in which it is reported, or in which its rule would report it.
        reason: why it is not reported; None if it is.
        novelty: how new it is for the target, 0 to 1.
        publishers: the number of publishers that have reported it so far.
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
        """The order of verdicts by severity: the tier, then the step."""
        return TIER_RANK[self.tier], self.happening.step


def judge(
    signal: Signal,
    happening: Happening,
    memory: EventMemory,
    bucket_publishers: Collection[str],
    now_ms: int,
    wait_ms: int,
) -> EventVerdict:
    """Returns the verdict on one event that a story states about its target. Changes nothing.

    Args:
        memory: the event state of the target.
        bucket_publishers: the keys of the publishers whose stories of this family were reported in the present bucket.
        wait_ms: how long a doubtful story waits for another publisher.
    """
    publishers = memory.count_publishers(happening.family, [signal.source_key, *bucket_publishers], now_ms, wait_ms)
    least_sources = happening.rule.least_sources
    corroborated = publishers >= max(2, least_sources) or (signal.confirmed and publishers >= least_sources)
    tier, reason = _tier_and_reason(signal, happening, publishers, corroborated=corroborated)
    novelty = memory.novelty(happening, signal.story, tier, now_ms)
    episode = memory.episode
    if novelty < 1.0 and (reason is None or reason in _FOLLOW_UP):
        is_running = episode is not None and happening.family in episode.last.families
        reason = "same_episode" if bucket_publishers or is_running else reason or "novelty"
    elif reason is None and tier == "digest" and episode is not None and episode.last.tier != "digest":
        reason = "same_episode"  # a story of the digest is a follow-up of an alert that notified
    return EventVerdict(happening, tier, reason, novelty, publishers, corroborated)


def probability_in_text(signal: Signal, happening: Happening) -> float:
    """Returns what `text_only` bounds where the title does not name the target: relevance times the probability."""
    material = signal.level.material if signal.level is not None else 0.0
    return signal.relevance * (happening.adverse if happening.fires_outright else material)


def _tier_and_reason(
    signal: Signal, happening: Happening, publishers: int, *, corroborated: bool
) -> tuple[Tier, NearMissReason | None]:
    """Returns the tier in which a story is reported if it is new, and why its probabilities do not suffice, or None."""
    rule, level, adverse = happening.rule, signal.level, happening.adverse
    assert level is not None
    tier = rule.tier_of(corroborated=corroborated)
    reason: NearMissReason | None = None
    if tier == "none":
        return "digest", "muted"
    is_weak_text = not signal.in_title and probability_in_text(signal, happening) < rule.text_only
    if signal.relevance < rule.relevance or is_weak_text:
        reason = "relevance"
    elif happening.fires_outright and publishers >= rule.least_sources:
        reason = None
    elif adverse >= rule.adverse and level.material >= rule.doubtful:
        is_sufficient_alone = level.material >= rule.threshold and publishers >= rule.least_sources
        reason = None if is_sufficient_alone or corroborated else "corroboration"
    elif adverse >= rule.mild:
        tier = "digest"
    else:
        reason = "threshold" if level.label(signal.adverse_from) == "material" else "level"
    return tier, reason
