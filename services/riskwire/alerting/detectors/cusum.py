"""The slide detector: has the rate of adverse stories been too high for weeks, given the target's own past?

Formula. A one-sided CUSUM of the log-likelihood ratio of two Poisson rates, the usual rate and `WORSE` times as much:

    S = max(0, S + (x ln WORSE - m (WORSE - 1)) / d)

where `x` adverse stories came and `m` were expected since the last update. `m` is the rate times the number of stories
of the whole stream, as for the rate detector. Stories come in bursts, so the sum is divided by the dispersion `d`, the
variance of a day's stories divided by their mean. S is halved once per `HALF_LIFE_MS`, so that it is about weeks.

Reference. The usual rate is read from the baseline when S leaves zero, and stays until S is zero again. Otherwise the
baseline would learn the slide while it builds up. It is one standard deviation above the mean of the belief, so that a
name with a short past does not slide only because its rate is not known yet.

Bursts. One day with many stories is a spike and not a slide. So a day counts at most `DAY_STORIES` stories and twice
what is usual in a day.

False alarms. S exceeds `h` by chance at most once in `exp(h)` updates on average (Lorden). The surprise is `S / ln 10`,
comparable to -log10 of a chance. With one update a day, `log10(30 / budget)` is exceeded at most `budget` times a
month. On real news, where rates drift, it is exceeded more often; calibration sets the threshold (`calibration/`).

Source: J. M. Lucas (1985), Counted data CUSUMs, Technometrics 27; G. Lorden (1971), Procedures for reacting to a change
in distribution, Annals of Mathematical Statistics 42.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from riskwire.alerting.baseline import Rate
from riskwire.alerting.detectors.negative_binomial import MAX_SHAPE
from riskwire.alerting.detectors.rate_detector import BURST
from riskwire.alerting.exposure import decay

DAY_MS = 86_400_000
WORSE = 1.5
"""The rate that a slide is tested for, as a multiple of the usual one. A doubling over four weeks is found some ten
days earlier than with 3, at the same rate of false alarms (`tests/bench/alerting`)."""
HALF_LIFE_MS = 28 * DAY_MS
LEARN_MS = 28 * DAY_MS
"""The first weeks of a stream, in which no slide begins."""
DAY_STORIES = 2.0
"""Stories that a day counts besides twice the usual number of a day."""
_LOG_WORSE = math.log(WORSE)
_LN_10 = math.log(10.0)


@dataclass(slots=True)
class Cusum:
    """The cumulated sum of one target. Its size does not depend on the number of stories.

    Attributes:
        level: the sum S as of `at_ms`, in nats.
        exposure: the number of stories of the whole stream up to `at_ms`.
        since_ms: when the sum left zero.
        rate: the usual number of adverse stories per story of the stream, as of `since_ms`.
        day_mean: the usual number of adverse stories in a day.
        adverse, expected: adverse stories since `since_ms`, and how many were expected.
        day: the day of `at_ms`, in days since 1970.
        day_stories: the stories that this day has counted.
    """

    level: float = 0.0
    at_ms: int = 0
    exposure: int = 0
    since_ms: int = 0
    rate: float = 0.0
    day_mean: float = 0.0
    adverse: int = 0
    expected: float = 0.0
    day: int = 0
    day_stories: float = 0.0

    def add(self, now_ms: int, adverse: int, exposure: int, usual: Sequence[Rate], exposure_of_day: float) -> None:
        """Adds adverse stories, and the time without any since the last call.

        Args:
            now_ms: the time, not before that of the last call.
            adverse: the number of stories that turned adverse since the last call.
            exposure: the number of stories of the whole stream up to now.
            usual: the belief about the rate.
            exposure_of_day: the number of stories of the whole stream in a day.
        """
        self.pass_time(now_ms, exposure, exposure_of_day)
        if self.level <= 0.0:
            self.since_ms, self.rate, self.adverse, self.expected = now_ms, usual_rate(usual), 0, 0.0
        self.day_mean = day_mean = self.rate * exposure_of_day
        counted = max(0.0, min(adverse, DAY_STORIES + 2.0 * day_mean - self.day_stories))
        self.level += counted * _LOG_WORSE / dispersion(day_mean)
        self.adverse += adverse
        self.day_stories += counted

    def pass_time(self, now_ms: int, exposure: int, exposure_of_day: float) -> None:
        """Lets the sum fall by what was expected since the last update, not below zero; may begin a new day."""
        if self.level > 0.0:
            mean = self.rate * max(exposure - self.exposure, 0)
            self.expected += mean
            self.level *= decay(now_ms - self.at_ms, HALF_LIFE_MS)
            self.level -= mean * (WORSE - 1.0) / dispersion(self.rate * exposure_of_day)
            self.level = max(0.0, self.level)
        if now_ms // DAY_MS != self.day:
            self.day, self.day_stories = now_ms // DAY_MS, 0.0
        self.at_ms, self.exposure = max(now_ms, self.at_ms), max(exposure, self.exposure)

    def surprise(self, now_ms: int) -> float:
        """Returns S / ln 10 as of a time at which no story came, without what was expected since the last update."""
        return self.level * decay(now_ms - self.at_ms, HALF_LIFE_MS) / _LN_10

    def falls_below_ms(self, surprise: float) -> int:
        """Returns when the sum falls below a surprise above 0, if no adverse story comes; `at_ms` if it is below."""
        level = surprise * _LN_10
        return self.at_ms + (math.ceil(HALF_LIFE_MS * math.log2(self.level / level)) if self.level > level else 0)

    def most_below(self, surprise: float) -> int:
        """Returns with how many adverse stories, instead of those that came, the sum would be below a surprise."""
        step = _LOG_WORSE / dispersion(self.day_mean)
        return max(0, self.adverse - math.floor((self.level - surprise * _LN_10) / step) - 1)

    def cap(self, surprise: float) -> None:
        """Limits the sum, so that a slide that goes on can end some weeks after the last adverse story."""
        self.level = min(self.level, surprise * _LN_10)

    def reset(self) -> None:
        """Sets the sum to zero. The next adverse story begins with the rate that is usual then."""
        self.level = 0.0


def usual_rate(rates: Sequence[Rate]) -> float:
    """Returns the mean of a belief about a rate (a mixture of Gamma distributions) and one standard deviation."""
    mean = math.fsum([rate.weight * rate.shape / rate.stories for rate in rates])
    square = math.fsum([rate.weight * rate.shape * (rate.shape + 1.0) / rate.stories**2 for rate in rates])
    return mean + math.sqrt(max(0.0, square - mean * mean))


def dispersion(day_mean: float) -> float:
    """Returns the variance of a day's adverse stories divided by their mean.

    It is that of the negative binomial of the rate detector, whose shape is at most `mean / burst` and `MAX_SHAPE`.
    """
    return 1.0 + max(BURST, day_mean / MAX_SHAPE)


def slide_threshold(budget: float) -> float:
    """Returns the surprise that a sum exceeds by chance at most `budget` times a month, with one update a day.

    >>> round(slide_threshold(0.005), 2)
    3.78
    """
    return math.log10(30.0 / budget)
