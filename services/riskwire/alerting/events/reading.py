"""What a signal says happened to its target: event types, their families and steps, and whether it is good news."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from riskwire.alerting.events.rules import OTHER, EventRule, EventRules
from riskwire.alerting.events.words import StatedType
from riskwire.records import Signal

_RELIEF: Final = "relief"
"""The event type of trouble that ends."""


FEARED, STATED, DONE = range(3)
"""How far something went within a step of its family: it may happen, it is said to happen, it is a fact."""
_STAGES: Final = 3


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that a story says happened to its target.

    Attributes:
        type: the event type.
        family: its family.
        step: how far it went: the step of the family, and within it feared, stated or done.
        rule: the rule for the type on this target.
        outright: whether the words state a severe fact, so that it only matters whether it concerns the target.
        adverse: the probability that it is adverse; that of help for a failing party counts good words too.
    """

    type: str
    family: str
    step: int
    rule: EventRule
    outright: bool
    adverse: float

    @property
    def feared(self) -> bool:
        """Whether the title says that it may happen."""
        return self.step % _STAGES == FEARED

    @property
    def fires_outright(self) -> bool:
        """Whether its words are enough, since it concerns the target."""
        return self.outright and self.adverse >= self.rule.outright


def is_done(step: int) -> bool:
    """Returns whether a step says that something is a fact, such as a filing, and is no more feared or planned."""
    return step % _STAGES == DONE


def happenings(signal: Signal, rules: EventRules) -> list[Happening]:
    """Returns what a story says happened to its target, the surest first, one of each family.

    The words of the sentence that mentions the target decide the type, where they state one: a type that is in the
    text is surer than one that the model infers. Else it is that of the model: of a family, the type with the highest
    step. Favourable types are left out. A story without a type of a family is of the type `other`.
    """
    words = rules.words
    text = signal.evidence.text
    stated = words.stated(words.without_good_news(text) or text)
    by_family: dict[str, Happening] = {}
    if stated is None:
        for event in signal.events or ():
            place = rules.places.get(event.label)
            if place is None or event.score < rules.type_from or event.label == OTHER:
                continue
            happening = _happening(signal, rules, StatedType(event.label))
            known = by_family.get(place.family)
            if known is None or known.step < happening.step:
                by_family[place.family] = happening
        stated = StatedType(OTHER)
    return list(by_family.values()) or [_happening(signal, rules, stated)]


def _happening(signal: Signal, rules: EventRules, stated: StatedType) -> Happening:
    """Returns that an event of a type happened to the target of a signal, or is feared.

    The clause that states the type tells which; where the model infers the type, the whole title.
    """
    words, place = rules.words, rules.places[stated.type]
    stage = STATED
    if words.is_feared(stated.clause or signal.title):
        stage = FEARED
    elif words.is_done(stated.type, stated.clause or signal.evidence.text):
        stage = DONE
    return Happening(
        stated.type,
        place.family,
        _STAGES * place.step + stage,
        rules.rule(stated.type, signal.target, signal.groups),
        stated.outright,
        adverse_of(signal, rescue=stated.outright and stated.rescue),
    )


def adverse_of(signal: Signal, *, rescue: bool) -> float:
    """Returns the probability that a story is adverse for its target.

    Who needs a rescue is failing, however glad the words are. So a rescue is adverse unless it is neutral, which it is
    for the helper.
    """
    level = signal.level
    if rescue and level is not None:
        return 1.0 - level.neutral
    return signal.adverse or 0.0


def is_good_news(signal: Signal, rules: EventRules) -> bool:
    """Returns whether a story is a relief or a denial, so that it is never reported, however adverse its words are.

    It is not if another clause of the title states an event: "wins debt reprieve, warns of liquidation".
    """
    words, title = rules.words, signal.title
    remaining = words.without_good_news(title)
    if remaining != title:
        return words.stated(remaining) is None
    best = signal.events[0] if signal.events else None
    return best is not None and best.label == _RELIEF
