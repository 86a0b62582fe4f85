"""Surprise grows with the count and falls with the expectation; thresholds follow from the budget."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskwire.alerting.baseline import Baseline, prior_of
from riskwire.alerting.detectors.negative_binomial import MAX_SHAPE
from riskwire.alerting.detectors.rate_detector import MAX_SURPRISE, Prediction, max_count_below, threshold


def surprise(count: int, mean: float, shape: float) -> float:
    return Prediction(((1.0, mean, shape),)).surprise(count)


@given(st.integers(1, 200), st.floats(0.001, 50), st.floats(0.1, 100))
def test_more_stories_are_never_less_surprising(count: int, mean: float, shape: float) -> None:
    assert surprise(count + 1, mean, shape) >= surprise(count, mean, shape) - 1e-9


@given(st.integers(1, 200), st.floats(0.001, 50), st.floats(0.1, 100))
def test_a_larger_expectation_is_never_more_surprising(count: int, mean: float, shape: float) -> None:
    assert surprise(count, mean * 1.5, shape) <= surprise(count, mean, shape) + 1e-9


def test_surprise_is_bounded_even_if_the_tail_underflows() -> None:
    assert surprise(5_000, 0.0001, 0.25) == MAX_SURPRISE


def test_half_the_budget_raises_the_threshold_by_log_two() -> None:
    assert threshold(0.01, (86_400,)) == pytest.approx(threshold(0.02, (86_400,)) + math.log10(2))


@given(st.floats(0.01, 20), st.floats(0.1, 3), st.floats(1, 8))
def test_the_largest_count_below_a_limit_is_the_last_that_does_not_reach_it(
    mean: float, shape: float, limit: float
) -> None:
    """`max_count_below` searches up to 10,000 stories; `limit` is a surprise, -log10 of a chance."""
    count = max_count_below(Prediction(((1.0, mean, shape),)), limit, 10_000)
    assert surprise(count, mean, shape) < limit
    assert count == 10_000 or surprise(count + 1, mean, shape) >= limit


@given(st.floats(0, 200), st.floats(0, 5_000))
def test_the_weights_of_the_beliefs_add_up_to_one(events: float, exposure: float) -> None:
    """A rate is a mixture of beliefs, each a gamma distribution with a weight.

    Args:
        events: negative stories of the target so far.
        exposure: stories of the whole stream so far.
    """
    rates = Baseline(events=events).rates(prior_of("entity:x"), exposure)
    assert math.fsum(rate.weight for rate in rates) == pytest.approx(1.0)


def test_a_burst_on_an_unknown_name_surprises_more_the_longer_the_stream_was_quiet_about_it() -> None:
    def surprise_after(exposure: float) -> float:
        """Returns the surprise of 4 negative stories among 60, after `exposure` stories without the name.

        `rate.shape / rate.stories` is the mean rate per story of the stream.
        """
        rates = Baseline().rates(prior_of("entity:x"), exposure)
        parts = tuple((rate.weight, rate.shape / rate.stories * 60, rate.shape) for rate in rates)
        return Prediction(parts).surprise(4)

    assert surprise_after(0) < 3 < surprise_after(1_000) < surprise_after(5_000)


def test_the_shape_of_a_prediction_is_limited_however_much_is_known() -> None:
    assert surprise(40, 10.0, 1_000.0) == surprise(40, 10.0, MAX_SHAPE)
