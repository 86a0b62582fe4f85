"""Confusion, figures of each class, calibration bins and precision-recall curves of what a model says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from riskwire_models.data.labels import EVENT_TYPES, LEVELS
from riskwire_models.evaluation.risk_readings import Estimate, RiskReadings

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
_INTERVAL = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class LabelReadings:
    """What a model says where exactly one label is true, and which one is.

    Attributes:
        head: name of the head.
        labels: in the order of the columns.
        probabilities: calibrated [rows, labels].
        truth: label index [rows].
    """

    head: str
    labels: tuple[str, ...]
    probabilities: Floats
    truth: Counts

    @property
    def predicted(self) -> Counts:
        """The index of the most probable label of each row."""
        return self.probabilities.argmax(axis=1)


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """The figures of one label; `average_precision` is None where no probabilities rank all rows."""

    label: str
    precision: float
    recall: float
    f1: float
    average_precision: float | None
    support: int


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The rows whose highest probability is in one range: their number, mean probability, and share of right rows."""

    low: float
    high: float
    rows: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class OperatingCurve:
    """Recall and precision at every threshold, from the strictest on."""

    recall: Floats
    precision: Floats

    @property
    def average_precision(self) -> float:
        """The mean precision weighted by the gain in recall, as scikit-learn's ``average_precision_score``."""
        return float((np.diff(self.recall, prepend=0.0) * self.precision).sum())


def level_readings(readings: RiskReadings) -> LabelReadings:
    """Returns the levels of risk readings."""
    return LabelReadings("level", LEVELS, readings.levels, readings.truth)


def confusion(readings: LabelReadings) -> Counts:
    """Returns the number of rows by true label (row) and most probable label (column)."""
    return _confusion(readings.truth, readings.predicted, len(readings.labels))


def class_figures(readings: LabelReadings) -> list[ClassFigures]:
    """Returns the figures of each label that occurs in truth or prediction."""
    table = confusion(readings)
    figures: list[ClassFigures] = []
    for number, label in enumerate(readings.labels):
        right, called, support = int(table[number, number]), int(table[:, number].sum()), int(table[number].sum())
        if called or support:
            precision = _average_precision(readings, number) if support else None
            figures.append(_class_figures(label, right, called, support, precision))
    return figures


def event_figures(readings: RiskReadings, threshold: float) -> list[ClassFigures]:
    """Returns the figures of each event type that is true or named at the threshold."""
    named_events = readings.events >= threshold
    figures: list[ClassFigures] = []
    for number, label in enumerate(EVENT_TYPES):
        named, true = named_events[:, number], readings.true_events[:, number]
        if named.any() or true.any():
            figures.append(_class_figures(label, int((named & true).sum()), int(named.sum()), int(true.sum()), None))
    return figures


def _average_precision(readings: LabelReadings, number: int) -> float:
    """Returns the average precision of one label, ranked by its probability."""
    is_label = readings.truth == number
    return operating_curve(is_label, is_label, readings.probabilities[:, number]).average_precision


def _class_figures(label: str, right: int, called: int, support: int, average_precision: float | None) -> ClassFigures:
    precision, recall = right / called if called else 0.0, right / support if support else 0.0
    f1 = 2 * right / (called + support)
    return ClassFigures(label, precision, recall, f1, average_precision, support)


def reliability_bins(readings: LabelReadings, bins: int = 10) -> list[ReliabilityBin]:
    """Returns the bins of equal width of the highest probability; bins without rows are left out."""
    confidence = readings.probabilities.max(axis=1)
    right = readings.predicted == readings.truth
    bin_of_row = np.minimum((confidence * bins).astype(int), bins - 1)
    return [
        ReliabilityBin(number / bins, (number + 1) / bins, int(rows.sum()), *_means(confidence[rows], right[rows]))
        for number in range(bins)
        if (rows := bin_of_row == number).any()
    ]


def calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Returns the mean gap between confidence and accuracy, weighted by rows."""
    rows = sum(bucket.rows for bucket in bins)
    return sum(bucket.rows * abs(bucket.accuracy - bucket.confidence) for bucket in bins) / rows if rows else 0.0


def operating_curve(wanted: NDArray[np.bool_], right: NDArray[np.bool_], scores: Floats) -> OperatingCurve:
    """Returns the recall of the wanted rows and the precision of the right ones at every threshold of a score.

    For a common precision-recall curve the wanted rows are the right ones.

    Args:
        wanted: rows that should be called; at least one.
        right: rows that may be called.
        scores: rows at or above the threshold are called.
    """
    order = np.argsort(-scores, kind="stable")
    last_of_score = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    recall = np.cumsum(wanted[order])[last_of_score] / wanted.sum()
    precision = np.cumsum(right[order])[last_of_score] / (last_of_score + 1)
    return OperatingCurve(recall, precision)


def label_estimates(readings: LabelReadings, seed: int = 17, resamples: int = 1000) -> dict[str, Estimate]:
    """Returns accuracy and macro-F1 with 95 % intervals, by resampling rows.

    Macro-F1 is the mean over labels that occur in truth or prediction.

    Source: Efron, Tibshirani (1993), An Introduction to the Bootstrap, percentile intervals.
    """
    generator = np.random.default_rng(seed)
    truth, predicted, labels = readings.truth, readings.predicted, len(readings.labels)
    samples = (generator.integers(0, len(truth), len(truth)) for _ in range(resamples))
    tables = [_confusion(truth[rows], predicted[rows], labels) for rows in samples]
    figures: dict[str, Callable[[Counts], float]] = {"accuracy": _accuracy, "macro_f1": _macro_f1}
    estimates: dict[str, Estimate] = {}
    for name, figure in figures.items():
        low, high = np.percentile([figure(table) for table in tables], _INTERVAL)
        estimates[name] = Estimate(figure(_confusion(truth, predicted, labels)), float(low), float(high))
    return estimates


def _confusion(truth: Counts, predicted: Counts, labels: int) -> Counts:
    return np.bincount(truth * labels + predicted, minlength=labels * labels).reshape(labels, labels)


def _accuracy(table: Counts) -> float:
    return float(np.trace(table) / table.sum())


def _macro_f1(table: Counts) -> float:
    totals = table.sum(axis=0) + table.sum(axis=1)
    occurring = totals > 0
    return float((2 * np.diag(table)[occurring] / totals[occurring]).mean())


def _means(confidence: Floats, right: NDArray[np.bool_]) -> tuple[float, float]:
    return float(confidence.mean()), float(right.mean())
