"""The tail is the negative binomial's, and thresholds follow the budget."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskwire.alerting.baseline import Baseline, prior_of
from riskwire.alerting.detector import MAX_SHAPE, MAX_SURPRISE, Prediction, most_not_firing, tail, threshold


def surprise(count: int, mean: float, shape: float) -> float:
    return Prediction(((1.0, mean, shape),)).surprise(count)


def _by_summing(count: int, mean: float, shape: float) -> float:
    """The definition, summed from the head: exact where the tail is not tiny."""
    p = mean / (mean + shape)
    head = math.fsum(
        math.exp(
            math.lgamma(shape + i) - math.lgamma(shape) - math.lgamma(i + 1) + i * math.log(p) + shape * math.log1p(-p)
        )
        for i in range(count)
    )
    return 1.0 - head


@given(st.integers(0, 30), st.floats(0.01, 40), st.floats(0.1, 5))
def test_the_tail_is_one_minus_the_head(count: int, mean: float, shape: float) -> None:
    assert tail(count, mean, shape) == pytest.approx(_by_summing(count, mean, shape), abs=1e-9)


def test_the_tail_agrees_with_drawing_from_the_model() -> None:
    seed = 7
    draw = random.Random(seed)
    shape, mean = 0.7, 2.0
    counts = []
    for _ in range(20_000):
        rate = draw.gammavariate(shape, mean / shape)
        count, waited = 0, draw.expovariate(1.0)
        while waited < rate:
            count += 1
            waited += draw.expovariate(1.0)
        counts.append(count)
    share = sum(count >= 5 for count in counts) / len(counts)
    assert tail(5, mean, shape) == pytest.approx(share, abs=0.01), f"seed {seed}"


@given(st.integers(1, 200), st.floats(0.001, 50), st.floats(0.1, 100))
def test_more_stories_are_never_less_surprising(count: int, mean: float, shape: float) -> None:
    assert surprise(count + 1, mean, shape) >= surprise(count, mean, shape) - 1e-9


@given(st.integers(1, 200), st.floats(0.001, 50), st.floats(0.1, 100))
def test_expecting_more_is_never_more_surprising(count: int, mean: float, shape: float) -> None:
    assert surprise(count, mean * 1.5, shape) <= surprise(count, mean, shape) + 1e-9


def test_surprise_is_bounded_even_where_the_tail_underflows() -> None:
    assert surprise(5_000, 0.0001, 0.25) == MAX_SURPRISE


def test_a_smaller_budget_asks_for_more_surprise() -> None:
    assert threshold(0.01, (86_400,)) == pytest.approx(threshold(0.02, (86_400,)) + math.log10(2))


@given(st.floats(0.01, 20), st.floats(0.1, 3), st.floats(1, 8))
def test_the_most_that_does_not_fire_is_the_edge(mean: float, shape: float, limit: float) -> None:
    most = most_not_firing(Prediction(((1.0, mean, shape),)), limit, 10_000)
    assert surprise(most, mean, shape) < limit
    assert most == 10_000 or surprise(most + 1, mean, shape) >= limit


@given(st.floats(0, 200), st.floats(0, 5_000))
def test_the_beliefs_of_a_mixture_weigh_one_together(events: float, exposure: float) -> None:
    rates = Baseline(events=events).rates(prior_of("entity:x"), exposure)
    assert math.fsum(rate.weight for rate in rates) == pytest.approx(1.0)


def test_a_burst_on_an_unknown_name_means_more_the_longer_the_stream_was_watched_without_it() -> None:
    def of(exposure: float) -> float:
        rates = Baseline().rates(prior_of("entity:x"), exposure)
        return Prediction(tuple((rate.weight, rate.shape / rate.stories * 60, rate.shape) for rate in rates)).surprise(
            4
        )

    assert of(0) < 3 < of(1_000) < of(5_000)


def test_knowing_much_does_not_make_the_tail_thin() -> None:
    assert surprise(40, 10.0, 1_000.0) == surprise(40, 10.0, MAX_SHAPE)
