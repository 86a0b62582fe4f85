"""The past of a target: decayed counts of its stories, and the prior that they are combined with.

Rates follow a Gamma-Poisson model over exposure (stories of the whole stream), and the negative share follows a
Beta-Binomial model. Stories of the window are not in the baseline: it learns a story when the story leaves the longest
window.

Source: A. Gelman et al., Bayesian Data Analysis, 3rd ed., sections 2.4 (Beta-Binomial) and 2.6 (Gamma-Poisson).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from riskwire.alerting.exposure import decay
from riskwire.settings import AlertingSettings


@dataclass(frozen=True, slots=True)
class Rate:
    """A belief about the rate of negative stories per story of the stream: a Gamma distribution.

    Attributes:
        weight: the probability of this belief.
        shape: the Gamma shape.
        stories: the Gamma rate parameter: the exposure that the belief is worth, in stories of the stream.
    """

    weight: float
    shape: float
    stories: float


@dataclass(frozen=True, slots=True)
class Prior:
    """The belief about a target without a past.

    News is unevenly spread: most names have next to none, and a few have much. So the rate is a mixture of two beliefs,
    quiet and prominent. On the first day, a burst on an unknown name may be the usual day of a prominent name. Once the
    stream has been read for a while without news of it, it cannot be.

    Attributes:
        rates: the mixture.
        share: the mean negative share of its stories.
        share_weight: the number of stories that the share is worth.
    """

    rates: tuple[Rate, ...]
    share: float = 0.3
    share_weight: float = 4.0


PRIORS = {
    "entity": Prior((Rate(0.99, 0.25, 150.0), Rate(0.01, 2.0, 40.0))),
    "group": Prior((Rate(1.0, 0.5, 10.0),)),
    "topic": Prior((Rate(1.0, 0.5, 10.0),)),
    "market": Prior((Rate(1.0, 3.0, 10.0),)),
}
"""By the kind of target (the part of its id before the first colon)."""


def prior_of(target: str) -> Prior:
    """Returns the prior of a target's kind."""
    return PRIORS.get(target.partition(":")[0], PRIORS["entity"])


@dataclass(slots=True)
class Baseline:
    """Decayed counts as of `at` (ms).

    Attributes:
        stories, negative: the stories and the negative ones, backfill included, for the share and the mean score.
        score: the sum of the scores of `stories`.
        events: negative stories of news that counted as exposure, for the rate.
    """

    stories: float = 0.0
    negative: float = 0.0
    score: float = 0.0
    events: float = 0.0
    at: int = 0

    def learn(
        self, at_ms: int, stories: float, negative: float, score: float, events: float, half_life_ms: float
    ) -> None:
        """Adds counts as of `at_ms`, after decaying the present ones to that time.

        The counts come from a slot that has left the longest window, from backfill (which has no events), or from
        history (decayed by the caller from the time of each story). If `at_ms` is before the time of the present
        counts, nothing is decayed.

        Args:
            stories, negative: the stories, and the negative ones among them.
            score: the sum of their scores.
            events: negative stories that count for the rate.
            half_life_ms: the time in which counts lose half of their weight.
        """
        weight = decay(at_ms - self.at, half_life_ms)
        self.stories = self.stories * weight + stories
        self.negative = self.negative * weight + negative
        self.score = self.score * weight + score
        self.events = self.events * weight + events
        self.at = max(self.at, at_ms)

    def as_of(self, now_ms: int, half_life_ms: float) -> Baseline:
        """Returns these counts decayed to `now_ms`, halved once per `half_life_ms`; undecayed for an earlier time."""
        weight = decay(now_ms - self.at, half_life_ms)
        return Baseline(
            self.stories * weight, self.negative * weight, self.score * weight, self.events * weight,
            max(now_ms, self.at),
        )  # fmt: skip

    def share(self, prior: Prior) -> float:
        """The posterior mean of the negative share (Beta-Binomial)."""
        return (self.negative + prior.share * prior.share_weight) / (self.stories + prior.share_weight)

    def mean_score(self, prior: Prior) -> float:
        """The posterior mean score, shrunk to 0 with the weight of the share prior."""
        return self.score / (self.stories + prior.share_weight)

    def rates(self, prior: Prior, exposure: float, notified: float = 0.0) -> tuple[Rate, ...]:
        """Returns the posterior of the rate after `events` negative stories in `exposure` stories of the stream.

        Each belief of the mixture is updated (Gamma-Poisson) and weighted by how well it predicted the events.

        Args:
            prior: the belief about a target without a past.
            exposure: the number of stories of the whole stream in the past of the target.
            notified: further events, which shift the rates and leave the weights of the beliefs as they are.
        """
        if len(prior.rates) == 1:
            (rate,) = prior.rates
            return (Rate(1.0, rate.shape + self.events + notified, rate.stories + exposure),)
        log_weights = [
            math.log(rate.weight)
            + math.lgamma(rate.shape + self.events)
            - math.lgamma(rate.shape)
            + rate.shape * math.log(rate.stories / (rate.stories + exposure))
            - self.events * math.log(rate.stories + exposure)
            for rate in prior.rates
        ]
        largest = max(log_weights)
        total = sum(math.exp(log_weight - largest) for log_weight in log_weights)
        return tuple(
            Rate(math.exp(log_weight - largest) / total, rate.shape + self.events + notified, rate.stories + exposure)
            for log_weight, rate in zip(log_weights, prior.rates, strict=True)
        )


def half_life_ms(settings: AlertingSettings) -> float:
    """The half-life of baselines and of past exposure."""
    return settings.half_life_days * 86_400_000
