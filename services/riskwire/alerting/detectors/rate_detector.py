"""The rate detector: how surprising is this much negative news, given the target's own past?

Formula. For each window, the number of negative stories is compared with its posterior predictive distribution under a
Gamma-Poisson model, a negative binomial (`negative_binomial.py`). The exposure is the number of stories of the whole
stream: a rate times the stories of the stream in the window is the mean `m`. The tail `P(X >= k)` is summed over a
mixture of beliefs about the rate (`baseline.Prior`). Surprise is `-log10 P(X >= k)`.

Bursts. News comes in bursts that no slowly moving rate explains: one event makes several stories. A negative binomial
whose shape grows with its mean, `r = m / burst`, is such a compound Poisson count, with variance `m (1 + burst)`. Its
tail falls by the factor `burst / (1 + burst)` for each story, however few were expected. So the shape of the posterior
is limited to `m / burst`, and also to `MAX_SHAPE`, because a busy target is not a steady one. A burst is mostly one
outlet that follows up its own story, so `burst` shrinks with the number of sources to the power of three quarters.

False alarms. The threshold follows from the budget. With `n` independent looks a month (one for each window length), a
surprise of `log10(n / budget)` is exceeded by chance `budget` times a month. The true number differs: looks overlap,
because each new story is one, so busy targets exceed it more often. The minimum of stories keeps quiet targets below.

Source: A. Gelman et al., Bayesian Data Analysis, 3rd ed., section 2.6 (Gamma-Poisson).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from riskwire.alerting.detectors.negative_binomial import MAX_SHAPE, tail

BURST = 0.6
"""Stories that follow a negative one of a single source beyond what the rate explains. Chosen on the Reuters stream of
2009-2010 so that notifications keep the budget (`tests/bench/backtest.py`)."""
MAX_SOURCES = 9
"""The burst shrinks no further with more sources than this."""
MAX_SURPRISE = 99.0
MONTH_S = 30 * 86_400


@dataclass(frozen=True, slots=True)
class Prediction:
    """The predicted number of negative stories in a window.

    Attributes:
        parts: a mixture of negative binomials, each (weight, mean, shape).
        burst: stories that follow one beyond what the rate explains.
    """

    parts: tuple[tuple[float, float, float], ...]
    burst: float = BURST

    def with_sources(self, sources: int) -> Prediction:
        """Returns the prediction for stories of this many sources."""
        return Prediction(self.parts, BURST / min(max(sources, 1), MAX_SOURCES) ** 0.75)

    @property
    def mean(self) -> float:
        """The expected number of negative stories."""
        return math.fsum(weight * mean for weight, mean, _ in self.parts)

    def scaled(self, factor: float) -> Prediction:
        """Returns the prediction with every mean multiplied by a factor."""
        return Prediction(tuple((weight, mean * factor, shape) for weight, mean, shape in self.parts), self.burst)

    def tail(self, count: int) -> float:
        """Returns P(X >= count): the mean over the mixture, weighted.

        The shape of each part is limited to `mean / burst` and to `MAX_SHAPE`, because news comes in bursts.
        """
        return math.fsum(
            [weight * tail(count, mean, min(shape, mean / self.burst, MAX_SHAPE)) for weight, mean, shape in self.parts]
        )

    def surprise(self, count: int) -> float:
        """Returns -log10 P(X >= count), at most `MAX_SURPRISE`."""
        chance = self.tail(count)
        return MAX_SURPRISE if chance <= 10.0**-MAX_SURPRISE else max(0.0, -math.log10(chance))


def threshold(budget: float, windows_s: tuple[int, ...]) -> float:
    """Returns the surprise (-log10 of a chance) that is exceeded by chance `budget` times per target and month.

    Each window counts as one independent look per window length. A month has 30 days.

    >>> round(threshold(0.02, (21_600, 86_400)), 2)
    3.88
    """
    looks = sum(MONTH_S / window for window in windows_s)
    return math.log10(looks / budget)


def max_count_below(prediction: Prediction, limit: float, max_count: int) -> int:
    """Returns the largest count of negative stories, at most `max_count`, whose surprise is below `limit`.

    Surprise is -log10 of the predicted chance of at least that many stories; it grows with the count.
    """
    low, high = 0, max_count
    while low < high:
        middle = (low + high + 1) // 2
        if prediction.surprise(middle) < limit:
            low = middle
        else:
            high = middle - 1
    return low


@dataclass(frozen=True, slots=True)
class WindowVerdict:
    """How surprising one window of a target is at one time.

    Attributes:
        negative: negative stories in the window.
        prediction: what the baseline predicts.
        baseline_score: the mean score of the baseline.
        stories, score: all stories in the window and their mean score; computed only when the rate is surprising.
        worse: whether share or score is worse than the baseline's; computed only when the rate is surprising.
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
        """The expected number of negative stories."""
        return self.prediction.mean
