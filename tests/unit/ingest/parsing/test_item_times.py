"""Times are read as publishers write them; ingest's clock never goes back and never stands still."""

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
    ("written", "read"),
    [
        ("2026-11-24T12:00:00Z", NOON),
        ("2026-11-24T13:00:00+01:00", NOON),
        ("2026-11-24T12:00:00", NOON),
        ("2026-11-24", NOON.replace(hour=0)),
        ("Tue, 24 Nov 2026 12:00:00 GMT", NOON),
        ("Tue, 24 Nov 2026 07:00:00 -0500", NOON),
        ("", None),
        ("yesterday", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9" * 500, None),
    ],
)
def test_iso_and_rfc822_times_are_read_and_others_are_none(written: str, read: datetime | None) -> None:
    assert parse_time(written) == read


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Tue, 24 Nov 2026 07:00:00 EST", NOON),
        ("Tue, 24 Nov 2026 12:00 GMT", NOON),
        ("24 Nov 2026 15:00:00 +0300", NOON),
        ("Tue, 24 Nov 26 12:00:00 UT", NOON),
        ("2026-11-24T12:00:00Z", NOON),
        ("24/11/26 um zwölf", None),
    ],
)
def test_the_zones_and_shapes_met_in_feeds_are_read(written: str, read: datetime | None) -> None:
    body = f'<rss version="2.0"><channel><item><title>x</title><pubDate>{written}</pubDate></item></channel></rss>'
    assert parse(body.encode(), "", "https://e.example/").entries[0].published == read


@given(st.lists(st.floats(min_value=-86_400, max_value=86_400), min_size=1, max_size=20))
def test_however_the_wall_clock_jumps_the_clock_goes_on(jumps: list[float]) -> None:
    wall, steady = NOON, 0.0
    clock = IngestClock(lambda: wall, lambda: steady)
    last = clock.now()
    for jump in jumps:
        wall += timedelta(seconds=10 + jump)
        steady += 10.0
        now = clock.now()
        behind = wall < last
        assert now >= (last + timedelta(seconds=4) if behind else last)
        assert behind or now == to_milliseconds(wall)
        assert now.microsecond % 1000 == 0
        last = now


def test_a_clock_that_ran_ahead_is_caught_up_with() -> None:
    wall, steady = NOON, 0.0
    clock = IngestClock(lambda: wall, lambda: steady)
    clock.not_before(NOON + timedelta(seconds=60))
    for _ in range(130):
        wall, steady = wall + timedelta(seconds=1), steady + 1.0
        clock.now()
    assert clock.now() == wall
