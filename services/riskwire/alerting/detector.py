"""The rate detector: how surprising is this much negative news, given the target's own past?

For each window the posterior-predictive tail of a Gamma-Poisson model (a negative binomial; Gelman et al., Bayesian
Data Analysis, 3rd ed., 2.6) over exposure: with shape `r` and mean `m = rate x stories of the stream in the window`

    P(X >= k) = sum_{i >= k} Gamma(r + i) / (Gamma(r) i!) p^i (1 - p)^r,   p = m / (m + r)

summed over a mixture of beliefs about the rate (`baseline.Prior`). Surprise is `-log10 P`.

News comes in bursts that no slowly moving rate explains: one event makes several stories. A negative binomial whose
shape grows with its mean, `r = m / burst`, is such a compound Poisson count with variance `m (1 + burst)`: its tail
falls off by `p = burst / (1 + burst)` a story, however little was expected. The posterior's shape is therefore held to
it, and to `MAX_SHAPE`, which keeps busy targets from being taken for steady ones. One outlet following up its own story
is what bursts are made of; outlets that tell stories of their own are not, so the burst shrinks with the
number of sources to the power of three quarters.

The threshold comes from the false-alarm budget: with `n` independent looks a month (one a window length) a surprise of
`log10(n / budget)` is passed by chance `budget` times a month. It admits its own error: looks overlap (each new story
is one), so the true number is higher for busy targets, and for quiet ones the minimum of stories keeps it lower.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

BURST = 0.6
"""Stories that follow a negative one of a single source beyond what the rate explains. Chosen on the Reuters stream of
2009-2010 so that notifications keep the budget (`tests/bench/backtest.py`)."""
MOST_SOURCES = 9
"""Sources beyond this many say no more."""
MAX_SHAPE = 2.0
"""Whole, so that `_LOG_GAMMA` has what it asks for."""
MAX_SURPRISE = 99.0
MONTH_S = 30 * 86_400
_LEAST = 1e-12
_LONG, _BLOCK = 150, 65_536
"""A tail of more terms than this is left to numpy, which takes at most so many at a time."""
_MANY = 30
"""So is a head of more, of the shape that all targets of much news have: its logarithms are at hand."""
_LOG_GAMMA = np.array([math.inf, *(math.lgamma(n) for n in range(1, 20_000))])


def tail(count: int, mean: float, shape: float) -> float:
    """P(X >= count) of a negative binomial with this mean and shape; 1 for a count of 0.

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
    if count <= mean:  # the tail is the larger part: sum the head instead
        return max(0.0, 1.0 - math.fsum(_pmf(0, count, p, shape)))
    (first,) = _pmf(count, count + 1, p, shape)
    return min(1.0, first * _in_firsts(count, p, shape))


def _pmf(start: int, stop: int, p: float, shape: float) -> Iterable[float]:
    """P(X = i) for `start` <= i < `stop`."""
    of_shape, log_p, none = math.lgamma(shape), math.log(p), shape * math.log1p(-p)
    if shape == MAX_SHAPE and stop - start >= _MANY and stop < len(_LOG_GAMMA) - MAX_SHAPE:
        i = np.arange(start, stop)
        logs = _LOG_GAMMA[i + int(MAX_SHAPE)] - of_shape - _LOG_GAMMA[i + 1] + i * log_p + none
        return map(math.exp, logs.tolist())  # not numpy's exp: its last bit is not the same on every processor
    exp, lgamma = math.exp, math.lgamma
    return [exp(lgamma(shape + i) - of_shape - lgamma(i + 1) + i * log_p + none) for i in range(start, stop)]


def _in_firsts(count: int, p: float, shape: float) -> float:
    """P(X >= count) / P(X = count), summed until a term adds less than `_LEAST` of the whole.

    Where the tail is long, numpy takes the same steps in the same order: multiplying, adding and dividing are exact to
    the bit, and its accumulations run from the left.
    """
    terms = math.log(_LEAST) / math.log(p)
    if terms > _LONG:
        return _in_firsts_of_many(count, p, shape, min(int(terms * 1.1), _BLOCK))
    term = total = 1.0
    i = count
    while term > total * _LEAST:
        term *= p * (shape + i) / (i + 1)
        total += term
        i += 1
    return total


def _in_firsts_of_many(count: int, p: float, shape: float, block: int) -> float:
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


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a window should hold: a mixture of negative binomials, each (weight, mean, shape)."""

    parts: tuple[tuple[float, float, float], ...]
    burst: float = BURST

    def told_by(self, sources: int) -> Prediction:
        """The same where the stories come from this many sources."""
        return Prediction(self.parts, BURST / min(max(sources, 1), MOST_SOURCES) ** 0.75)

    @property
    def mean(self) -> float:
        """Expected number of negative stories."""
        return math.fsum(weight * mean for weight, mean, _ in self.parts)

    def scaled(self, factor: float) -> Prediction:
        """The same with `factor` times as much news, or so much busier a past."""
        return Prediction(tuple((weight, mean * factor, shape) for weight, mean, shape in self.parts), self.burst)

    def tail(self, count: int) -> float:
        """P(X >= count)."""
        return math.fsum(
            [weight * tail(count, mean, min(shape, mean / self.burst, MAX_SHAPE)) for weight, mean, shape in self.parts]
        )

    def surprise(self, count: int) -> float:
        """-log10 of the tail, at most `MAX_SURPRISE`."""
        chance = self.tail(count)
        return MAX_SURPRISE if chance <= 10.0**-MAX_SURPRISE else max(0.0, -math.log10(chance))


def threshold(budget: float, windows_s: tuple[int, ...]) -> float:
    """The surprise that is passed by chance `budget` times per target and month.

    >>> round(threshold(0.02, (21_600, 86_400)), 2)
    3.88
    """
    looks = sum(MONTH_S / window for window in windows_s)
    return math.log10(looks / budget)


def most_not_firing(prediction: Prediction, limit: float, most: int) -> int:
    """The largest count, at most `most`, whose surprise stays below `limit`."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if prediction.surprise(middle) < limit:
            low = middle
        else:
            high = middle - 1
    return low


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one window says of a target at one time.

    Attributes:
        negative: negative stories in the window.
        prediction: what the past predicts.
        baseline_score: mean score of the past.
        stories, score: all stories in the window and their mean score; only where the rate is surprising.
        worse: whether share or score is worse than the baseline's; only where the rate is surprising.
    """

    window_s: int
    negative: int
    prediction: Prediction
    surprise: float
    baseline_score: float
    stories: int = 0
    score: float = 0.0
    worse: bool = False

    @property
    def expected(self) -> float:
        """Expected number of negative stories."""
        return self.prediction.mean
