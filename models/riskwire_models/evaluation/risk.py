"""Figures of the level and the events of mentions, as a risk desk counts them, and their thresholds.

*Adverse* is the probability of ``mild`` plus that of ``material``. A mention is called adverse at or above one fixed
threshold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from riskwire_models.data.labels import LEVELS
from riskwire_models.evaluation.calibration import expected_calibration_error, sigmoid, softmax
from riskwire_models.evaluation.metrics import classification_scores
from riskwire_models.evaluation.report.curves import operating_curve
from riskwire_models.evaluation.risk_readings import Estimate, RiskReadings
from riskwire_models.evaluation.scores import Predictions, event_logits_and_labels, logits_and_labels
from riskwire_models.export.manifest import BundleManifest

_MATERIAL = LEVELS.index("material")

#: Precision of adverse that the threshold must keep on the split on which it is chosen.
LEAST_PRECISION = 0.86
#: RiskThresholds that are tried, from 0.02 to 0.98.
_CANDIDATES = np.arange(0.02, 0.99, 0.01)
#: Resamples of a bootstrap interval, and its two percentiles.
RESAMPLES = 1000
_INTERVAL = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class RiskThresholds:
    """At or above these probabilities a mention is adverse, and an event is named."""

    adverse: float = 0.5
    events: float = 0.5


def thresholds_of(manifest: BundleManifest) -> RiskThresholds:
    """Returns the thresholds of a bundle; 0.5 where it states none, as the engine of the services does."""
    level, events = manifest.heads.get("level"), manifest.heads.get("events")
    return RiskThresholds((level and level.threshold) or 0.5, (events and events.threshold) or 0.5)


def event_logit(threshold: float, temperature: float | None) -> float:
    """Returns the logit at which the probability of an event, sigmoid(logit / temperature), is a threshold."""
    return (temperature or 1.0) * math.log(threshold / (1.0 - threshold))


def risk_readings(predictions: Predictions, temperatures: Mapping[str, float]) -> RiskReadings:
    """Returns the calibrated probabilities of all mentions with risk labels.

    Events of sentences that belong to no mention are left out, as in the readings of the engine. They are harder: with
    them the best threshold of the events of mentions would not be found.
    """
    logits, truth = logits_and_labels(predictions, "level")
    event_logits, true_events = event_logits_and_labels(predictions, with_sentences=False)
    levels = softmax(logits, temperatures.get("level", 1.0))
    return RiskReadings(levels, truth, sigmoid(event_logits, temperatures.get("events", 1.0)), true_events)


def recall_of_material(readings: RiskReadings, threshold: float) -> float:
    """Returns the share of the materially adverse mentions that are called adverse; 0.0 if there are none."""
    material = readings.truth == _MATERIAL
    return float((readings.adverse[material] >= threshold).mean()) if material.any() else 0.0


def precision_of_adverse(readings: RiskReadings, threshold: float) -> float:
    """Returns the share of the mentions called adverse that are mild or material; 0.0 if none is called so."""
    called = readings.adverse >= threshold
    return float(readings.true_adverse[called].mean()) if called.any() else 0.0


def average_precision(readings: RiskReadings) -> float:
    """Returns the average precision of material mentions, ranked by the probability of material."""
    material = readings.truth == _MATERIAL
    if not material.any():
        return 0.0
    return operating_curve(material, material, readings.levels[:, _MATERIAL]).average_precision


def event_f1(readings: RiskReadings, threshold: float) -> float:
    """Returns the micro-F1 of the event types named at a threshold."""
    named = readings.events >= threshold
    total = int(named.sum()) + int(readings.true_events.sum())
    return 2 * int((named & readings.true_events).sum()) / total if readings.true_events.any() else 0.0


def choose_thresholds(dev: RiskReadings) -> RiskThresholds:
    """Returns the thresholds for a split of the training labels.

    That of adverse is the lowest one whose precision is at least `LEAST_PRECISION`, so that as many material mentions
    as possible are found; if none reaches it, the one with the highest precision. That of events has the highest F1.
    """
    precise = [value for value in _CANDIDATES if precision_of_adverse(dev, value) >= LEAST_PRECISION]
    adverse = min(precise) if precise else max(_CANDIDATES, key=lambda value: precision_of_adverse(dev, value))
    events = max(_CANDIDATES, key=lambda value: event_f1(dev, value))
    return RiskThresholds(round(float(adverse), 2), round(float(events), 2))


def risk_scores(readings: RiskReadings, thresholds: RiskThresholds) -> dict[str, Any]:
    """Returns the figures of the risk labels, rounded to four digits; only ``n`` (0) without mentions."""
    if not len(readings.truth):
        return {"n": 0}
    figures = {name: round(figure(readings), 4) for name, figure in _figures(thresholds).items()}
    return {
        **classification_scores(readings.truth.tolist(), readings.levels.argmax(axis=1).tolist()),
        **figures,
    }


def bootstrap_intervals(
    readings: RiskReadings, thresholds: RiskThresholds, seed: int = 17, resamples: int = RESAMPLES
) -> dict[str, tuple[float, float]]:
    """Returns the 95 % interval of each figure of `risk_scores`, by resampling mentions and rows of events.

    Source: Efron, Tibshirani (1993), An Introduction to the Bootstrap, percentile intervals.
    """
    generator = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = {name: [] for name in _figures(thresholds)}
    for _ in range(resamples):
        mentions = generator.integers(0, len(readings.truth), len(readings.truth))
        rows = generator.integers(0, len(readings.events), len(readings.events))
        sample = RiskReadings(
            readings.levels[mentions], readings.truth[mentions], readings.events[rows], readings.true_events[rows]
        )
        for name, figure in _figures(thresholds).items():
            drawn[name].append(figure(sample))
    return {
        name: tuple(round(float(bound), 4) for bound in np.percentile(values, _INTERVAL))  # type: ignore[misc]
        for name, values in drawn.items()
    }


def risk_estimates(readings: RiskReadings, thresholds: RiskThresholds) -> dict[str, Estimate]:
    """Returns each figure of the risk labels with its interval; none without mentions."""
    if not len(readings.truth):
        return {}
    scores = risk_scores(readings, thresholds)
    return {name: Estimate(scores[name], *bounds) for name, bounds in bootstrap_intervals(readings, thresholds).items()}


def _figures(thresholds: RiskThresholds) -> dict[str, Callable[[RiskReadings], float]]:
    return {
        "material_recall": lambda readings: recall_of_material(readings, thresholds.adverse),
        "adverse_precision": lambda readings: precision_of_adverse(readings, thresholds.adverse),
        "material_average_precision": average_precision,
        "event_f1": lambda readings: event_f1(readings, thresholds.events),
        "level_ece": lambda readings: expected_calibration_error(
            np.log(np.maximum(readings.levels, 1e-12)), readings.truth, 1.0
        ),
    }
