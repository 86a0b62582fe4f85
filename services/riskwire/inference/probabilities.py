"""From logits to probabilities that are equal bit for bit wherever they are computed, and sum to 1 as written."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from operator import sub

import numpy as np
from numpy.typing import NDArray

from riskwire.schemas import Sentiment

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
    values = [0.0 if value < 0.0 else float(value) for value in shares]
    total = sum(values)
    if not 0.0 < total < float("inf"):
        raise ValueError(f"not a distribution: {values}")
    exact = [value / total * _UNITS for value in values]
    units = [*map(int, exact)]
    missing = _UNITS - sum(units)
    if missing:
        remainders = sorted(zip(map(sub, units, exact), count(), strict=False))
        for _, at in remainders[:missing]:
            units[at] += 1
    return tuple([unit / _UNITS for unit in units])


def mean(parts: Sequence[tuple[float, Sequence[float]]]) -> Distribution:
    """Weighted mean of distributions, rounded; `parts` are (weight > 0, distribution)."""
    width = len(parts[0][1])
    return rounded([sum(weight * shares[at] for weight, shares in parts) for at in range(width)])


def sentiment_of(shares: Sequence[float]) -> Sentiment:
    """A distribution over negative, neutral, positive as a record part."""
    negative, neutral, positive = shares
    return Sentiment.trusted(negative=negative, neutral=neutral, positive=positive)


def shares_of(sentiment: Sentiment) -> Distribution:
    """The other way round."""
    return (sentiment.negative, sentiment.neutral, sentiment.positive)
