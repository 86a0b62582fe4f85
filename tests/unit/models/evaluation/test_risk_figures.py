"""The figures of a risk desk, compared with values computed by hand. They need scikit-learn of the train extra."""

from __future__ import annotations

import numpy as np
import pytest
from small_models.libraries import missing_libraries, needs_metrics

from riskwire_models.data.encoding import EncodedExample, EncodedTarget
from riskwire_models.data.examples import Example
from riskwire_models.data.labels import EVENT_TYPES, LEVELS
from riskwire_models.evaluation.onnx_runner import HeadLogits
from riskwire_models.evaluation.risk_readings import RiskReadings

if not missing_libraries("seqeval", "sklearn"):
    from riskwire_models.evaluation.risk import (
        LEAST_PRECISION,
        RiskThresholds,
        average_precision,
        bootstrap_intervals,
        choose_thresholds,
        event_f1,
        event_logit,
        precision_of_adverse,
        recall_of_material,
        risk_estimates,
        risk_readings,
        risk_scores,
    )
    from riskwire_models.evaluation.scores import Predictions, held_out_scores

pytestmark = needs_metrics

NEUTRAL, MILD, MATERIAL, FAVOURABLE = range(len(LEVELS))


def readings_of(
    mentions: list[tuple[int, float, float]], events: list[tuple[set[int], dict[int, float]]] = ()
) -> RiskReadings:
    """Returns readings of mentions, and of rows of events.

    Args:
        mentions: true level, probability of mild, probability of material. The rest is neutral.
        events: true event types, and the probabilities of types; a type that is not named has probability 0.
    """
    levels = np.array([[1 - mild - material, mild, material, 0.0] for _, mild, material in mentions]).reshape(-1, 4)
    chances, truth = np.zeros((len(events), len(EVENT_TYPES))), np.zeros((len(events), len(EVENT_TYPES)), bool)
    for row, (true_types, probabilities) in enumerate(events):
        truth[row, list(true_types)] = True
        chances[row, list(probabilities)] = list(probabilities.values())
    return RiskReadings(levels, np.array([level for level, _, _ in mentions], np.int64), chances, truth)


#: Adverse: 0.9, 0.8, 0.6, 0.7, 0.3, 0.1. Ranked by material: the first, the fourth, the third, the second mention.
EXAMPLE = readings_of(
    [
        (MATERIAL, 0.1, 0.8),
        (MILD, 0.7, 0.1),
        (MATERIAL, 0.4, 0.2),
        (NEUTRAL, 0.4, 0.3),
        (MATERIAL, 0.25, 0.05),
        (FAVOURABLE, 0.1, 0.0),
    ],
    [({0}, {0: 0.9, 1: 0.6}), ({1, 2}, {1: 0.7, 2: 0.2}), (set(), {3: 0.4}), ({4}, {})],
)


@pytest.mark.parametrize(("threshold", "recall"), [(0.05, 1.0), (0.3, 1.0), (0.31, 2 / 3), (0.65, 1 / 3), (0.95, 0.0)])
def test_recall_is_the_share_of_material_mentions_that_are_called_adverse(threshold: float, recall: float) -> None:
    assert recall_of_material(EXAMPLE, threshold) == pytest.approx(recall)


@pytest.mark.parametrize(
    ("threshold", "precision"), [(0.05, 4 / 6), (0.2, 4 / 5), (0.5, 3 / 4), (0.75, 1.0), (0.95, 0.0)]
)
def test_precision_is_the_share_of_called_mentions_that_are_mild_or_material(
    threshold: float, precision: float
) -> None:
    assert precision_of_adverse(EXAMPLE, threshold) == pytest.approx(precision)


def test_average_precision_ranks_by_the_probability_of_material() -> None:
    """In the order of their probability: material, neutral, material, mild, material, favourable."""
    assert average_precision(EXAMPLE) == pytest.approx((1 / 1 + 2 / 3 + 3 / 5) / 3)
    assert average_precision(readings_of([(MATERIAL, 0.0, 0.9), (MILD, 0.9, 0.1)])) == 1.0


@pytest.mark.parametrize(
    ("threshold", "hits", "wrong", "missed"), [(0.5, 2, 1, 2), (0.15, 3, 2, 1), (0.65, 2, 0, 2), (0.95, 0, 0, 4)]
)
def test_the_f1_of_events_counts_types_over_all_rows(threshold: float, hits: int, wrong: int, missed: int) -> None:
    assert event_f1(EXAMPLE, threshold) == pytest.approx(2 * hits / (2 * hits + wrong + missed))


def test_without_material_mentions_and_events_the_figures_are_zero() -> None:
    nothing = readings_of([(NEUTRAL, 0.1, 0.1)])
    assert recall_of_material(nothing, 0.1) == average_precision(nothing) == event_f1(nothing, 0.5) == 0.0
    assert risk_scores(readings_of([]), RiskThresholds()) == {"n": 0}


def test_the_scores_hold_every_figure() -> None:
    scores = risk_scores(EXAMPLE, RiskThresholds(adverse=0.5, events=0.65))
    predicted = [MATERIAL, MILD, MILD, MILD, NEUTRAL, NEUTRAL]
    correct = sum(truth == level for truth, level in zip(EXAMPLE.truth, predicted, strict=True))
    assert scores["n"] == 6
    assert scores["accuracy"] == round(correct / 6, 4)
    assert scores["material_recall"] == 0.6667
    assert scores["adverse_precision"] == 0.75
    assert scores["material_average_precision"] == 0.7556
    assert scores["event_f1"] == 0.6667
    assert 0 <= scores["level_ece"] <= 1


def test_the_threshold_is_the_lowest_that_is_precise_enough_and_the_events_have_the_best_f1() -> None:
    """From 0.71 on no neutral mention is called adverse; below, at most 4 of 5 are right."""
    chosen = choose_thresholds(EXAMPLE)
    assert precision_of_adverse(EXAMPLE, 0.7) < LEAST_PRECISION <= precision_of_adverse(EXAMPLE, 0.71)
    assert chosen.adverse == 0.71
    best = max(event_f1(EXAMPLE, number / 100) for number in range(2, 99))
    assert event_f1(EXAMPLE, chosen.events) == best
    assert recall_of_material(EXAMPLE, chosen.adverse) == pytest.approx(1 / 3)


def test_if_no_threshold_is_precise_enough_the_most_precise_is_chosen() -> None:
    doubtful = readings_of([(NEUTRAL, 0.5, 0.4), (MILD, 0.5, 0.2), (NEUTRAL, 0.3, 0.1)])
    chosen = choose_thresholds(doubtful)
    assert precision_of_adverse(doubtful, chosen.adverse) == 0.5 < LEAST_PRECISION
    assert chosen.adverse == 0.41


def test_the_thresholds_that_are_tried_go_from_two_to_98_hundredths() -> None:
    certain = readings_of([(MILD, 0.5, 0.49)], [({0}, {0: 1.0})])
    assert choose_thresholds(certain) == RiskThresholds(0.02, 0.02)
    late = readings_of([(NEUTRAL, 0.5, 0.475), (MILD, 0.5, 0.485)])
    assert choose_thresholds(late).adverse == 0.98


def random_readings(mentions: int = 400) -> RiskReadings:
    """Returns readings of a model that is right more often than not."""
    generator = np.random.default_rng(7)
    truth = generator.integers(0, 4, mentions)
    logits = generator.normal(0, 1, (mentions, 4)) + 2 * np.eye(4)[truth]
    true_events = generator.random((mentions, len(EVENT_TYPES))) < 0.05
    events = np.clip(0.2 + 0.5 * true_events + generator.normal(0, 0.2, true_events.shape), 0, 1)
    exponents = np.exp(logits)
    return RiskReadings(exponents / exponents.sum(1, keepdims=True), truth, events, true_events)


def test_each_interval_holds_the_figure_and_shrinks_with_more_mentions() -> None:
    sizes: dict[int, dict[str, float]] = {}
    for mentions in (100, 1600):
        readings, thresholds = random_readings(mentions), RiskThresholds(0.5, 0.5)
        scores = risk_scores(readings, thresholds)
        intervals = bootstrap_intervals(readings, thresholds, resamples=200)
        for name in ("material_recall", "adverse_precision", "material_average_precision", "event_f1"):
            low, high = intervals[name]
            assert 0 <= low <= scores[name] <= high <= 1
            assert low < high
        sizes[mentions] = {name: high - low for name, (low, high) in intervals.items()}
        assert intervals.keys() <= scores.keys()
    assert all(sizes[1600][name] < sizes[100][name] for name in sizes[100])


def test_an_estimate_is_a_figure_with_its_interval() -> None:
    readings, thresholds = random_readings(60), RiskThresholds()
    estimates = risk_estimates(readings, thresholds)
    scores, intervals = risk_scores(readings, thresholds), bootstrap_intervals(readings, thresholds)
    assert {name: estimate.value for name, estimate in estimates.items()}.items() <= scores.items()
    assert {name: (estimate.low, estimate.high) for name, estimate in estimates.items()} == intervals
    assert risk_estimates(readings_of([]), thresholds) == {}


def test_the_intervals_of_a_seed_are_always_the_same() -> None:
    readings = random_readings(60)
    first, second = (bootstrap_intervals(readings, RiskThresholds(), seed=4, resamples=30) for _ in range(2))
    assert first == second
    assert first != bootstrap_intervals(readings, RiskThresholds(), seed=5, resamples=30)


def test_an_event_is_named_from_the_logit_whose_probability_is_the_threshold() -> None:
    for threshold, temperature in ((0.5, 1.0), (0.2, 1.0), (0.8, 2.0), (0.3, 0.7)):
        logit = event_logit(threshold, temperature)
        assert 1 / (1 + np.exp(-logit / temperature)) == pytest.approx(threshold)
    assert event_logit(0.3, None) == event_logit(0.3, 1.0)


def test_the_scores_count_the_events_that_the_bundle_names() -> None:
    """The probabilities are .27 and .5 of a mention, and .27 of the sentence."""
    events = np.zeros((3, len(EVENT_TYPES)), np.float32) - 9
    events[0, 5], events[1, 7], events[1, 8] = -1.0, -1.0, 0.0
    row = EncodedExample((1, 2, 3), targets=(EncodedTarget((1,), events=(7, 8)),), events=(5,))
    predictions = Predictions([Example("a", "risk")], [row], [HeadLogits({"events": events})], [[]])
    named = {
        threshold: held_out_scores(predictions, event_logit=event_logit(threshold, 1.0))["events"]
        for threshold in (0.2, 0.4)
    }
    assert [named[0.2][rows]["recall"] for rows in ("all", "mentions")] == [1.0, 1.0]
    assert [named[0.4][rows]["recall"] for rows in ("all", "mentions")] == [0.3333, 0.5]
    assert [named[0.4][rows]["n"] for rows in ("all", "mentions")] == [3, 2]


def test_readings_are_calibrated_means_over_the_pieces_of_each_labelled_mention() -> None:
    """The event of the sentence that belongs to no mention is no row: the goal counts the events of mentions."""
    level, events = np.zeros((3, 4), np.float32), np.zeros((3, len(EVENT_TYPES)), np.float32)
    level[1], level[2] = [4, 0, 0, 0], [0, 0, 4, 0]
    events[0, 5], events[1, 7], events[2, 7] = 3.0, 1.0, 3.0
    row = EncodedExample(
        (1, 2, 3),
        targets=(
            EncodedTarget((1, 2), level=MATERIAL, events=(7,)),
            EncodedTarget((1,)),
            EncodedTarget((2,), level=MILD),
        ),
        events=(5,),
    )
    logits = HeadLogits({"level": level, "events": events})
    predictions = Predictions([Example("a", "risk")], [row], [logits], [[1, 2]])
    readings = risk_readings(predictions, {"level": 2.0, "events": 0.5})
    first, second = np.exp(np.array([1.0, 0.0, 1.0, 0.0])), np.exp(np.array([0.0, 0.0, 2.0, 0.0]))
    assert readings.levels == pytest.approx(np.stack([first / first.sum(), second / second.sum()]))
    assert readings.truth.tolist() == [MATERIAL, MILD]
    assert readings.adverse == pytest.approx(readings.levels[:, [MILD, MATERIAL]].sum(1))
    assert readings.true_events.nonzero()[1].tolist() == [7]
    assert readings.events[0, 7] == pytest.approx(1 / (1 + np.exp(-2.0 / 0.5)))
