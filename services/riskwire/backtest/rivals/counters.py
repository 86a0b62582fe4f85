"""Rivals that count: three adverse stories in a day, three sigma over fourteen days, and an EWMA. Pure.

Each sees the adverse probability of each story on each entity, as riskwire does, and re-arms after three days.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from math import sqrt

from riskwire.backtest.matching import Notification
from riskwire.backtest.stories import TargetReport

REARM = timedelta(days=3)
_DAY = timedelta(days=1)
ADVERSE_FROM = 0.5
"""The probability from which the rivals with a threshold of their own count a story as adverse."""


class _Counter(ABC):
    """A rival that looks at the stories of one target at a time."""

    name = ""
    settings: Sequence[float] = ()

    def __init__(self, reports: Sequence[TargetReport]) -> None:
        self._by_target: dict[str, list[TargetReport]] = defaultdict(list)
        for report in reports:
            if not report.backfill:
                self._by_target[report.target].append(report)

    def notifications(self, setting: float) -> list[Notification]:
        """Returns the notifications of the rival on all targets, at a setting of its parameter."""
        notifications = []
        for reports in self._by_target.values():
            armed_from: datetime | None = None
            for report in self._alarms(reports, setting):
                if armed_from is None or report.at >= armed_from:
                    notifications.append(
                        Notification(report.at, report.target, report.name, report.title, kind=self.name)
                    )
                    armed_from = report.at + REARM
        return notifications

    @abstractmethod
    def _alarms(self, reports: Sequence[TargetReport], setting: float) -> Iterator[TargetReport]:
        """Yields the stories of a target at which the rival is above its limit."""


class StaticCounter(_Counter):
    """Three adverse stories within a day. Its knob is the probability from which a story is adverse."""

    name = "static counter"
    settings = (0.0, 1.0)
    stories = 3

    def _alarms(self, reports: Sequence[TargetReport], setting: float) -> Iterator[TargetReport]:
        recent: deque[datetime] = deque()
        for report in reports:
            if report.adverse < setting:
                continue
            recent.append(report.at)
            while report.at - recent[0] > _DAY:
                recent.popleft()
            if len(recent) >= self.stories:
                yield report


class ThreeSigma(_Counter):
    """Adverse stories of a day against mean and deviation of the last fourteen days. Its knob is the sigmas.

    The deviation is at least that of a Poisson count of the mean, and the mean at least one story in fourteen days.
    """

    name = "3-sigma, 14 days"
    settings = (-4.0, 60.0)
    days = 14

    def _alarms(self, reports: Sequence[TargetReport], setting: float) -> Iterator[TargetReport]:
        past: deque[datetime] = deque()
        today: deque[datetime] = deque()
        for report in reports:
            if report.adverse < ADVERSE_FROM:
                continue
            today.append(report.at)
            while report.at - today[0] > _DAY:
                past.append(today.popleft())
            while past and report.at - past[0] > _DAY * (self.days + 1):
                past.popleft()
            daily = [0] * self.days
            for moment in past:
                daily[min(int((report.at - moment) / _DAY) - 1, self.days - 1)] += 1
            mean = max(sum(daily) / self.days, 1 / self.days)
            variance = sum((count - mean) ** 2 for count in daily) / self.days
            if len(today) > mean + setting * sqrt(max(variance, mean)):
                yield report


class Ewma(_Counter):
    """An exponentially weighted mean of adverse stories a day, with a half-life of a day. Its knob is the limit."""

    name = "EWMA"
    settings = (0.0, 60.0)
    half_life = timedelta(days=1)

    def _alarms(self, reports: Sequence[TargetReport], setting: float) -> Iterator[TargetReport]:
        level = 0.0
        at: datetime | None = None
        for report in reports:
            if at is not None:
                level *= 0.5 ** ((report.at - at) / self.half_life)
            at = report.at
            level += report.adverse
            if level > setting:
                yield report
