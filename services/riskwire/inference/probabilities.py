"""From logits to probabilities that are equal bit for bit wherever they are computed, and sum to 1 as written."""

from __future__ import annotations

from collections.abc import Sequence

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
    values = [max(float(value), 0.0) for value in shares]
    total = sum(values)
    if not 0.0 < total < float("inf"):
        raise ValueError(f"not a distribution: {values}")
    exact = [value / total * _UNITS for value in values]
    units = [int(value) for value in exact]
    missing = _UNITS - sum(units)
    by_remainder = sorted(range(len(units)), key=lambda at: (units[at] - exact[at], at))
    for at in by_remainder[:missing]:
        units[at] += 1
    return tuple(unit / _UNITS for unit in units)


def mean(parts: Sequence[tuple[float, Sequence[float]]]) -> Distribution:
    """Weighted mean of distributions, rounded; `parts` are (weight > 0, distribution)."""
    width = len(parts[0][1])
    return rounded([sum(weight * shares[at] for weight, shares in parts) for at in range(width)])


def sentiment_of(shares: Sequence[float]) -> Sentiment:
    """A distribution over negative, neutral, positive as a record part."""
    negative, neutral, positive = shares
    return Sentiment.model_construct(negative=negative, neutral=neutral, positive=positive)


def shares_of(sentiment: Sentiment) -> Distribution:
    """The other way round."""
    return (sentiment.negative, sentiment.neutral, sentiment.positive)
