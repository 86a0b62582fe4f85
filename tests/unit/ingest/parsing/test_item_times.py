"""Publication times are parsed in the forms that publishers use; the clock of ingest never goes back or stops."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskwire.ingest.clock import IngestClock, to_milliseconds
from riskwire.ingest.parsing.formats import parse
from riskwire.ingest.parsing.times import parse_time

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-24T12:00:00Z", NOON),
        ("2026-11-24T13:00:00+01:00", NOON),
        ("2026-11-24T12:00:00", NOON),
        ("2026-11-24", NOON.replace(hour=0)),
        ("Tue, 24 Nov 2026 12:00:00 GMT", NOON),
        ("Tue, 24 Nov 2026 07:00:00 -0500", NOON),
        pytest.param("", None, id="empty"),
        ("yesterday", None),
        ("0001-01-01T00:00:00+14:00", None),
        pytest.param("9" * 500, None, id="too long"),
    ],
)
def test_only_iso_8601_and_rfc_822_times_are_parsed(text: str, expected: datetime | None) -> None:
    assert parse_time(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tue, 24 Nov 2026 07:00:00 EST", NOON),
        ("Tue, 24 Nov 2026 12:00 GMT", NOON),
        ("24 Nov 2026 15:00:00 +0300", NOON),
        ("Tue, 24 Nov 26 12:00:00 UT", NOON),
        ("2026-11-24T12:00:00Z", NOON),
        ("24/11/26 um zwölf", None),
    ],
)
def test_time_zones_and_variants_found_in_feeds_are_parsed(text: str, expected: datetime | None) -> None:
    body = f'<rss version="2.0"><channel><item><title>x</title><pubDate>{text}</pubDate></item></channel></rss>'
    assert parse(body.encode(), "", "https://e.example/").entries[0].published == expected


@given(st.lists(st.floats(min_value=-86_400, max_value=86_400), min_size=1, max_size=20))
def test_the_clock_advances_however_the_wall_clock_jumps(jumps: list[float]) -> None:
    """Each time, 10 s pass on the monotonic clock, and the wall clock jumps by `jump` seconds besides.

    While the wall clock is behind, the clock goes on at half speed; otherwise it follows, in whole milliseconds.
    """
    wall, monotonic = NOON, 0.0
    clock = IngestClock(lambda: wall, lambda: monotonic)
    last = clock.now()
    for jump in jumps:
        wall += timedelta(seconds=10 + jump)
        monotonic += 10.0
        now = clock.now()
        behind = wall < last
        assert now >= (last + timedelta(seconds=4) if behind else last)
        assert behind or now == to_milliseconds(wall)
        assert now.microsecond % 1000 == 0
        last = now


def test_the_wall_clock_catches_up_with_a_clock_that_is_ahead() -> None:
    """The clock begins 60 s ahead and runs at half speed, so it is level with the wall clock after 120 s."""
    wall, monotonic = NOON, 0.0
    clock = IngestClock(lambda: wall, lambda: monotonic)
    clock.not_before(NOON + timedelta(seconds=60))
    for _ in range(130):
        wall, monotonic = wall + timedelta(seconds=1), monotonic + 1.0
        clock.now()
    assert clock.now() == wall
