"""Explanations of event alerts and near misses, in words that a risk officer can check."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Final

from riskwire.alerting.events.reading import Happening
from riskwire.alerting.events.verdict import EventVerdict, probability_in_text
from riskwire.alerting.explain import duration
from riskwire.records import NearMissReason, Signal, event_label

DENIED: Final = "It tells of a relief or a denial, which never fires."
"""Why a relief or a denial did not notify."""
_QUOTED: Final = 200
"""Characters of a sentence of the text that are shown beside a title."""


def _what(happening: Happening) -> str:
    label = event_label(happening.type)
    return f"{label} feared" if happening.feared else label


def publisher_of(signal: Signal) -> str:
    """Returns the publisher of an article, or the feed if it has none."""
    return signal.publisher or signal.source


def summary(signal: Signal, happenings: Sequence[Happening], stories: int, sources: int) -> str:
    """Returns what happened: the party, the types of event, and title and publisher of the story that decided.

    Args:
        happenings: what is new for the party, the worst first.
        stories: the stories of the episode, if it was running; else 1.
        sources: their publishers.
    """
    event = ", ".join(dict.fromkeys(map(_what, happenings)))
    text = f"{signal.name}: {event}. '{signal.title}' ({publisher_of(signal)})"
    if stories > 1:
        text += f"; {stories} stories from {sources} {'publisher' if sources == 1 else 'publishers'}"
    return text


def would_not_fire(signal: Signal, happening: Happening, *, corroborated: bool) -> str:
    """Returns in a sentence what it would have taken not to fire."""
    rule, material = happening.rule, signal.level.material if signal.level is not None else 0.0
    again = f"nor if as much had been told of it within {_days(rule.rearm_days)}."
    if not signal.in_title:
        again = (
            f"nor, as its title does not name the target, with relevance times probability below {rule.text_only:.2f}, "
            f"where it is {probability_in_text(signal, happening):.2f}; {again}"
        )
    if happening.fires_outright:
        return (
            f"It would not have fired with a probability below {rule.outright:.2f} that it concerns the target, where "
            f"it is {happening.adverse:.2f}; nor if the words did not state it outright; {again}"
        )
    limit = rule.doubtful if corroborated and material < rule.threshold else rule.threshold
    text = f"It would not have fired with a probability of a material event below {limit:.2f}, where it is "
    text += f"{material:.2f}; nor below {rule.adverse:.2f} of an adverse one, where it is {happening.adverse:.2f}"
    if limit != rule.threshold:
        text += "; nor without a second publisher"
    return f"{text}; {again}"


def digest_would_not_fire(happening: Happening) -> str:
    """Returns in a sentence what would have kept a line out of the digest."""
    rule = happening.rule
    return (
        f"It would not be in the digest with a probability of an adverse event below {rule.mild:.2f}, where it is "
        f"{happening.adverse:.2f}; nor if as much had been told of it within {_days(rule.rearm_days)}."
    )


def detail(signal: Signal, verdict: EventVerdict) -> str:
    """Returns why a story did not notify, with the figures that decided."""
    happening, rule = verdict.happening, verdict.happening.rule
    event, days = event_label(happening.type), _days(rule.rearm_days)
    material = signal.level.material if signal.level is not None else 0.0
    adverse = happening.adverse
    again = f"{event} is new again after {days}"
    if rule.settled_ms > rule.rearm_ms:
        again += f", and after {_days(rule.settled_days)} if it was told as a fact"
    outright = ""
    if happening.outright:
        outright = f" Its words state it outright, for which an adverse level with {rule.outright:.2f} fires."
    relevance = f"Its relevance for the target is {signal.relevance:.2f}; {rule.relevance:.2f} is the least."
    if signal.relevance >= rule.relevance:
        relevance = (
            f"Its title does not name the target, or only as commenting on others. Relevance times probability is "
            f"{probability_in_text(signal, happening):.2f}; from {rule.text_only:.2f} the text alone fires."
        )
    details: dict[NearMissReason | None, str] = {
        "backfill": "It is past: published long before it was seen, or before the target was watched.",
        "level": f"It is not material for the target: the probability is {material:.2f}; {rule.threshold:.2f} "
        f"fires.{outright}",
        "threshold": f"It is material with {material:.2f} and adverse with {adverse:.2f}; for {event}, "
        f"{rule.threshold:.2f} and {rule.adverse:.2f} fire.{outright}",
        "relevance": relevance,
        "novelty": f"As much, or the same story, was told before; {again}.",
        "same_episode": f"The running alert has told of {event}, and counts this story.",
        "corroboration": f"{verdict.publishers} of {max(2, rule.least_sources)} publishers reported it, and material "
        f"with {material:.2f} is doubtful where {rule.threshold:.2f} fires.",
        "muted": f"The rules tell nothing of {event} for this target.",
    }
    return details.get(verdict.reason, "")


def beside_title(signal: Signal) -> str:
    """Returns that the title decides, and what a sentence of the text says; empty if no sentence of it is worse."""
    reading = signal.title_reading
    if reading is None or signal.adverse is None or signal.adverse <= reading.level.adverse:
        return ""
    text = textwrap.shorten(signal.evidence.text, _QUOTED, placeholder=" …")
    return f" Its title decides. A sentence of its text is adverse with {signal.adverse:.2f}: '{text}'"


def resolved(name: str, calm_s: int, blind: bool, summary: str, stories: int) -> str:
    """Returns why an event alert ended, how many stories it had, and what it was about.

    Args:
        calm_s: how long no story of it has come.
        blind: whether the stream had too little news for the calm to mean anything.
        summary: that of the last record before.
    """
    end = f"{name}: no further story for {duration(calm_s)}"
    if blind:
        end += ", but there was hardly any news to see: blind, not calm"
    count = "1 story" if stories == 1 else f"{stories} stories"
    return f"{end}; {count} in all. It was: {summary.removeprefix(f'{name}: ')}"


def _days(days: float) -> str:
    return "1 day" if days == 1 else f"{days:g} days"
