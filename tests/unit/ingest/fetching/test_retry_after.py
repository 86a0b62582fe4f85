"""The wait that a busy server asks for is honoured in whatever form it is written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskwire.ingest.fetching.retry_after import retry_after_s

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 120 ", 120),
        ("0", 0),
        ("1.5", 2),
        ("120 s", 120),
        ("120 seconds", 120),
        ("9" * 400, 1_000_000_000),
        ("Tue, 24 Nov 2026 12:02:00 GMT", 120),
        ("Tue, 24 Nov 2026 07:02:00 -0500", 120),
        ("Tuesday, 24-Nov-26 12:02:00 GMT", 120),
        ("Tue Nov 24 12:02:00 2026", 120),
        ("2026-11-24T12:02:00Z", 120),
        ("2026-11-24 13:02:00 +0100", 120),
        ("1795521720", 1_000_000_000),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0),
        ("Tue, 24 Nov 2026 12:02:00 +99999999999", 0),
        ("Fri, 31 Dec 9999 23:59:59 -1400", 0),
        ("", 0),
        ("-5", 0),
        ("soon", 0),
    ],
)
def test_seconds_and_dates_of_every_form_are_honoured(value: str, seconds: int) -> None:
    assert retry_after_s(value, NOON) == seconds


@given(st.text(max_size=80), st.timedeltas(timedelta(), timedelta(days=1)))
def test_no_header_makes_an_error(value: str, zone: timedelta) -> None:
    now = NOON.astimezone(timezone(zone - timedelta(hours=12)))
    assert 0 <= retry_after_s(value, now) <= 1_000_000_000
