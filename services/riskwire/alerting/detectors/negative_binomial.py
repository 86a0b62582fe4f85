"""The upper tail of a negative binomial distribution, precise to the last bit on every machine.

With mean `m`, shape `r` and `p = m / (m + r)`

    P(X = i) = Gamma(r + i) / (Gamma(r) i!) p^i (1 - p)^r

It is the posterior predictive distribution of a Gamma-Poisson model.

Source: A. Gelman et al., Bayesian Data Analysis, 3rd ed., section 2.6.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

MAX_SHAPE = 2.0
"""The shape of all targets with much news; for it the logarithms of the gamma function are tabulated. An integer, so
that it can be added to an index of the table."""
_LOG_GAMMA = np.array([math.inf, *(math.lgamma(n) for n in range(1, 20_000))])
_TABLE_FROM_TERMS = 30
"""Heads of at least this many terms are summed with the table."""
_LEAST = 1e-12
"""A tail is summed until a term adds less than this part of the total."""
_NUMPY_FROM_TERMS = 150
"""Tails of more terms than this are summed with numpy."""
_MAX_BLOCK = 65_536
"""Terms that numpy takes at once."""


def tail(count: int, mean: float, shape: float) -> float:
    """Returns P(X >= count) for a negative binomial X; 1 for a count of 0, and otherwise 0 for a mean of 0.

    The smaller the shape, the more X varies: its variance is mean + mean² / shape.

    >>> round(tail(1, 1.0, 1.0), 6)
    0.5
    >>> tail(0, 3.0, 2.0)
    1.0
    """
    if count <= 0:
        return 1.0
    if mean <= 0.0:
        return 0.0
    p = mean / (mean + shape)
    if count <= mean:  # The tail is the larger part, so the head is summed instead.
        return max(0.0, 1.0 - math.fsum(_probabilities(0, count, p, shape)))
    log_gammas = math.lgamma(shape + count) - math.lgamma(shape) - math.lgamma(count + 1)
    first = math.exp(log_gammas + count * math.log(p) + shape * math.log1p(-p))
    return min(1.0, first * _tail_over_first(count, p, shape))


def _probabilities(start: int, stop: int, p: float, shape: float) -> Iterable[float]:
    """Returns P(X = i) for `start` <= i < `stop`, for a negative binomial X.

    Args:
        p: the mean of X divided by the sum of mean and shape.
        shape: the shape of the distribution: the smaller, the more X varies.
    """
    log_gamma_shape, log_p, log_zero = math.lgamma(shape), math.log(p), shape * math.log1p(-p)
    in_table = stop < len(_LOG_GAMMA) - MAX_SHAPE
    if shape == MAX_SHAPE and stop - start >= _TABLE_FROM_TERMS and in_table:
        i = np.arange(start, stop)
        logs = _LOG_GAMMA[i + int(MAX_SHAPE)] - log_gamma_shape - _LOG_GAMMA[i + 1] + i * log_p + log_zero
        # The last bit of numpy's exp depends on the processor; that of math.exp does not.
        return map(math.exp, logs.tolist())
    exp, lgamma = math.exp, math.lgamma
    return [exp(lgamma(shape + i) - log_gamma_shape - lgamma(i + 1) + i * log_p + log_zero) for i in range(start, stop)]


def _tail_over_first(count: int, p: float, shape: float) -> float:
    """Returns P(X >= count) / P(X = count), summed until a term adds less than `_LEAST` of the total.

    numpy takes the same steps in the same order when the tail is long. The result is the same to the bit: products,
    sums and quotients are rounded alike, and numpy accumulates from left to right.
    """
    terms = math.log(_LEAST) / math.log(p)
    if terms > _NUMPY_FROM_TERMS:
        return _long_tail_over_first(count, p, shape, min(int(terms * 1.1), _MAX_BLOCK))
    term = total = 1.0
    i = count
    while term > total * _LEAST:
        term *= p * (shape + i) / (i + 1)
        total += term
        i += 1
    return total


def _long_tail_over_first(count: int, p: float, shape: float, block: int) -> float:
    """Returns P(X >= count) / P(X = count) as `_tail_over_first` does, computed with numpy in blocks of terms.

    Args:
        p: the mean of X divided by the sum of mean and shape; below 1.
        shape: the shape of the negative binomial distribution of X.
        block: the number of terms that are computed at a time.
    """
    terms, totals = np.empty(block + 1), np.empty(block + 1)
    term = total = 1.0
    while True:
        i = np.arange(count, count + block, dtype=np.float64)
        terms[0], terms[1:] = term, p * (shape + i) / (i + 1.0)
        np.multiply.accumulate(terms, out=terms)
        totals[0], totals[1:] = total, terms[1:]
        np.add.accumulate(totals, out=totals)
        small = terms <= totals * _LEAST
        if small.any():
            return float(totals[small.argmax()])
        count, term, total = count + block, float(terms[-1]), float(totals[-1])
