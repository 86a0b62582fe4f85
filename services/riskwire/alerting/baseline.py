"""A target's own past: decayed counts of stories and of negative ones, and the prior they are mixed with.

Rates follow a Gamma-Poisson model over exposure (stories of the whole stream), the negative share a Beta-Binomial one.
What a window holds is never in here: a story is learned when it leaves the longest window.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from riskwire.alerting.exposure import decay


@dataclass(frozen=True, slots=True)
class Rate:
    """One belief about a rate of negative stories per story of the stream: a Gamma distribution.

    Attributes:
        weight: how likely this belief is before anything was seen.
        shape: Gamma shape.
        stories: Gamma rate parameter: the exposure, in stories of the stream, that the belief weighs.
    """

    weight: float
    shape: float
    stories: float


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed of a target nothing is known of.

    News is unevenly spread: most names draw next to none of it, a few draw much. So the rate is a mixture of a quiet
    and a prominent belief. On the first day a burst on an unknown name may well be a prominent name's usual day; once
    the stream has been watched for a while without it, it can not.

    Attributes:
        rates: the mixture.
        share: mean negative share of its stories.
        share_weight: stories that the share prior weighs.
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
    """The prior of a target's kind."""
    return PRIORS.get(target.partition(":")[0], PRIORS["entity"])


@dataclass(slots=True)
class Baseline:
    """Decayed counts as of `at` (ms).

    Attributes:
        stories, negative: all that was learned, backfill included: the share and the mean score come from them.
        score: sum of the scores of `stories`.
        events: negative stories of news that counted as exposure: the rate comes from them.
    """

    stories: float = 0.0
    negative: float = 0.0
    score: float = 0.0
    events: float = 0.0
    at: int = 0

    def learn(
        self, at_ms: int, stories: float, negative: float, score: float, events: float, half_life_ms: float
    ) -> None:
        """Add what has left the longest window at `at_ms`, or came as backfill (then without events), or is history
        (then faded as if it had been learned in its time)."""
        weight = decay(at_ms - self.at, half_life_ms)
        self.stories = self.stories * weight + stories
        self.negative = self.negative * weight + negative
        self.score = self.score * weight + score
        self.events = self.events * weight + events
        self.at = max(self.at, at_ms)

    def as_of(self, now_ms: int, half_life_ms: float) -> Baseline:
        """These counts decayed to `now_ms`."""
        weight = decay(now_ms - self.at, half_life_ms)
        return Baseline(
            self.stories * weight, self.negative * weight, self.score * weight, self.events * weight,
            max(now_ms, self.at),
        )  # fmt: skip

    def share(self, prior: Prior) -> float:
        """Posterior mean of the negative share (Beta-Binomial)."""
        return (self.negative + prior.share * prior.share_weight) / (self.stories + prior.share_weight)

    def mean_score(self, prior: Prior) -> float:
        """Posterior mean score, shrunk to 0 with the weight of the share prior."""
        return self.score / (self.stories + prior.share_weight)

    def rates(self, prior: Prior, exposure: float, known: float = 0.0) -> tuple[Rate, ...]:
        """The posterior of the rate after `events` negative stories in `exposure` stories of the stream.

        Each belief of the mixture is updated (Gamma-Poisson) and weighed by how well it had foretold what was seen.
        `known` further events shift the rates without weighing the beliefs anew.
        """
        if len(prior.rates) == 1:
            (only,) = prior.rates
            return (Rate(1.0, only.shape + self.events + known, only.stories + exposure),)
        likely = [
            math.log(rate.weight)
            + math.lgamma(rate.shape + self.events)
            - math.lgamma(rate.shape)
            + rate.shape * math.log(rate.stories / (rate.stories + exposure))
            - self.events * math.log(rate.stories + exposure)
            for rate in prior.rates
        ]
        most = max(likely)
        whole = sum(math.exp(one - most) for one in likely)
        return tuple(
            Rate(math.exp(one - most) / whole, rate.shape + self.events + known, rate.stories + exposure)
            for one, rate in zip(likely, prior.rates, strict=True)
        )
