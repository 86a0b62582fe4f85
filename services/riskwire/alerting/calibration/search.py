"""Finds the thresholds at which spikes and slides notify as often as the budget allows, by running alerting on signals.

The number of notifications falls as a threshold rises, nearly by a constant factor per step. So each run gives a
better guess: the logarithm of the number is interpolated between the two nearest thresholds that were tried. Spikes,
pages and slides are searched in the same runs, because they hardly depend on each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from riskwire.alerting.calibration.calibration_file import Curve, CurvePoint
from riskwire.alerting.calibration.limits import SurpriseLimits
from riskwire.alerting.episode import Thresholds

LOWEST, HIGHEST = 0.3, 20.0
"""The thresholds between which the search stays. A surprise of 0.3 is a chance of one half."""
CLOSE = 0.03
"""A search ends when the number of notifications is this close to the budget, as a part of it."""
OTHER_BUDGETS = (0.25, 0.5, 2.0, 4.0)
"""Parts of the budget for which one more run each adds a point to the curves, for who changes the budget."""
_DECIMALS = 3


@dataclass(frozen=True, slots=True)
class RunCounts:
    """The notifications of one run on the targets that are counted: fires and escalations.

    Attributes:
        notices: those of spikes of tier `notice`.
        pages: those of spikes of tier `page`.
        slides: those of slides.
    """

    notices: int
    pages: int
    slides: int

    @property
    def spikes(self) -> float:
        """What is held against the budget of notices.

        It is the geometric mean of the notices without and with the pages, so that the budget is met within the same
        factor in whichever way they are counted.
        """
        return math.sqrt(self.notices * (self.notices + self.pages))


@dataclass(slots=True)
class _Search:
    """The search for one threshold.

    Attributes:
        wanted: the number of notifications that the budget allows.
        tried: numbers of notifications, by threshold.
    """

    wanted: float
    threshold: float
    tried: dict[float, float] = field(default_factory=dict)
    sides: list[bool] = field(default_factory=list)
    """For each threshold that was tried, whether it allowed too many."""

    def add(self, count: float) -> None:
        """Takes the number of notifications at the current threshold, and sets the next one to try."""
        self.tried[self.threshold] = count
        self.sides.append(count > self.wanted)
        self.threshold = round(min(max(self._next(), LOWEST), HIGHEST), _DECIMALS)

    @property
    def done(self) -> bool:
        """Whether the next threshold was tried before, or the best one is close enough."""
        return self.threshold in self.tried or abs(self.tried[self.best] - self.wanted) <= max(0.5, CLOSE * self.wanted)

    @property
    def best(self) -> float:
        """The threshold whose number of notifications is closest to what is allowed; the higher of equals."""
        return min(self.tried, key=lambda threshold: (abs(self.tried[threshold] - self.wanted), -threshold))

    def _next(self) -> float:
        """Returns the threshold between the nearest two that allow too many and too few; one step out without both."""
        too_many = [threshold for threshold, count in self.tried.items() if count > self.wanted]
        too_few = [threshold for threshold, count in self.tried.items() if count <= self.wanted]
        if not too_few:
            lowest = max(too_many)
            return lowest + max(0.2, math.log10(self.tried[lowest] / self.wanted))
        if not too_many:
            highest = min(too_few)
            return highest - max(0.2, math.log10(self.wanted / max(self.tried[highest], 0.5)))
        low, high = max(too_many), min(too_few)
        if high <= low:  # Counts that rise with the threshold here and there, since episodes begin at other times.
            return (low + high) / 2
        if len(set(self.sides[-2:])) == 1:  # The other end has stayed, so interpolation is slow.
            return (low + high) / 2
        lower, upper = math.log(self.tried[low]), math.log(max(self.tried[high], 0.5))
        part = (lower - math.log(self.wanted)) / (lower - upper)
        return low + min(max(part, 0.1), 0.9) * (high - low)

    def curve(self, target_months: float) -> Curve:
        """Returns the rates by threshold that were tried, without those that would not fall as thresholds rise.

        The best threshold stays, whatever its neighbours say.
        """
        best = self.best
        points = [CurvePoint(threshold=best, rate=max(self.tried[best], 0.5) / target_months)]
        for threshold in sorted(threshold for threshold in self.tried if threshold > best):
            rate = self.tried[threshold] / target_months
            if 0 < rate < points[-1].rate:
                points.append(CurvePoint(threshold=threshold, rate=rate))
        for threshold in sorted((threshold for threshold in self.tried if threshold < best), reverse=True):
            rate = self.tried[threshold] / target_months
            if rate > points[0].rate:
                points.insert(0, CurvePoint(threshold=threshold, rate=rate))
        return Curve(points=tuple(points))


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The thresholds that a search found.

    Attributes:
        counts: the notifications of the run with these thresholds.
        runs: how often alerting was run.
    """

    limits: SurpriseLimits
    spike: Curve
    page: Curve
    slide: Curve
    counts: RunCounts
    runs: int


def find_limits(
    run: Callable[[SurpriseLimits], RunCounts],
    start: SurpriseLimits,
    target_months: float,
    *,
    notice: float,
    page: float,
    slide: float,
    max_runs: int = 16,
) -> SearchResult:
    """Searches the thresholds at which the number of notifications is what a budget allows.

    Args:
        run: runs alerting with some thresholds, and returns how often it notified.
        start: the thresholds to begin with.
        target_months: the number of targets that are counted, times the months of the archive.
        notice: the budget of notices of spikes per target and month, see `RunCounts.spikes`.
        page: the budget of pages.
        slide: the budget of slides.
        max_runs: the most runs; the best thresholds so far are returned then.
    """
    spikes = _Search(notice * target_months, _rounded(start.spike.notice))
    pages = _Search(page * target_months, _rounded(start.spike.page))
    slides = _Search(slide * target_months, _rounded(start.slide))
    searches = (spikes, pages, slides)
    runs = 0
    while runs < max_runs - 1 and not (runs and all(search.done for search in searches)):
        for search in searches:
            if search.tried and search.done:
                search.threshold = search.best
        # A page has at least the threshold of a notice. The number of pages depends on its own threshold alone.
        pages.threshold = max(pages.threshold, spikes.threshold)
        counts = run(_limits(spikes.threshold, pages.threshold, slides.threshold))
        runs += 1
        for search, count in zip(searches, (counts.spikes, counts.pages, counts.slides), strict=True):
            search.add(count)
    limits = _limits(spikes.best, max(pages.best, spikes.best), slides.best)
    counts = run(limits)
    for factor in OTHER_BUDGETS:
        for search, budget in zip(searches, (notice, page, slide), strict=True):
            search.threshold = _rounded(search.curve(target_months).threshold(budget * factor))
        pages.threshold = max(pages.threshold, spikes.threshold)
        other = run(_limits(spikes.threshold, pages.threshold, slides.threshold))
        for search, count in zip(searches, (other.spikes, other.pages, other.slides), strict=True):
            search.tried.setdefault(search.threshold, count)
    spike, of_pages, of_slides = (search.curve(target_months) for search in searches)
    return SearchResult(limits, spike, of_pages, of_slides, counts, runs + 1 + len(OTHER_BUDGETS))


def _rounded(threshold: float) -> float:
    return round(min(max(threshold, LOWEST), HIGHEST), _DECIMALS)


def _limits(notice: float, page: float, slide: float) -> SurpriseLimits:
    return SurpriseLimits(Thresholds(notice, page), slide, calibrated=True)
