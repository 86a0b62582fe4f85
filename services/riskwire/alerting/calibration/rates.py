"""How often a running system notifies, and how often it should. Kept as part of the state of a partition.

Spikes and slides have a budget. Event alerts have none: their notifications are counted separately.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import orjson

from riskwire.records import PARTY_TARGET, Alert, Tier, to_ms
from riskwire.settings import Budget
from riskwire.stage import KeyedState

FOLLOWED_STORIES = 0.8
"""A party with fewer stories, those of the past decayed, does not count. On two years of a wire, about as many parties
have more on an average day as have ten articles in all, which a calibration without a watchlist counts."""
_DAY_MS = 86_400_000
DAYS = 90
"""The days over which notifications are counted."""
MONTH_DAYS = 30
FACTOR = 1.5
"""A rate has drifted when it is this many times the expected one, or the expected one this many times as much."""
CHANCE = 0.01
"""The chance of as many notifications below which a rate counts as drifted."""

RateName = Literal["spike_notice", "spike_page", "slide", "event_digest", "event_notice", "event_page"]
RATE_NAMES: tuple[RateName, ...] = ("spike_notice", "spike_page", "slide", "event_digest", "event_notice", "event_page")
"""What is counted: alerts by kind and tier."""
_EVENT_NAMES: dict[Tier, RateName] = {"digest": "event_digest", "notice": "event_notice", "page": "event_page"}
Drift = Literal["as expected", "more often", "more rarely", "too early to say"]


@dataclass(slots=True)
class DayRates:
    """One day of one partition.

    Attributes:
        day: days since 1970.
        targets: the followed targets at the end of the day; 0 while it lasts.
        counts: notifications, fires and escalations, by what is counted.
    """

    day: int
    targets: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    def encoded(self) -> bytes:
        """Returns the day as bytes of the state."""
        return orjson.dumps([self.day, self.targets, self.counts], option=orjson.OPT_SORT_KEYS)

    @classmethod
    def decoded(cls, raw: bytes) -> DayRates:
        """Returns the day that `encoded` gave."""
        return cls(*orjson.loads(raw))


class RateLog:
    """The notifications of the last `DAYS` days of one partition, by day.

    State: `rates/PARTITION/DAY`, so that a tool can read those of all partitions at once.
    """

    PREFIX = "rates/"

    def __init__(self, partition: int, state: Mapping[str, bytes]) -> None:
        """Restores the days from the committed state of the partition."""
        prefix = f"{self.PREFIX}{partition}/"
        self._days = KeyedState(prefix, state, encode=DayRates.encoded, decode=DayRates.decoded)

    def add(self, alert: Alert) -> None:
        """Counts an alert on a party that notifies. One that resolves, or is on a group or topic, has no effect."""
        name = rate_name(alert)
        if name is not None and alert.target.startswith(PARTY_TARGET):
            counts = self._day(to_ms(alert.at) // _DAY_MS).counts
            counts[name] = counts.get(name, 0) + 1

    def close_days(self, first: int, end: int, targets: int) -> None:
        """Sets the number of followed targets of the days that have ended, and drops days that are too old.

        Args:
            first, end: the first day, and the day after the last, in days since 1970.
        """
        for day in range(max(first, end - DAYS), end) if targets else ():
            self._day(day).targets = targets
        for old in [key for key in self._days if int(key) < end - DAYS]:
            self._days.delete(old)

    def take_changes(self) -> dict[str, bytes | None]:
        """Returns the changes of the state since the last call."""
        return self._days.take_changes()

    @property
    def days(self) -> Iterable[DayRates]:
        """The days, in any order."""
        return self._days.entries.values()

    def _day(self, day: int) -> DayRates:
        """Returns a day, which the caller changes."""
        key = str(day)
        rates = self._days.get(key)
        if rates is None:
            rates = DayRates(day)
            self._days.set(key, rates)
        else:
            self._days.touch(key)
        return rates


@dataclass(frozen=True, slots=True)
class AchievedRate:
    """One rate of a running system.

    Attributes:
        notifications: how many there were.
        target_months: the followed targets, times the months of 30 days.
        expected: notifications per target and month that the budget allows; None for event alerts, which have none.
    """

    name: RateName
    notifications: int
    target_months: float
    expected: float | None

    @property
    def achieved(self) -> float | None:
        """Notifications per target and month; None without a target."""
        return self.notifications / self.target_months if self.target_months else None

    @property
    def drift(self) -> Drift | None:
        """Whether the rate is as expected, within `FACTOR` and what chance explains; None without a budget."""
        return None if self.expected is None else drift(self.notifications, self.expected * self.target_months)


def counts(target: str, stories: float) -> bool:
    """Returns whether a target counts in the rates: a party of which there is enough news.

    Args:
        stories: its number of stories, those of the past decayed.
    """
    return stories >= FOLLOWED_STORIES and target.startswith(PARTY_TARGET)


def rate_name(alert: Alert) -> RateName | None:
    """Returns as what an alert is counted; None if it does not notify."""
    if alert.status == "resolved":
        return None
    if alert.kind == "slide":
        return "slide"
    if alert.kind == "spike":
        return "spike_page" if alert.tier == "page" else "spike_notice"
    return _EVENT_NAMES[alert.tier]


def expected_rates(budget: Budget) -> dict[RateName, float]:
    """Returns the notifications per target and month that a budget allows, by what is counted.

    The budget of notices is the geometric mean of their number without and with the pages (`RunCounts.spikes`).
    """
    half = budget.page / 2
    notices = math.sqrt(budget.notice**2 + half**2) - half
    return {"spike_notice": notices, "spike_page": budget.page, "slide": budget.slide}


def achieved_rates(days: Iterable[DayRates], expected: Mapping[RateName, float]) -> Iterator[AchievedRate]:
    """Yields each rate over the last `DAYS` days, for the days of all partitions."""
    days = list(days)
    last = max((day.day for day in days), default=0)
    recent = [day for day in days if day.day > last - DAYS]
    target_months = sum(day.targets for day in recent) / MONTH_DAYS
    for name in RATE_NAMES:
        notifications = sum(day.counts.get(name, 0) for day in recent)
        yield AchievedRate(name, notifications, target_months, expected.get(name))


def drift(notifications: int, expected: float) -> Drift:
    """Returns whether a number of notifications is as expected, within `FACTOR` and what chance explains.

    It is more often, or more rarely, if a Poisson number with `FACTOR` times the expected mean, or one `FACTOR`-th of
    it, is as large, or as small, with a chance below `CHANCE`. It is too early to say while even no notification at all
    would have a larger chance.

    >>> drift(50, 20.0), drift(22, 20.0), drift(5, 20.0), drift(0, 2.0)
    ('more often', 'as expected', 'more rarely', 'too early to say')
    """
    if notifications and 1.0 - poisson_below(notifications, expected * FACTOR) < CHANCE:
        return "more often"
    if poisson_below(notifications + 1, expected / FACTOR) < CHANCE:
        return "more rarely"
    return "too early to say" if math.exp(-expected / FACTOR) >= CHANCE else "as expected"


def poisson_below(count: int, mean: float) -> float:
    """Returns P(X < count) for a Poisson number X.

    >>> round(poisson_below(1, 1.0), 4)
    0.3679
    """
    if mean <= 0.0:
        return 1.0 if count else 0.0
    return math.fsum([math.exp(i * math.log(mean) - mean - math.lgamma(i + 1)) for i in range(count)])
