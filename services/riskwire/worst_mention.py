"""What an article says of a party that it mentions several times: the worst credible mention decides. Pure.

A risk desk asks whether an article has something adverse for a party. A mean over mentions hides it: one sentence on a
fraud, among nine that call the company by its name, would be neutral. So the level is that of one mention, and not a
mean (decision 0027).

Inference, the store and the history of a newly watched target use these rules. Event alerts judge the mentions of the
title apart from those of the text (decision 0047).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from riskwire.records import ADVERSE_FROM, MAX_EVENTS, EventScore, Level

Events = tuple[EventScore, ...] | None
"""Event types, the most probable first. None means that the bundle does not predict them."""


class MentionRisk(NamedTuple):
    """What the model says of one mention.

    Attributes:
        level: None if the bundle does not predict it.
        speaker: whether the party is mentioned only as rating or commenting on others.
    """

    level: Level | None
    events: Events
    speaker: bool = False


class PartyRisk(NamedTuple):
    """What several mentions together say of a party.

    Attributes:
        level: the level of the decisive mention; None if no mention has a level.
        decisive: the index of the decisive mention; None if no mention has a level.
    """

    level: Level | None
    events: Events
    decisive: int | None


def worst_mention(mentions: Sequence[MentionRisk], adverse_from: float | None) -> PartyRisk:
    """Returns level and event types of a party from its mentions.

    Mentions as a speaker are ignored, unless there are only such. If any other mention counts as adverse, the one with
    the highest `adverse` decides, and the event types are those of all mentions that count as adverse. Otherwise the
    least neutral mention decides, and the event types are those of all mentions. So the first event type never belongs
    to a harmless mention beside an adverse one. Of each event type, the highest score counts.

    The result does not depend on the order of the mentions, except that the first of equal mentions is `decisive`.

    Args:
        mentions: all mentions of the party; none gives an unknown level and unknown event types.
        adverse_from: the `adverse` from which a mention counts as adverse; None for `ADVERSE_FROM`.
    """
    threshold = ADVERSE_FROM if adverse_from is None else adverse_from
    credible = [index for index, mention in enumerate(mentions) if not mention.speaker] or [*range(len(mentions))]
    levels = [(index, level) for index in credible if (level := mentions[index].level) is not None]
    if not levels:
        return PartyRisk(None, strongest_events(mentions[index].events for index in credible), None)
    decisive, level = max(levels, key=lambda item: (item[1].adverse, item[1].material, -item[1].neutral))
    if level.adverse >= threshold:
        credible = [index for index, mention_level in levels if mention_level.adverse >= threshold]
    else:
        decisive, level = max(levels, key=lambda item: (-item[1].neutral, item[1].adverse, item[1].material))
    return PartyRisk(level, strongest_events(mentions[index].events for index in credible), decisive)


def strongest_events(several: Iterable[Events]) -> Events:
    """Returns at most `MAX_EVENTS` event types, each with its highest score, the highest first.

    Equal scores are ordered by label. The result is None if every part is None, and if there are no parts.
    """
    scores: dict[str, float] = {}
    known = False
    for events in several:
        if events is None:
            continue
        known = True
        for event in events:
            scores[event.label] = max(event.score, scores.get(event.label, 0.0))
    if not known:
        return None
    best = sorted((-score, label) for label, score in scores.items())[:MAX_EVENTS]
    return tuple([EventScore.unvalidated(label=label, score=-negated) for negated, label in best])
