"""The search for the thresholds of event types: most events reported for a number of notifications. Pure.

A type has two thresholds: the probability of `material` from which a story notifies, and the probability of an adverse
level from which a story is reported whose words state the fact outright. A year has few events of most types. So the
thresholds of a type are drawn toward those of the rules in force (see `shrunk`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

ENOUGH_LABELLED = 20
"""Labelled texts from which the precision of an event type counts."""
PRIOR_EVENTS = 20.0
"""How many events of a type the thresholds in force are worth: as many as a type has on average in a year."""
LEAST_THRESHOLD = 0.15
LEAST_OUTRIGHT = 0.2
"""No threshold is lower, whatever a year suggests."""
CAREFUL_OUTRIGHT = ((0.8, 0.2), (0.6, 0.45), (0.0, 0.6))
"""The least `outright` threshold by how many adverse labelled texts with these words are material: from .8 on .2 …"""
CRISIS_WEIGHT = 3


@dataclass(frozen=True, slots=True)
class TypeThresholds:
    """The thresholds of an event type.

    Attributes:
        material: from this probability of a material level on a story is reported.
        outright: from this probability of an adverse level on a story notifies whose words state the fact; 1 for never.
    """

    material: float
    outright: float = 1.0

    def at_most(self, limit: TypeThresholds) -> TypeThresholds:
        """Returns the lower ones of these thresholds and others."""
        return TypeThresholds(min(self.material, limit.material), min(self.outright, limit.outright))

    def moved(self, shift: float) -> TypeThresholds:
        """Returns the thresholds for a bundle that is surer by a shift of the logit, or less sure if it is negative.

        An `outright` threshold of 1 means never, and stays.
        """
        return TypeThresholds(
            _moved(self.material, shift), self.outright if self.outright >= 1.0 else _moved(self.outright, shift)
        )

    def rule(self) -> dict[str, float]:
        """Returns the values of the rule: a doubtful story may be a little less sure, and `material` decides alone."""
        return {
            "threshold": self.material,
            "doubtful": round(max(self.material - 0.05, LEAST_THRESHOLD), 2),
            "adverse": min(0.5, self.material),
            "outright": self.outright,
        }


@dataclass(frozen=True, slots=True)
class TypePoint:
    """What stories of one event type tell with certain thresholds.

    Attributes:
        told: the indexes of the events that it tells.
        precision: the share of labelled texts that are material among those that would be reported; None without one.
        labelled: how many labelled texts would be reported.
    """

    event_type: str
    thresholds: TypeThresholds
    notifications: int
    told: frozenset[int]
    precision: float | None = None
    labelled: int = 0

    def is_precise(self, least: float) -> bool:
        """Returns whether it is precise enough, as far as there are enough labelled texts to tell."""
        return self.labelled < ENOUGH_LABELLED or (self.precision or 0.0) >= least


def fitted(
    points: Sequence[TypePoint], most: int, least_precision: float, crises: frozenset[int] = frozenset()
) -> dict[str, TypePoint]:
    """Returns a point for each event type, so that most events are reported with at most `most` notifications.

    Each type begins with its least notifications. Then, again and again, the type takes another point whose further
    events a further notification are the most, counting only events that no other type tells, and crises thrice.
    """
    by_type: dict[str, list[TypePoint]] = {}
    for point in sorted(points, key=lambda point: (point.notifications, -len(point.told))):
        by_type.setdefault(point.event_type, []).append(point)
    chosen = {}
    for event_type, own in by_type.items():
        by_type[event_type] = [point for point in own if point.is_precise(least_precision)] or own[:1]
        chosen[event_type] = by_type[event_type][0]
    while True:
        number = sum(point.notifications for point in chosen.values())
        best: tuple[float, TypePoint] | None = None
        for event_type, before in chosen.items():
            others: set[int] = set().union(*(point.told for name, point in chosen.items() if name != event_type))
            worth = _worth(before.told - others, crises)
            for after in by_type[event_type]:
                more = after.notifications - before.notifications
                if more < 0 or number + more > most:
                    continue
                gain = (_worth(after.told - others, crises) - worth) / max(more, 0.5)
                if gain > (best[0] if best else 0.0):
                    best = (gain, after)
        if best is None:
            return chosen
        chosen[best[1].event_type] = best[1]


def shrunk(
    chosen: Mapping[str, TypePoint], prior: Mapping[str, TypeThresholds], floors: Mapping[str, float] | None = None
) -> dict[str, TypeThresholds]:
    """Returns the thresholds of each type, drawn toward those in force: the more, the fewer events the type tells.

    Args:
        floors: the least `outright` threshold of some types; of the others it is `LEAST_OUTRIGHT`.
    """
    thresholds = {}
    for event_type, point in chosen.items():
        own = len(point.told) / (len(point.told) + PRIOR_EVENTS)
        fitted_to, before = point.thresholds, prior[event_type]
        floor = max(LEAST_OUTRIGHT, (floors or {}).get(event_type, 0.0))
        thresholds[event_type] = TypeThresholds(
            round(max(_between(before.material, fitted_to.material, own), LEAST_THRESHOLD), 2),
            round(max(_between(before.outright, fitted_to.outright, own), floor), 2),
        )
    return thresholds


def equivalent(
    thresholds: TypeThresholds, wanted: int, count: Callable[[TypeThresholds], int], *, widest: float = 4.0
) -> TypeThresholds:
    """Returns thresholds moved so far that about as many notifications come as with the bundle before.

    The thresholds in force mean something else for another bundle. Both are moved by the same shift of the logit.

    Args:
        wanted: the notifications of the type with the bundle before.
        count: the notifications of the type with thresholds; fewer with higher ones.
        widest: the largest shift of the logit.
    """
    low, high = -widest, widest
    for _ in range(8):
        middle = (low + high) / 2
        if count(thresholds.moved(middle)) > wanted:
            low = middle
        else:
            high = middle
    return thresholds.moved(high)


def outright_floor(material: int, mild: int) -> float:
    """Returns the least `outright` threshold of a type.

    Args:
        material, mild: labelled parties of texts that state the type outright. A few texts count little: five more, of
            which three are material, are added.
    """
    share = (material + 3) / (material + mild + 5)
    return next(floor for least, floor in CAREFUL_OUTRIGHT if share >= least)


def _between(before: float, after: float, weight: float) -> float:
    return (1.0 - weight) * before + weight * after


def _moved(probability: float, shift: float) -> float:
    return 1.0 / (1.0 + math.exp(-math.log(probability / (1.0 - probability)) - shift))


def _worth(told: frozenset[int] | set[int], crises: frozenset[int]) -> int:
    return len(told) + (CRISIS_WEIGHT - 1) * len(told & crises)
