"""What a signal says happened to its target: event types with their families and steps, and whether it may be told."""

from __future__ import annotations

from dataclasses import dataclass

from riskwire.alerting.events.rules import OTHER, EventRule, EventRules
from riskwire.records import EventScore, Signal

_RELIEF = "relief"
"""The event type of trouble that ends."""


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that a story says happened to its target.

    Attributes:
        type: the event type.
        family: its family.
        step: how far it went: two for each step of the family, and one more if it happened and is not only feared.
        feared: whether the title says that it may happen.
        rule: the rule for the type on this target.
    """

    type: str
    family: str
    step: int
    feared: bool
    rule: EventRule


def happenings(signal: Signal, rules: EventRules) -> list[Happening]:
    """Returns what a story says happened to its target, the surest first, one of each family.

    The words of the sentence that mentions the target decide the type, where they state one: a type that stands in the
    text is surer than one that the model infers. Else it is that of the model: of a family, the type with the highest
    step. Favourable types are left out. A story without a type of a family is of the type `other`.
    """
    feared = rules.is_feared(signal.title)
    by_family: dict[str, Happening] = {}
    stated = rules.stated_type(signal.evidence.text)
    events = signal.events or () if stated is None else (EventScore.unvalidated(label=stated, score=1.0),)
    for event in events:
        place = rules.places.get(event.label)
        if place is None or event.score < rules.type_from or event.label == OTHER:
            continue
        step = 2 * place.step + (not feared)
        known = by_family.get(place.family)
        if known is None or known.step < step:
            rule = rules.rule(event.label, signal.target, signal.groups)
            by_family[place.family] = Happening(event.label, place.family, step, feared, rule)
    if not by_family:
        place = rules.places[OTHER]
        rule = rules.rule(OTHER, signal.target, signal.groups)
        return [Happening(OTHER, place.family, 2 * place.step + (not feared), feared, rule)]
    return list(by_family.values())


def is_good_news(signal: Signal, rules: EventRules) -> bool:
    """Returns whether a story is a relief or a denial, so that it is never told, however adverse its words are."""
    best = signal.events[0] if signal.events else None
    return (
        (best is not None and best.label == _RELIEF) or rules.is_denied(signal.title) or rules.is_relief(signal.title)
    )
