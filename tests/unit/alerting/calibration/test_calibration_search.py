"""The search for thresholds: it meets a budget in few runs, and its curve gives the threshold of any other budget."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from riskwire.alerting.calibration import (
    ActivityLimits,
    Curve,
    CurvePoint,
    GroupMonths,
    RunCounts,
    SurpriseLimits,
    find_limits,
)
from riskwire.alerting.episode import Thresholds
from riskwire.settings import Budget

START = SurpriseLimits(Thresholds(3.9, 4.2), 3.8)
BUDGET = Budget(notice=0.02, page=0.01, slide=0.005)
TARGET_MONTHS = 10_000.0
MONTHS = GroupMonths(TARGET_MONTHS, TARGET_MONTHS, 9.0)
SPIKES = 30_000


def falling(at_zero: float, slope: float, threshold: float) -> int:
    """Returns a number of notifications that falls by a factor of 10 with each `1 / slope` of the threshold."""
    return int(at_zero * 10 ** (-slope * threshold))


class NewsRun:
    """Replaces alerting: the numbers of notifications are computed from the thresholds."""

    def __init__(self) -> None:
        self.runs: list[ActivityLimits] = []

    def __call__(self, limits: ActivityLimits) -> tuple[RunCounts, RunCounts]:
        self.runs.append(limits)
        return self.counts(limits.quiet), self.counts(limits.active)

    @staticmethod
    def counts(limits: SurpriseLimits) -> RunCounts:
        """Returns the notifications with these thresholds."""
        spikes = falling(SPIKES, 0.6, limits.spike.notice)
        pages = min(spikes, falling(8_000, 0.5, limits.spike.page))
        return RunCounts(spikes - pages, pages, falling(5_000, 1.1, limits.slide))


def test_the_thresholds_meet_the_budget_in_few_runs() -> None:
    run = NewsRun()
    result = find_limits(run, START, MONTHS, BUDGET)
    for counts in (result.counts_quiet, result.counts_active):
        assert counts.spikes == pytest.approx(200, rel=0.05)
        assert counts.pages == pytest.approx(100, rel=0.05)
        assert counts.slides == pytest.approx(50, rel=0.05)
    assert result.runs == len(run.runs) <= 17
    assert result.limits.quiet.calibrated


def test_the_curve_gives_the_threshold_of_another_budget() -> None:
    result = find_limits(NewsRun(), START, MONTHS, BUDGET)
    for budget in (0.004, 0.005, 0.01, 0.015):
        achieved = falling(8_000, 0.5, result.quiet.page.threshold(budget)) / TARGET_MONTHS
        assert budget / 1.3 < achieved < budget * 1.3


def test_news_that_never_surprises_enough_gets_the_lowest_threshold() -> None:
    """A budget is no order to invent alerts: with nothing to tell, the search ends."""
    few = RunCounts(3, 0, 0)
    result = find_limits(lambda _: (few, few), START, MONTHS, BUDGET)
    assert result.counts == RunCounts(6, 0, 0)
    assert math.isfinite(result.quiet.spike.threshold(0.02))


def test_a_page_never_has_a_lower_threshold_than_a_notice() -> None:
    run = NewsRun()
    result = find_limits(run, START, MONTHS, Budget(notice=0.01, page=0.3, slide=0.005))
    assert all(limits.quiet.spike.page >= limits.quiet.spike.notice for limits in run.runs)
    assert result.limits.quiet.spike.page >= result.limits.quiet.spike.notice


def test_a_jump_in_the_numbers_ends_the_search_on_the_side_that_is_nearer_to_the_budget() -> None:
    def counts(limits: SurpriseLimits) -> RunCounts:
        return RunCounts(900 if limits.spike.notice < 2.345 else 15, 20, 50)

    result = find_limits(
        lambda limits: (counts(limits.quiet), counts(limits.active)),
        START,
        MONTHS,
        Budget(notice=0.02, page=0.002, slide=0.005),
    )
    assert result.counts.notices == 30
    assert result.runs <= 17


def points(*pairs: tuple[float, float]) -> tuple[CurvePoint, ...]:
    """Returns the points of a curve from thresholds and rates."""
    return tuple(CurvePoint(threshold=threshold, rate=rate) for threshold, rate in pairs)


def test_a_budget_beyond_the_curve_takes_a_factor_of_ten_per_unit_of_surprise() -> None:
    curve = Curve(points=points((2.0, 0.1), (3.0, 0.02)))
    assert curve.threshold(0.1) == 2.0
    assert curve.threshold(0.02) == 3.0
    assert curve.threshold(0.002) == pytest.approx(4.0)
    assert curve.threshold(1.0) == pytest.approx(1.0)
    assert curve.threshold(10_000.0) == 0.0
    assert 2.0 < curve.threshold(0.05) < 3.0


@pytest.mark.parametrize("pairs", [((2.0, 0.1), (2.0, 0.05)), ((2.0, 0.1), (3.0, 0.1)), ()])
def test_a_curve_that_does_not_fall_is_refused(pairs: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ValidationError):
        Curve(points=points(*pairs))


def test_the_budget_of_notices_is_met_with_and_without_the_pages() -> None:
    result = find_limits(NewsRun(), START, MONTHS, BUDGET)
    allowed = 0.02 * TARGET_MONTHS
    counts = result.counts_active
    assert allowed / 1.5 < counts.notices < allowed
    assert allowed < counts.notices + counts.pages < 1.5 * allowed
