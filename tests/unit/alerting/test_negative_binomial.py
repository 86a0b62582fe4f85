"""The tail of the negative binomial equals its definition; the numpy path equals the plain sum to the bit."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskwire.alerting.detectors.negative_binomial import MAX_SHAPE, tail


def probability(i: int, mean: float, shape: float) -> float:
    """Returns P(X = i) for a negative binomial X with this mean and a variance of mean + mean² / shape."""
    p = mean / (mean + shape)
    return math.exp(
        math.lgamma(shape + i) - math.lgamma(shape) - math.lgamma(i + 1) + i * math.log(p) + shape * math.log1p(-p)
    )


def tail_term_by_term(count: int, mean: float, shape: float) -> float:
    """Returns P(X >= count), summed one term at a time in the order in which `tail` sums.

    Up to the mean it is 1 minus the sum below `count`. Above, terms are added until one is less than 1e-12 of the sum.
    """
    if count <= mean:
        return max(0.0, 1.0 - math.fsum(probability(i, mean, shape) for i in range(count)))
    p = mean / (mean + shape)
    term = total = 1.0
    i = count
    while term > total * 1e-12:
        term *= p * (shape + i) / (i + 1)
        total += term
        i += 1
    return min(1.0, probability(count, mean, shape) * total)


@given(st.integers(0, 30), st.floats(0.01, 40), st.floats(0.1, 5))
def test_the_tail_is_one_minus_the_head(count: int, mean: float, shape: float) -> None:
    """Checks that P(X >= count) is 1 minus the sum of P(X = i) over i < count."""
    head = math.fsum(probability(i, mean, shape) for i in range(count))
    assert tail(count, mean, shape) == pytest.approx(1.0 - head, abs=1e-9)


def test_the_tail_agrees_with_samples_of_the_gamma_poisson_model() -> None:
    """Compares `tail(5, …)`, the chance of at least 5 events, with its frequency in 20,000 samples.

    Each sample draws a rate from a gamma distribution, then counts the events of a Poisson process at that rate.
    """
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


@given(
    mean=st.floats(0.01, 1_500),
    shape=st.one_of(st.just(MAX_SHAPE), st.floats(0.05, MAX_SHAPE)),
    part=st.floats(0.0, 3.0),
)
def test_the_tail_equals_the_sum_term_by_term_to_the_bit(mean: float, shape: float, part: float) -> None:
    """The count is `part` times the mean, rounded up, and at least 1: both tails and heads are summed."""
    count = math.ceil(mean * part) or 1
    assert tail(count, mean, shape) == tail_term_by_term(count, mean, shape)


def test_a_tail_longer_than_a_block_of_numpy_is_summed_to_its_end() -> None:
    assert tail(6_000, 5_000.0, MAX_SHAPE) == tail_term_by_term(6_000, 5_000.0, MAX_SHAPE)


def test_a_head_longer_than_the_table_of_logarithms_is_summed() -> None:
    assert tail(21_000, 22_000.0, MAX_SHAPE) == tail_term_by_term(21_000, 22_000.0, MAX_SHAPE)
