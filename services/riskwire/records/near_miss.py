"""Records of the topic `near-misses`: stories that came near an alert and did not notify, each with the reason."""

from __future__ import annotations

from typing import Literal

from riskwire.records.alert import Alert
from riskwire.records.codec import Probability, Record, Utc, content_id
from riskwire.records.risk import EventScore, Level

NearMissReason = Literal[
    "level",
    "same_episode",
    "backfill",
    "language",
    "relevance",
    "novelty",
    "threshold",
    "corroboration",
    "muted",
]
"""Why a story did not notify.

- `level`: it is favourable or neutral for the target, or denies what it speaks of.
- `same_episode`: the running episode has reported the event already, and counts the story.
- `backfill`: it was published long before it was seen, or is the past of a newly watched target.
- `language`: the bundle does not read its language.
- `relevance`: it mentions the target in passing, or in its text alone and not surely enough.
- `novelty`: the same was reported within the re-arm period.
- `threshold`: it is adverse, but less surely material than the rule asks for.
- `corroboration`: it is doubtful, or its rule asks for more publishers, and no further one has reported it.
- `muted`: a rule, or a person, silenced the target or the type.
"""


class NearMiss(Record):
    """A story that came near an event alert of a target and did not notify.

    Attributes:
        id: follows from the target, the article and its version.
        at: the end of the bucket in which it was decided.
        detail: the reason in a sentence, with the figures that decided.
        alert: the id of the running episode that the story joined; empty without one.
        family: the family of event types that decided.
        novelty: 0 if the same was reported just now, 1 if it is new for the target.
        threshold: the probability of `material` that the rule asks for.
    """

    v: int = 1
    id: str
    target: str
    name: str
    groups: tuple[str, ...] = ()
    at: Utc
    reason: NearMissReason
    detail: str = ""
    alert: str = ""
    story: str
    article: str
    version: int = 1
    title: str
    url: str
    source: str
    publisher: str = ""
    published_at: Utc
    seen_at: Utc
    text: str = ""
    level: Level | None = None
    adverse: Probability | None = None
    events: tuple[EventScore, ...] | None = None
    family: str = ""
    relevance: Probability = 1.0
    novelty: Probability = 1.0
    threshold: Probability = 0.0
    bundle: str = ""


def near_miss_of_alert(alert: Alert, detail: str) -> NearMiss | None:
    """Returns a muted alert as a near miss, so that it is listed; None if it has no story, or has ended.

    Args:
        detail: the mute, in a sentence.
    """
    if not alert.evidence or alert.status == "resolved":
        return None
    story = alert.evidence[0]
    return NearMiss(
        id=content_id("near-miss", alert.target, alert.id, alert.at.isoformat(), "muted"),
        target=alert.target,
        name=alert.name,
        groups=alert.groups,
        at=alert.at,
        reason="muted",
        detail=f"{detail} {alert.summary}",
        alert=alert.id,
        story=story.story,
        article=story.article,
        title=story.title,
        url=story.url,
        source=story.source,
        publisher=story.publisher,
        published_at=story.published_at or story.seen_at,
        seen_at=story.seen_at,
        text=story.text,
        level=story.level,
        adverse=story.adverse,
        events=story.events,
        family=alert.families[0] if alert.families else "",
        relevance=1.0 if story.relevance is None else story.relevance,
        novelty=1.0 if story.novelty is None else story.novelty,
        threshold=alert.threshold if alert.kind == "event" else 0.0,
        bundle=alert.bundle,
    )
