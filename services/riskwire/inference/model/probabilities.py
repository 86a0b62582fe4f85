"""Converts logits to rounded probabilities that sum to 1 and are equal bit for bit on every machine."""

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
    """Returns softmax(logits / temperature) over the last axis, in double precision."""
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(axis=-1, keepdims=True)
    powers = np.exp(scaled)
    shares: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def mean_logits(logits: NDArray[np.float32], tokens: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Returns the mean of the logits of some tokens, [labels]; it is computed in double precision.

    Args:
        logits: [tokens, labels].
        tokens: [tokens], whether each token counts; at least one does.
    """
    means: NDArray[np.float32] = logits[tokens].astype(np.float64).mean(axis=0).astype(np.float32)
    return means


def rounded(shares: Sequence[float] | NDArray[np.float64]) -> Distribution:
    """Rounds a distribution to units of 0.0001 that sum to 1.

    The largest remainders are rounded up, ties by position (https://en.wikipedia.org/wiki/Quota_method).

    Args:
        shares: the distribution; it need not sum to 1, and negative shares count as 0.

    Raises:
        ValueError: the shares sum to zero or are not finite.
    """
    values: Sequence[float] = shares.tolist() if isinstance(shares, np.ndarray) else shares
    if min(values) < 0.0:
        values = [0.0 if value < 0.0 else value for value in values]
    total = _sum_in_order(values)
    if not 0.0 < total < float("inf"):
        raise ValueError(f"not a distribution: {values}")
    exact = [value / total * _UNITS for value in values]
    units = [*map(int, exact)]
    missing = _UNITS - sum(units)
    if missing:
        remainders = [*map(sub, units, exact)]
        for index in sorted(range(len(units)), key=remainders.__getitem__)[:missing]:
            units[index] += 1
    return tuple([unit / _UNITS for unit in units])


def rounded_rows(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rounds each row of `shares` exactly as `rounded` does.

    Args:
        shares: [documents, labels], not negative.

    Raises:
        ValueError: a row sums to zero or is not finite.
    """
    totals = shares.cumsum(axis=1)[:, -1:]  # adds in order, as `_sum_in_order` does
    if not (np.isfinite(totals) & (totals > 0.0)).all():
        raise ValueError("not distributions")
    exact = shares / totals * _UNITS
    units = exact.astype(np.int64)
    missing = _UNITS - units.sum(axis=1, keepdims=True)
    ranks = np.argsort(np.argsort(units - exact, axis=1, kind="stable"), axis=1, kind="stable")
    rounded: NDArray[np.float64] = (units + (ranks < missing)) / _UNITS
    return rounded


def _sum_in_order(values: Iterable[float]) -> float:
    """Adds values one after the other, as numpy's `cumsum` does. From Python 3.12 on, `sum` compensates rounding."""
    return reduce(add, values, 0.0)


def mean(parts: Sequence[tuple[float, Sequence[float]]]) -> Distribution:
    """Returns the weighted mean of distributions, rounded.

    Args:
        parts: pairs of a weight (> 0) and a distribution.
    """
    weights, distributions = zip(*parts, strict=True)
    return rounded([_sum_in_order(map(mul, weights, column)) for column in zip(*distributions, strict=True)])


def sentiment_of(shares: Sequence[float]) -> Sentiment:
    """Returns a distribution over negative, neutral and positive as part of a record."""
    negative, neutral, positive = shares
    return Sentiment.unvalidated(negative=negative, neutral=neutral, positive=positive)
