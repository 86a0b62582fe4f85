"""Finds the thresholds at which spikes and slides notify as often as the budget allows, by running alerting on signals.

The number of notifications falls as a threshold rises, nearly by a constant factor per step. So each run gives a
better guess: the logarithm of the number is interpolated between the two nearest thresholds that were tried. Spikes,
pages and slides of quiet and of active targets are searched in the same runs, because they hardly depend on each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from riskwire.alerting.calibration.calibration_file import Curve, CurvePoint, Curves
from riskwire.alerting.calibration.limits import ActivityLimits, SurpriseLimits
from riskwire.alerting.episode import Thresholds
from riskwire.settings import Budget

LOWEST, HIGHEST = 0.3, 20.0
"""The thresholds between which the search stays. A surprise of 0.3 is a chance of one half."""
CLOSE = 0.03
"""A search ends when the number of notifications is this close to the budget, as a part of it."""
OTHER_BUDGETS = (0.5, 2.0)
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


class _GroupSearch:
    """The searches for one group of targets."""

    def __init__(self, start: SurpriseLimits, target_months: float, budget: Budget) -> None:
        self._months = target_months
        self._budgets = (budget.notice, budget.page, budget.slide)
        thresholds = (start.spike.notice, start.spike.page, start.slide)
        self._searches = [
            _Search(part * target_months, _rounded(threshold))
            for part, threshold in zip(self._budgets, thresholds, strict=True)
        ]

    @property
    def done(self) -> bool:
        return all(search.tried and search.done for search in self._searches)

    def next(self) -> SurpriseLimits:
        """Returns the thresholds to try; those that are found stay."""
        for search in self._searches:
            if search.tried and search.done:
                search.threshold = search.best
        return self._limits()

    def best(self) -> SurpriseLimits:
        """Returns the best thresholds so far."""
        for search in self._searches:
            search.threshold = search.best
        return self._limits()

    def other(self, factor: float) -> SurpriseLimits:
        """Returns the thresholds of another budget, of `factor` times as many notifications, by what was tried."""
        for search, budget in zip(self._searches, self._budgets, strict=True):
            search.threshold = _rounded(search.curve(self._months).threshold(budget * factor))
        return self._limits()

    def add(self, counts: RunCounts, *, move: bool) -> None:
        """Takes the notifications of a run with the present thresholds; `move` sets the next ones."""
        for search, count in zip(self._searches, (counts.spikes, counts.pages, counts.slides), strict=True):
            if move:
                search.add(count)
            else:
                search.tried.setdefault(search.threshold, count)

    def curves(self) -> Curves:
        """Returns the rates by threshold that were tried."""
        spike, page, slide = (search.curve(self._months) for search in self._searches)
        return Curves(spike=spike, page=page, slide=slide)

    def _limits(self) -> SurpriseLimits:
        """Returns the present thresholds. A page has at least the threshold of a notice."""
        notice, page, slide = self._searches
        page.threshold = max(page.threshold, notice.threshold)
        return SurpriseLimits(Thresholds(notice.threshold, page.threshold), slide.threshold, calibrated=True)


@dataclass(frozen=True, slots=True)
class GroupMonths:
    """Target-months of the two groups of targets.

    Attributes:
        adverse, adverse_quiet: the adverse stories in the decayed past of a typical active and quieter target.
    """

    quiet: float
    active: float
    adverse: float
    adverse_quiet: float = 0.0


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The thresholds that a search found.

    Attributes:
        counts_quiet, counts_active: the notifications of the run with these thresholds.
        runs: how often alerting was run.
    """

    limits: ActivityLimits
    quiet: Curves
    active: Curves
    counts_quiet: RunCounts
    counts_active: RunCounts
    runs: int

    @property
    def counts(self) -> RunCounts:
        """The notifications on all targets."""
        quiet, active = self.counts_quiet, self.counts_active
        return RunCounts(quiet.notices + active.notices, quiet.pages + active.pages, quiet.slides + active.slides)


def find_limits(
    run: Callable[[ActivityLimits], tuple[RunCounts, RunCounts]],
    start: SurpriseLimits,
    months: GroupMonths,
    budget: Budget,
    *,
    max_runs: int = 14,
) -> SearchResult:
    """Searches the thresholds at which quiet and active targets notify as often as a budget allows.

    Args:
        run: runs alerting with some thresholds, and returns how often it notified, on quiet and on active targets.
        start: the thresholds to begin with.
        max_runs: the most runs of the search; the best thresholds so far are returned then.
    """
    quiet = _GroupSearch(start, months.quiet, budget)
    active = _GroupSearch(start, months.active, budget)

    def run_with(limits_quiet: SurpriseLimits, limits_active: SurpriseLimits, *, move: bool) -> SearchResult:
        limits = ActivityLimits(limits_quiet, limits_active, months.adverse, months.adverse_quiet)
        counts_quiet, counts_active = run(limits)
        quiet.add(counts_quiet, move=move)
        active.add(counts_active, move=move)
        return SearchResult(limits, quiet.curves(), active.curves(), counts_quiet, counts_active, 0)

    runs = 0
    while runs < max_runs and not (quiet.done and active.done):
        run_with(quiet.next(), active.next(), move=True)
        runs += 1
    result = run_with(quiet.best(), active.best(), move=False)
    for factor in OTHER_BUDGETS:
        run_with(quiet.other(factor), active.other(factor), move=False)
    return replace(result, quiet=quiet.curves(), active=active.curves(), runs=runs + 1 + len(OTHER_BUDGETS))


def _rounded(threshold: float) -> float:
    return round(min(max(threshold, LOWEST), HIGHEST), _DECIMALS)
