"""Compares a bundle with its predecessor, which it is to replace (``riskwire model compare``).

Each slice (a head on a set) is compared on the same rows: the difference of the scores with a paired bootstrap
interval, and McNemar's exact test of the rows that only one of the two bundles answers without a fault.

Sources: Efron, Tibshirani (1993), An Introduction to the Bootstrap; McNemar (1947), Psychometrika 12(2).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from riskwire_models.evaluation.slices import Counts, bundle_counts, comparison_examples, f1_of

#: Points (hundredths) that a slice may lose.
MARGIN_POINTS = 1.0
RESAMPLES = 1000
_INTERVAL = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The scores of two bundles on one slice.

    Attributes:
        slice_name: head and set.
        rows: number of rows.
        old: score of the old bundle, from 0 to 1.
        new: score of the new bundle.
        low: lower end of the 95 % interval of new - old.
        high: upper end of it.
        p_value: of McNemar's test.
    """

    slice_name: str
    rows: int
    old: float
    new: float
    low: float
    high: float
    p_value: float

    def is_worse(self, margin_points: float) -> bool:
        """Returns whether the new bundle loses more than the margin, and the interval of the loss excludes 0."""
        return 100.0 * (self.old - self.new) > margin_points and self.high < 0.0


def compare_bundles(old: Path, new: Path, data: Path, *, threads: int = 2, seed: int = 17) -> Iterator[Comparison]:
    """Yields the comparison of each slice that both bundles answer.

    Args:
        data: folder of the data sets.
        seed: of the bootstrap.
    """
    examples = comparison_examples(data)
    yield from compare_counts(bundle_counts(old, examples, threads), bundle_counts(new, examples, threads), seed)


def compare_counts(old: Mapping[str, Counts], new: Mapping[str, Counts], seed: int) -> Iterator[Comparison]:
    """Yields the comparison of each slice that is in both mappings; the rows of a slice are the same in both."""
    for name, old_counts in old.items():
        if (new_counts := new.get(name)) is None:
            continue
        low, high = _interval(old_counts, new_counts, seed)
        yield Comparison(
            name, len(old_counts), f1_of(old_counts), f1_of(new_counts), low, high, mcnemar(old_counts, new_counts)
        )


def mcnemar(old: Counts, new: Counts) -> float:
    """Returns the p-value that the two bundles answer equally many rows without a fault; 1.0 if they never differ."""
    old_right, new_right = old[:, 1:].sum(axis=1) == 0, new[:, 1:].sum(axis=1) == 0
    only_old, only_new = int((old_right & ~new_right).sum()), int((new_right & ~old_right).sum())
    if only_old + only_new == 0:
        return 1.0
    return float(binomtest(only_old, only_old + only_new).pvalue)


def _interval(old: Counts, new: Counts, seed: int) -> tuple[float, float]:
    """Returns the 95 % interval of the difference new - old, from resampled rows."""
    generator = np.random.default_rng(seed)
    differences = []
    for _ in range(RESAMPLES):
        rows = generator.integers(0, len(old), len(old))
        differences.append(f1_of(new[rows]) - f1_of(old[rows]))
    low, high = np.percentile(differences, _INTERVAL)
    return float(low), float(high)
