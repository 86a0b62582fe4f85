"""The search for thresholds of event types that report the most events with a number of notifications. Pure.

A type has two thresholds. `material` is the least probability of a material level with which a story notifies.
`outright` is the least probability of an adverse level with which a story notifies if its words state the fact
outright. A year has few events of most types. So the thresholds of a type are moved toward those of the rules in force
(see `shrink`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

ENOUGH_LABELLED = 20
"""The least number of labelled texts with which the precision of an event type counts."""
PRIOR_EVENTS = 20.0
"""The weight of the thresholds in force, in events: a type has about as many in a year on average."""
LEAST_THRESHOLD = 0.15
LEAST_OUTRIGHT = 0.2
"""The lowest `material` and the lowest `outright` threshold that a fit returns."""
CAREFUL_OUTRIGHT = ((0.8, 0.2), (0.6, 0.45), (0.0, 0.6))
"""The least `outright` threshold by the share of adverse labelled texts with these words that are material.

Each pair is the least share and the threshold: with a share of 0.8 or more, the least threshold is 0.2.
"""
DOUBTFUL_BELOW = 0.02
"""How far below its threshold a story is doubtful, so that it notifies once it is corroborated. Title and lead of an
article often agree on what is not material, so it is not far."""
TRIM_STEP = 0.2
"""By how much `trim` raises the thresholds of a type at once, on the logit scale."""
HIGHEST_THRESHOLD = 0.97
"""The thresholds of a type that `trim` does not raise further."""
CRISIS_WEIGHT = 3
"""How many other events a crisis counts as."""


@dataclass(frozen=True, slots=True)
class TypeThresholds:
    """The thresholds of an event type.

    Attributes:
        material: the least probability of a material level with which a story notifies.
        outright: the least probability of an adverse level with which a story notifies if its words state the fact
            outright; 1 means never.
    """

    material: float
    outright: float = 1.0

    def at_most(self, limit: TypeThresholds) -> TypeThresholds:
        """Returns the lower of these and other thresholds."""
        return TypeThresholds(min(self.material, limit.material), min(self.outright, limit.outright))

    def shifted(self, logit_shift: float) -> TypeThresholds:
        """Returns the thresholds shifted on the logit scale: higher for a positive shift, lower for a negative one.

        An `outright` threshold of 1 means never, so it stays.
        """
        return TypeThresholds(
            _shifted(self.material, logit_shift),
            self.outright if self.outright >= 1.0 else _shifted(self.outright, logit_shift),
        )

    def rule_values(self) -> dict[str, float]:
        """Returns the values of a rule. A doubtful story needs a slightly lower probability than `material`."""
        return {
            "threshold": round(self.material, 3),
            "doubtful": round(max(self.material - DOUBTFUL_BELOW, LEAST_THRESHOLD), 3),
            "adverse": round(min(0.5, self.material), 3),
            "outright": round(self.outright, 3),
        }


@dataclass(frozen=True, slots=True)
class TypePoint:
    """What the stories of one event type report with given thresholds.

    Attributes:
        notifications: the number of notifications.
        reported: the indexes of the events that are reported.
        precision: the share of material texts among the labelled texts that would be reported; None if there are none.
        labelled: the number of labelled texts that would be reported.
    """

    event_type: str
    thresholds: TypeThresholds
    notifications: int
    reported: frozenset[int]
    precision: float | None = None
    labelled: int = 0

    def is_precise(self, least_precision: float) -> bool:
        """Returns whether the precision is high enough, or there are too few labelled texts to measure it."""
        return self.labelled < ENOUGH_LABELLED or (self.precision or 0.0) >= least_precision


def choose_points(
    points: Sequence[TypePoint], max_notifications: int, least_precision: float, crises: frozenset[int] = frozenset()
) -> dict[str, TypePoint]:
    """Returns a point for each event type; together they report the most events with `max_notifications` at most.

    A greedy search. Each type begins with the point that has the fewest notifications. Each round replaces the point of
    one type: the one with the most additional events for each additional notification. Only events that no other type
    reports count, and a crisis counts as `CRISIS_WEIGHT` events.
    """
    by_type: dict[str, list[TypePoint]] = {}
    for point in sorted(points, key=lambda point: (point.notifications, -len(point.reported))):
        by_type.setdefault(point.event_type, []).append(point)
    chosen = {}
    for event_type, type_points in by_type.items():
        precise_points = [point for point in type_points if point.is_precise(least_precision)]
        by_type[event_type] = precise_points or type_points[:1]
        chosen[event_type] = by_type[event_type][0]
    while True:
        notifications = sum(point.notifications for point in chosen.values())
        best_gain = 0.0
        best_point: TypePoint | None = None
        for event_type, current in chosen.items():
            reported_by_others = _reported_by_others(chosen, event_type)
            current_score = _score(current.reported - reported_by_others, crises)
            for candidate in by_type[event_type]:
                additional = candidate.notifications - current.notifications
                if additional < 0 or notifications + additional > max_notifications:
                    continue
                candidate_score = _score(candidate.reported - reported_by_others, crises)
                gain = (candidate_score - current_score) / max(additional, 0.5)
                if gain > best_gain:
                    best_gain, best_point = gain, candidate
        if best_point is None:
            return chosen
        chosen[best_point.event_type] = best_point


def trim(
    prior: Mapping[str, TypeThresholds],
    point_of: Callable[[str, TypeThresholds], TypePoint],
    count: Callable[[Mapping[str, TypeThresholds]], int],
    max_notifications: int,
    crises: frozenset[int] = frozenset(),
) -> dict[str, TypeThresholds]:
    """Returns thresholds in force, raised until all types together send at most `max_notifications`.

    A greedy search. Each round raises one type by `TRIM_STEP`: the one that loses the fewest events for each
    notification that it saves. Only events that no other type reports count, and a crisis counts as `CRISIS_WEIGHT`
    events.

    Args:
        prior: the thresholds in force of the types that may be raised.
        point_of: what a type alone reports with given thresholds.
        count: the notifications of all types together, with these thresholds of the types that may be raised.
    """
    current = {event_type: point_of(event_type, thresholds) for event_type, thresholds in prior.items()}
    thresholds = dict(prior)
    while count(thresholds) > max_notifications:
        costs: dict[str, tuple[float, TypePoint]] = {}
        for event_type, point in current.items():
            raised = point.thresholds
            while raised.material < HIGHEST_THRESHOLD:
                raised = raised.shifted(TRIM_STEP)
                candidate = point_of(event_type, raised)
                if candidate.notifications < point.notifications:
                    only_here = point.reported - _reported_by_others(current, event_type)
                    lost = _score(only_here - candidate.reported, crises)
                    costs[event_type] = lost / (point.notifications - candidate.notifications), candidate
                    break
        if not costs:
            break
        cheapest = min(costs, key=lambda event_type: (costs[event_type][0], event_type))
        current[cheapest] = costs[cheapest][1]
        thresholds[cheapest] = current[cheapest].thresholds
    return thresholds


def shrink(
    chosen: Mapping[str, TypePoint], prior: Mapping[str, TypeThresholds], floors: Mapping[str, float] | None = None
) -> dict[str, TypeThresholds]:
    """Returns the thresholds of each type, moved toward those in force. Types with fewer reported events move further.

    Args:
        prior: the thresholds in force.
        floors: the least `outright` threshold of some types; for the other types it is `LEAST_OUTRIGHT`.
    """
    thresholds = {}
    for event_type, point in chosen.items():
        fit_weight = len(point.reported) / (len(point.reported) + PRIOR_EVENTS)
        fitted, in_force = point.thresholds, prior[event_type]
        floor = max(LEAST_OUTRIGHT, (floors or {}).get(event_type, 0.0))
        thresholds[event_type] = TypeThresholds(
            round(max(_weighted_mean(in_force.material, fitted.material, fit_weight), LEAST_THRESHOLD), 2),
            round(max(_weighted_mean(in_force.outright, fitted.outright, fit_weight), floor), 2),
        )
    return thresholds


def equivalent_thresholds(
    thresholds: TypeThresholds, target_count: int, count: Callable[[TypeThresholds], int], *, max_shift: float = 4.0
) -> TypeThresholds:
    """Returns thresholds shifted so that a type notifies about as often as with the previous bundle.

    The same thresholds notify more or less often with another bundle. Both are shifted equally on the logit scale.

    Args:
        target_count: the notifications of the type with the previous bundle.
        count: returns the notifications of the type with given thresholds; higher thresholds give fewer.
        max_shift: the largest shift on the logit scale.
    """
    low, high = -max_shift, max_shift
    for _ in range(8):
        middle = (low + high) / 2
        if count(thresholds.shifted(middle)) > target_count:
            low = middle
        else:
            high = middle
    return thresholds.shifted(high)


def outright_floor(material: int, mild: int) -> float:
    """Returns the least `outright` threshold of a type.

    Args:
        material, mild: the numbers of labelled parties in texts that state the type outright. Five more, of which three
            are material, are added, so that few texts have little effect.
    """
    share = (material + 3) / (material + mild + 5)
    return next(floor for least_share, floor in CAREFUL_OUTRIGHT if share >= least_share)


def _weighted_mean(in_force: float, fitted: float, fit_weight: float) -> float:
    return (1.0 - fit_weight) * in_force + fit_weight * fitted


def _shifted(probability: float, logit_shift: float) -> float:
    return 1.0 / (1.0 + math.exp(-math.log(probability / (1.0 - probability)) - logit_shift))


def _reported_by_others(points: Mapping[str, TypePoint], event_type: str) -> set[int]:
    """Returns the events that the other types report."""
    return set().union(*(point.reported for name, point in points.items() if name != event_type))


def _score(reported: frozenset[int] | set[int], crises: frozenset[int]) -> int:
    return len(reported) + (CRISIS_WEIGHT - 1) * len(reported & crises)
