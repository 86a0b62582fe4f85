"""The records of event alerts and near misses, from what was decided."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from riskwire.alerting.events import explain
from riskwire.alerting.events.memory import MAX_PUBLISHERS, EventEpisode
from riskwire.alerting.events.rules import TIER_RANK
from riskwire.alerting.events.verdict import EventVerdict
from riskwire.alerting.target_story import evidence_of, shared_fields
from riskwire.records import (
    Alert,
    AlertEvidence,
    NearMiss,
    Severity,
    Signal,
    content_id,
    from_ms,
)

RULE: Final = "event"
"""The rule of event alerts, which is a part of their ids."""
_SEVERITY_RANK: Final[dict[Severity, int]] = {"warning": 0, "high": 1, "critical": 2}


@dataclass(frozen=True, slots=True)
class ToldStory:
    """A story that notifies, with the verdicts on what is new in it, the worst first."""

    signal: Signal
    news: tuple[EventVerdict, ...]

    @property
    def rank(self) -> tuple[tuple[int, int], float, float]:
        """How bad it is; of equals, the surest."""
        level = self.signal.level
        return self.news[0].rank, level.material if level else 0.0, self.signal.adverse or 0.0


def alert_episode(
    episode: EventEpisode | None,
    told: Sequence[ToldStory],
    worst: ToldStory,
    followed: Sequence[tuple[Signal, float]],
    present: Sequence[str],
    now_ms: int,
    max_evidence: int,
) -> EventEpisode:
    """Returns the episode of a target after stories that notify, with the record to publish.

    Args:
        episode: the running episode, which escalates; None to fire.
        told: the stories of one bucket that notify, in their order.
        worst: the story that decides.
        followed: their follow-ups in the same bucket, with their novelty.
        present: the keys of the publishers of both.
        max_evidence: the most stories of the evidence.
    """
    ranked = sorted(told, key=lambda story: story.rank, reverse=True)
    news = sorted([new for story in ranked for new in story.news], key=lambda new: new.rank, reverse=True)
    evidence = [evidence_of(story.signal, story.news[0].novelty) for story in ranked]
    evidence += [evidence_of(signal, novelty) for signal, novelty in followed]
    evidence += () if episode is None else episode.evidence
    del evidence[max_evidence:]
    publishers = _distinct([*(() if episode is None else episode.publishers), *present])[:MAX_PUBLISHERS]
    stories = (0 if episode is None else episode.stories) + len(told) + len(followed)
    last = None if episode is None else episode.last
    alert = _alert(last, worst, news, stories, len(publishers), tuple(evidence), now_ms)
    return EventEpisode(alert, now_ms, now_ms, stories, list(publishers), evidence)


def _alert(
    last: Alert | None,
    worst: ToldStory,
    news: Sequence[EventVerdict],
    stories: int,
    sources: int,
    evidence: tuple[AlertEvidence, ...],
    now_ms: int,
) -> Alert:
    """Returns the record of an event alert that fires, or that escalates from `last`."""
    signal, new = worst.signal, worst.news[0]
    level, rule = signal.level, new.happening.rule
    assert level is not None
    tiers = [new.tier for new in news]
    severities = [item.happening.rule.severity_of(item.tier) for item in news]
    if last is not None:
        tiers.append(last.tier)
        severities.append(last.severity)
    opened = from_ms(now_ms) if last is None else last.opened_at
    if new.tier == "digest":
        would_not_fire = explain.digest_would_not_fire(new.happening)
    else:
        would_not_fire = explain.would_not_fire(signal, new.happening, corroborated=new.corroborated)
    return Alert(
        id=content_id("alert", signal.target, RULE, opened.isoformat()),
        target=signal.target,
        name=signal.name,
        groups=signal.groups,
        rule=RULE,
        kind="event",
        events=_distinct([*[item.happening.type for item in news], *(last.events if last else ())]),
        families=_distinct([*[item.happening.family for item in news], *(last.families if last else ())]),
        tier=max(tiers, key=TIER_RANK.__getitem__),
        status="firing" if last is None else "escalated",
        severity=max(severities, key=_SEVERITY_RANK.__getitem__),
        opened_at=opened,
        at=from_ms(now_ms),
        window_s=rule.rearm_ms // 1000,
        stories=stories,
        sources=sources,
        expected=0.0,
        surprise=0.0,
        threshold=rule.threshold,
        score=round(signal.sentiment.score, 4),
        level=level,
        adverse=signal.adverse,
        relevance=signal.relevance,
        novelty=new.novelty,
        corroborated=new.corroborated,
        bundle=signal.bundle,
        summary=explain.summary(signal, [item.happening for item in news], stories, sources),
        would_not_fire=would_not_fire,
        evidence=evidence,
        weight=signal.weight,
    )


def near_miss(signal: Signal, verdict: EventVerdict, now_ms: int, alert: str, detail: str) -> NearMiss:
    """Returns the record of a story that came near and did not notify.

    Args:
        alert: the id of the running alert that it joined, or empty.
        detail: the reason in words.
    """
    assert verdict.reason is not None
    return NearMiss.unvalidated(
        **shared_fields(signal, NearMiss),
        id=content_id("near-miss", signal.target, signal.article, str(signal.version), verdict.reason),
        at=from_ms(now_ms),
        reason=verdict.reason,
        detail=detail,
        alert=alert,
        text=signal.evidence.text,
        family=verdict.happening.family,
        novelty=verdict.novelty,
        threshold=verdict.happening.rule.threshold,
    )


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    """Returns the values without repeats, in order."""
    return tuple(dict.fromkeys(values))
