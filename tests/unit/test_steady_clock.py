"""The clock of live news does not follow the jumps of the wall clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from riskwire.steady_clock import HOLD_S, MAX_JUMP_S, SteadyClock, to_milliseconds

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Clocks:
    """A wall clock that jumps and a monotonic clock that does not, and the clock that reads both."""

    def __init__(self) -> None:
        self.wall, self.monotonic = NOON, 0.0
        self.steady = SteadyClock(lambda: self.wall, lambda: self.monotonic)

    def after(self, seconds: float, jump_s: float = 0.0) -> datetime:
        """Lets time pass, moves the wall clock by `jump_s` besides, and returns the time of the clock."""
        self.monotonic += seconds
        self.wall += timedelta(seconds=seconds + jump_s)
        return self.steady.now()


@given(st.lists(st.floats(min_value=-86_400, max_value=86_400), min_size=1, max_size=20))
def test_the_clock_advances_steadily_however_the_wall_clock_jumps(jumps: list[float]) -> None:
    """In each turn 10 s pass. The clock advances at half speed at least, and at most by a jump that is no jump."""
    clocks = Clocks()
    last = clocks.steady.now()
    for jump in jumps:
        now = clocks.after(10, jump)
        assert timedelta(seconds=4) <= now - last <= timedelta(seconds=10 + MAX_JUMP_S)
        assert now.microsecond % 1000 == 0
        last = now


def test_the_wall_clock_catches_up_with_a_clock_that_is_ahead() -> None:
    """The clock begins 60 s ahead and runs at half speed, so it is level with the wall clock after 120 s."""
    clocks = Clocks()
    clocks.steady.not_before(NOON + timedelta(seconds=60))
    for _ in range(130):
        clocks.after(1)
    assert clocks.steady.now() == clocks.wall


def test_a_day_ahead_for_12_seconds_is_held_and_reported() -> None:
    """While the wall clock is a day ahead, the clock shows the true time; the jump is logged once and measured."""
    clocks = Clocks()
    clocks.steady.now()
    with capture_logs() as logs:
        times = [clocks.after(1, 86_400), *(clocks.after(1) for _ in range(11))]
        offset = REGISTRY.get_sample_value("riskwire_clock_offset_seconds")
        back = clocks.after(1, -86_400)
    assert times == [NOON + timedelta(seconds=second) for second in range(1, 13)]
    assert back == NOON + timedelta(seconds=13)
    assert offset is not None
    assert round(offset) == 86_400
    assert [entry["log_level"] for entry in logs] == ["error", "warning"]
    assert logs[0]["jump_s"] == 86_400


def test_a_jump_that_lasts_is_followed() -> None:
    """A machine started with a wrong time, and its time server has corrected it permanently."""
    clocks = Clocks()
    clocks.steady.now()
    clocks.after(1, 7_200)
    held = clocks.after(HOLD_S - 10)
    assert held < NOON + timedelta(seconds=HOLD_S)
    assert clocks.after(20) == to_milliseconds(clocks.wall)


def test_the_time_between_two_runs_is_no_jump() -> None:
    """A process that starts three days after the last one continues with the present time."""
    clocks = Clocks()
    clocks.steady.not_before(NOON - timedelta(days=3))
    assert clocks.steady.now() == NOON
