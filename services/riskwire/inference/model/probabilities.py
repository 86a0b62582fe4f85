"""From logits to probabilities that are equal bit for bit wherever they are computed, and sum to 1 as written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import add, mul, sub

import numpy as np
from numpy.typing import NDArray

from riskwire.records import Sentiment

DECIMALS = 4
_UNITS = 10**DECIMALS

Distribution = tuple[float, ...]


def softmax(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """softmax(logits / temperature) over the last axis, in double precision."""
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(axis=-1, keepdims=True)
    powers = np.exp(scaled)
    shares: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def rounded(shares: Sequence[float] | NDArray[np.float64]) -> Distribution:
    """A distribution in units of 0.0001 that sums to 1: the largest remainders are rounded up, ties by position.

    `shares` need not be scaled. Largest-remainder method: https://en.wikipedia.org/wiki/Quota_method
    """
    values: Sequence[float] = shares.tolist() if isinstance(shares, np.ndarray) else shares
    if min(values) < 0.0:
        values = [0.0 if value < 0.0 else value for value in values]
    total = _in_order(values)
    if not 0.0 < total < float("inf"):
        raise ValueError(f"not a distribution: {values}")
    exact = [value / total * _UNITS for value in values]
    units = [*map(int, exact)]
    missing = _UNITS - sum(units)
    if missing:
        remainders = [*map(sub, units, exact)]
        for at in sorted(range(len(units)), key=remainders.__getitem__)[:missing]:
            units[at] += 1
    return tuple([unit / _UNITS for unit in units])


def all_rounded(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """`rounded` of each row, to the bit: [documents, shares], none of them negative."""
    totals = shares.cumsum(axis=1)[:, -1:]  # one after another, as `_in_order` adds
    if not (np.isfinite(totals) & (totals > 0.0)).all():
        raise ValueError("not distributions")
    exact = shares / totals * _UNITS
    units = exact.astype(np.int64)
    missing = _UNITS - units.sum(axis=1, keepdims=True)
    ranks = np.argsort(np.argsort(units - exact, axis=1, kind="stable"), axis=1, kind="stable")
    rounded: NDArray[np.float64] = (units + (ranks < missing)) / _UNITS
    return rounded


def _in_order(values: Iterable[float]) -> float:
    """Their sum, added one after another, as numpy's `cumsum` does; from Python 3.12 on `sum` does otherwise."""
    return reduce(add, values, 0.0)


def mean(parts: Sequence[tuple[float, Sequence[float]]]) -> Distribution:
    """Weighted mean of distributions, rounded; `parts` are (weight > 0, distribution)."""
    weights, distributions = zip(*parts, strict=True)
    return rounded([_in_order(map(mul, weights, column)) for column in zip(*distributions, strict=True)])


def sentiment_of(shares: Sequence[float]) -> Sentiment:
    """A distribution over negative, neutral, positive as a record part."""
    negative, neutral, positive = shares
    return Sentiment.trusted(negative=negative, neutral=neutral, positive=positive)
