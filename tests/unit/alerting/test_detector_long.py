"""Targets of much news: their tails are long, and taking many terms at once changes no bit of what comes out."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from riskwire.alerting.detector import MAX_SHAPE, tail


def one_by_one(count: int, mean: float, shape: float) -> float:
    """The definition, a term at a time."""
    p = mean / (mean + shape)

    def chance(i: int) -> float:
        return math.exp(
            math.lgamma(shape + i) - math.lgamma(shape) - math.lgamma(i + 1) + i * math.log(p) + shape * math.log1p(-p)
        )

    if count <= mean:
        return max(0.0, 1.0 - math.fsum(chance(i) for i in range(count)))
    term = total = 1.0
    i = count
    while term > total * 1e-12:
        term *= p * (shape + i) / (i + 1)
        total += term
        i += 1
    return min(1.0, chance(count) * total)


@given(
    mean=st.floats(0.01, 1_500),
    shape=st.one_of(st.just(MAX_SHAPE), st.floats(0.05, MAX_SHAPE)),
    part=st.floats(0.0, 3.0),
)
def test_many_terms_at_once_are_the_terms_one_by_one_to_the_bit(mean: float, shape: float, part: float) -> None:
    count = math.ceil(mean * part) or 1
    assert tail(count, mean, shape) == one_by_one(count, mean, shape)


def test_a_tail_of_more_terms_than_are_taken_at_once_is_summed_to_its_end() -> None:
    assert tail(6_000, 5_000.0, MAX_SHAPE) == one_by_one(6_000, 5_000.0, MAX_SHAPE)


def test_a_head_beyond_the_logarithms_at_hand_is_summed_too() -> None:
    assert tail(21_000, 22_000.0, MAX_SHAPE) == one_by_one(21_000, 22_000.0, MAX_SHAPE)
