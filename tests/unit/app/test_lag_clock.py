"""The lag in seconds: how long the oldest unread record has waited, to within the distance of two samples."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from riskwire.app.lag_clock import LagClock


def test_there_is_no_lag_while_everything_is_read() -> None:
    clock = LagClock()
    assert [clock.lag_s(10, 10, 0), clock.lag_s(12, 12, 5)] == [0, 0]


def test_the_lag_counts_from_when_the_partition_last_ended_before_the_record() -> None:
    clock = LagClock()
    clock.lag_s(10, 10, 0)
    clock.lag_s(10, 10, 5)
    assert clock.lag_s(10, 14, 10) == 5
    assert clock.lag_s(10, 20, 15) == 10
    assert clock.lag_s(14, 20, 20) == 10  # record 14 came after the sample at 10 s
    assert clock.lag_s(20, 20, 25) == 0


def test_records_that_were_there_at_the_start_have_waited_at_least_since_then() -> None:
    clock = LagClock()
    assert clock.lag_s(0, 100, 1_000) == 0
    assert clock.lag_s(50, 100, 1_060) == 60


def test_a_topic_that_was_emptied_has_no_lag() -> None:
    clock = LagClock()
    clock.lag_s(90, 100, 0)
    assert clock.lag_s(0, 0, 5) == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=60), st.integers(2, 16))
def test_the_lag_is_never_less_than_the_wait_and_never_longer_than_since_the_start(
    steps: list[tuple[int, int]], max_samples: int
) -> None:
    """Whatever is published and read between samples 5 s apart, and however few samples are kept."""
    clock = LagClock(max_samples)
    position, published_at = 0, []
    for number, (published, read) in enumerate(steps):
        now = number * 5.0
        published_at += [now] * published  # at the latest now, at the earliest after the sample before
        position = min(len(published_at), position + read)
        lag_s = clock.lag_s(position, len(published_at), now)
        if position == len(published_at):
            assert lag_s == 0
        else:
            assert now - published_at[position] <= lag_s <= now
