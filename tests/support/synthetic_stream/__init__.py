"""Simulated streams of signals without any real bad news, to measure how often detectors fire falsely.

Each target has its own rate of stories and its own share of adverse ones. Adverse stories come in small bursts, since
an outlet follows up its own story. Nights and weekends have less news. Some days bring a burst of neutral news.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from riskwire.records import Evidence, Mark, Sentiment, Signal, content_id

START = datetime(2031, 3, 3, tzinfo=UTC)
"""A Monday."""
HOUR_S = 3600
NEUTRAL = Sentiment(negative=0.1, neutral=0.85, positive=0.05)
NEGATIVE = Sentiment(negative=0.9, neutral=0.1, positive=0.0)


@dataclass(frozen=True, slots=True)
class StreamShape:
    """What a simulated stream is like.

    Attributes:
        targets: the number of targets.
        days: its length.
        stories_per_day: the median of the targets' mean number of stories a day.
        spread: the standard deviation of its logarithm over targets.
        other_stories: stories of the stream about other names, on a mean day.
        follow_ups: stories that follow an adverse one within a day, on average.
        neutral_bursts: bursts of 20 neutral stories per target and month.
        change_day: the day on which sources come or go; none without a change.
        change: the factor by which all news changes then: 1.3 if sources are added, 0.7 if they are lost.
        catch_ups: six-hour silences per month, after each of which the news of these hours comes within ten minutes.
    """

    targets: int = 200
    days: int = 730
    stories_per_day: float = 0.4
    spread: float = 1.0
    other_stories: int = 60
    follow_ups: float = 0.3
    neutral_bursts: float = 0.1
    change_day: int | None = None
    change: float = 1.0
    catch_ups: float = 0.0


class SyntheticStream:
    """A stream of signals and marks in the order of time.

    Attributes:
        targets: the ids of its targets.
    """

    def __init__(self, shape: StreamShape, seed: int, bundle: str = "synthetic@1") -> None:
        self.shape = shape
        self.targets = tuple(f"entity:target-{number}" for number in range(shape.targets))
        self._bundle = bundle
        self._seed = seed

    @property
    def target_months(self) -> float:
        """Targets times months of 30 days."""
        return self.shape.targets * self.shape.days / 30

    def records(self) -> Iterator[Signal | Mark]:
        """Yields the records. Every call yields the same ones."""
        rng = random.Random(self._seed)
        shape = self.shape
        rates = [shape.stories_per_day * math.exp(rng.gauss(0, shape.spread)) for _ in self.targets]
        shares = [rng.betavariate(2, 6) for _ in self.targets]
        pending: dict[int, list[tuple[int, int, bool]]] = {}
        number = 0
        silent_until = -1
        waiting: list[tuple[int, int, bool]] = []
        others_waiting = 0
        for hour in range(shape.days * 24):
            activity = _activity(hour)
            if shape.change_day is not None and hour >= shape.change_day * 24:
                activity *= shape.change
            stories = pending.pop(hour, [])
            for target, rate in enumerate(rates):
                for _ in range(_poisson(rng, rate * activity / 24)):
                    adverse = rng.random() < shares[target]
                    stories.append((rng.randrange(HOUR_S), target, adverse))
                    if adverse:
                        for _ in range(_poisson(rng, shape.follow_ups)):
                            later = hour + 1 + rng.randrange(20)
                            pending.setdefault(later, []).append((rng.randrange(HOUR_S), target, True))
            for _ in range(_poisson(rng, shape.neutral_bursts * shape.targets / 720)):
                target = rng.randrange(shape.targets)
                for _ in range(20):
                    later = hour + rng.randrange(12)
                    place = stories if later == hour else pending.setdefault(later, [])
                    place.append((rng.randrange(HOUR_S), target, False))
            other_stories = _poisson(rng, shape.other_stories * activity / 24)
            if rng.random() < shape.catch_ups / 720:
                silent_until = hour + 6
            if hour < silent_until:
                waiting += stories
                others_waiting += other_stories
                continue
            if waiting or others_waiting:
                stories += [(second % 600, target, adverse) for second, target, adverse in waiting]
                other_stories += others_waiting
                waiting, others_waiting = [], 0
            stories.sort()
            counts: dict[int, int] = {}
            for second, target, adverse in stories:
                number += 1
                at_s = hour * HOUR_S + second
                counts[at_s] = counts.get(at_s, 0) + 1
                yield self._signal(at_s, target, number, rng.randrange(4), adverse=adverse)
            for _ in range(other_stories):
                at_s = hour * HOUR_S + rng.randrange(HOUR_S)
                counts[at_s] = counts.get(at_s, 0) + 1
            yield _mark((hour + 1) * HOUR_S, counts)

    def _signal(self, at_s: int, target: int, number: int, source: int, *, adverse: bool) -> Signal:
        """Returns the signal of one story: its own article, from one of four sources."""
        article = content_id("synthetic", str(number))
        at = START + timedelta(seconds=at_s)
        title = f"Story {number}"
        return Signal.unvalidated(
            target=self.targets[target],
            name=f"Target {target}",
            article=article,
            version=1,
            story=article,
            source=f"source-{source}",
            title=title,
            url=f"https://news.example/{number}",
            published_at=at,
            seen_at=at,
            sentiment=NEGATIVE if adverse else NEUTRAL,
            relevance=1.0,
            evidence=Evidence.unvalidated(text=title, start=0, end=5),
            bundle=self._bundle,
        )


def _activity(hour: int) -> float:
    """Returns how much news an hour has, with a mean of about 1: less at night, and a third at weekends."""
    day, hour_of_day = hour // 24 % 7, hour % 24
    return (1.27 if day < 5 else 0.4) * (1.4 if 6 <= hour_of_day < 20 else 0.45)


def _mark(at_s: int, counts: dict[int, int]) -> Mark:
    """Returns a mark of the only partition, with the stories of the stream by bucket of 15 s."""
    start_s = round(START.timestamp())
    buckets: dict[int, int] = {}
    for second, stories in counts.items():
        bucket = (start_s + second) // 15 * 15
        buckets[bucket] = buckets.get(bucket, 0) + stories
    return Mark(from_=0, seen_at=START + timedelta(seconds=at_s), stories=sum(counts.values()), buckets=buckets)


def _poisson(rng: random.Random, mean: float) -> int:
    """Returns a Poisson number by Knuth's product of uniform numbers; `mean` must be small."""
    limit, count, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        count += 1
        product *= rng.random()
    return count
