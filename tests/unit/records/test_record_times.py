"""A record with a time at the ends of the calendar is a bad record, not an error of the program."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from riskwire.errors import SchemaError
from riskwire.records import EARLIEST, LATEST, Command, Tick, read_record

TICKS = TypeAdapter(Tick)


@pytest.mark.parametrize(
    "time",
    [
        "9999-12-31T23:59:59-14:00",
        "9999-12-31T23:59:59-23:59",
        "9999-12-31T23:59:59Z",
        "9998-12-31T23:59:59Z",
        "0001-01-01T00:00:00+14:00",
        "0001-01-01T00:00:00Z",
        "0001-12-31T23:59:59Z",
    ],
)
def test_a_time_at_the_end_of_the_calendar_is_a_fault_that_names_field_and_place(time: str) -> None:
    with pytest.raises(SchemaError, match=r"articles/0/7: seen_at: .*end of the calendar"):
        read_record(TICKS, f'{{"kind": "tick", "seen_at": "{time}"}}'.encode(), "articles/0/7")
    with pytest.raises(ValueError, match="end of the calendar"):
        Command.model_validate({"kind": "snooze", "by": "me", "at": "2026-11-24T12:00:00Z", "until": time})


@given(
    st.datetimes(timezones=st.just(UTC)) | st.sampled_from([EARLIEST, LATEST]),
    st.integers(-1439, 1439),
)
def test_every_time_is_read_or_is_a_fault_of_the_record(time: datetime, minutes: int) -> None:
    """The time is written with any offset. A time that is read has room for a year before and after it."""
    offset = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    text = f"{time.replace(tzinfo=None).isoformat()}{offset}"
    try:
        tick = read_record(TICKS, f'{{"kind": "tick", "seen_at": "{text}"}}'.encode(), "x")
    except SchemaError:
        return
    assert tick.seen_at - timedelta(days=364) < tick.seen_at < tick.seen_at + timedelta(days=364)
