"""The fit of thresholds of event types: what it chooses, how much weight a year has, and what it writes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from riskwire.alerting.events import load_rules

BENCH = Path(__file__).parents[2] / "bench"
sys.path[:0] = [str(BENCH), str(BENCH / "alerting")]

from event_fit import (  # noqa: E402
    LEAST_OUTRIGHT,
    LEAST_THRESHOLD,
    PRIOR_EVENTS,
    TypePoint,
    TypeThresholds,
    choose_points,
    equivalent_thresholds,
    outright_floor,
    shrink,
    trim,
)
from tune_events import replace_thresholds  # noqa: E402


def point(event_type: str, material: float, notifications: int, *reported: int, precision: float = 1.0) -> TypePoint:
    return TypePoint(event_type, TypeThresholds(material), notifications, frozenset(reported), precision, 100)


LAYOFFS = [point("layoffs", 0.9, 0), point("layoffs", 0.5, 10, 1, 2), point("layoffs", 0.2, 40, 1, 2, 3)]
CRIME = [point("crime", 0.9, 0), point("crime", 0.5, 4, 2, 4, 5)]


def test_the_type_with_the_most_events_for_a_notification_is_lowered_first() -> None:
    """Four notifications suffice for crime, fourteen for both. Thirty more for one event are not worth it."""
    assert {name: chosen.thresholds.material for name, chosen in choose_points(LAYOFFS + CRIME, 4, 0.0).items()} == {
        "layoffs": 0.9,
        "crime": 0.5,
    }
    chosen = choose_points(LAYOFFS + CRIME, 14, 0.0)
    assert {name: type_point.thresholds.material for name, type_point in chosen.items()} == {
        "layoffs": 0.5,
        "crime": 0.5,
    }


def test_a_crisis_counts_more_than_another_event() -> None:
    competing_points = [
        point("layoffs", 0.9, 0),
        point("layoffs", 0.5, 4, 1, 2),
        point("default", 0.9, 0),
        point("default", 0.5, 4, 3),
    ]
    assert choose_points(competing_points, 4, 0.0)["layoffs"].notifications == 4
    assert choose_points(competing_points, 4, 0.0, crises=frozenset({3}))["default"].notifications == 4


def test_thresholds_with_too_low_a_precision_are_not_chosen() -> None:
    points = [point("crime", 0.9, 0), point("crime", 0.5, 4, 1, 2, precision=0.7)]
    assert choose_points(points, 10, 0.8)["crime"].thresholds.material == 0.9
    assert choose_points(points, 10, 0.6)["crime"].thresholds.material == 0.5


def test_few_events_hardly_change_the_thresholds_in_force() -> None:
    prior = {"crime": TypeThresholds(0.6, 0.8)}
    few = TypePoint("crime", TypeThresholds(0.2, 0.4), 5, frozenset({1}))
    many = TypePoint("crime", TypeThresholds(0.2, 0.4), 500, frozenset(range(int(19 * PRIOR_EVENTS))))
    assert shrink({"crime": few}, prior)["crime"].material == pytest.approx(0.6, abs=0.05)
    assert shrink({"crime": many}, prior)["crime"] == TypeThresholds(0.22, 0.42)
    lowest = TypePoint("crime", TypeThresholds(0.0, 0.0), 500, frozenset(range(10_000)))
    assert shrink({"crime": lowest}, prior)["crime"] == TypeThresholds(LEAST_THRESHOLD, LEAST_OUTRIGHT)


def test_words_that_people_label_as_mild_need_a_higher_threshold() -> None:
    assert [outright_floor(29, 3), outright_floor(13, 5), outright_floor(21, 60), outright_floor(0, 0)] == [
        0.2,
        0.45,
        0.6,
        0.45,
    ]
    lowest = TypePoint("crime", TypeThresholds(0.2, 0.2), 500, frozenset(range(10_000)))
    assert shrink({"crime": lowest}, {"crime": TypeThresholds(0.2, 0.2)}, {"crime": 0.6})["crime"].outright == 0.6


def test_at_most_keeps_the_lower_thresholds() -> None:
    assert TypeThresholds(0.6, 0.3).at_most(TypeThresholds(0.5, 0.4)) == TypeThresholds(0.5, 0.3)


def test_fitted_thresholds_replace_only_the_thresholds_of_the_file() -> None:
    text = "# rules\ntypes:\n  crime: {severity: high, threshold: 0.5, doubtful: 0.4, adverse: 0.5}\n  fraud: {a: 1}\n"
    changed = replace_thresholds(text, {"crime": TypeThresholds(0.31, 0.7)})
    line = "  crime: {severity: high, threshold: 0.31, doubtful: 0.29, adverse: 0.31, outright: 0.7}"
    assert changed.splitlines() == ["# rules", "types:", line, "  fraud: {a: 1}"]
    with pytest.raises(ValueError, match="cyber"):
        replace_thresholds(text, {"cyber": TypeThresholds(0.3)})


def test_a_rule_of_fitted_thresholds_is_a_rule_of_the_alert_stage() -> None:
    for thresholds in (TypeThresholds(0.15, 0.2), TypeThresholds(0.5), TypeThresholds(0.85, 1.0)):
        rule_values = thresholds.rule_values()
        assert 0 < rule_values["doubtful"] <= rule_values["threshold"]
        assert rule_values["adverse"] <= rule_values["threshold"]
    assert load_rules().rule("crime", "", ()).doubtful <= load_rules().rule("crime", "", ()).threshold


def test_thresholds_rise_until_a_bundle_with_higher_probabilities_notifies_as_often() -> None:
    """The new bundle gives 0.95 where the old one gave 0.5, so the threshold rises. A threshold of 1 stays."""
    probabilities = [0.3, 0.9, 0.94, 0.96, 0.98, 0.99]

    def count(thresholds: TypeThresholds) -> int:
        return sum(probability >= thresholds.material for probability in probabilities)

    shifted = equivalent_thresholds(TypeThresholds(0.5, 0.3), 2, count)
    assert count(TypeThresholds(0.5)) == 5
    assert count(shifted) == 2
    assert shifted.outright > 0.8
    assert equivalent_thresholds(TypeThresholds(0.5), 2, count).outright == 1.0


def test_a_type_that_never_notified_keeps_the_highest_thresholds() -> None:
    assert equivalent_thresholds(TypeThresholds(0.5), 0, lambda _: 7).material > 0.98


def test_trim_raises_the_type_that_loses_the_fewest_events_for_a_notification() -> None:
    """Both types report event 1. Only `crime` reports 2, so `layoffs` is raised, and no further than needed."""
    reported = {"crime": frozenset({1, 2}), "layoffs": frozenset({1})}

    def point_of(event_type: str, thresholds: TypeThresholds) -> TypePoint:
        is_raised = thresholds.material > 0.5
        return TypePoint(
            event_type, thresholds, 4 if is_raised else 10, frozenset() if is_raised else reported[event_type]
        )

    def count(thresholds: Mapping[str, TypeThresholds]) -> int:
        return sum(point_of(name, type_thresholds).notifications for name, type_thresholds in thresholds.items())

    prior = {name: TypeThresholds(0.5) for name in reported}
    assert trim(prior, point_of, count, 20) == prior
    trimmed = trim(prior, point_of, count, 15)
    assert trimmed["crime"] == prior["crime"]
    assert 0.5 < trimmed["layoffs"].material < 0.6
