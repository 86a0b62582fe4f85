"""A date is read as the publisher means it, or it is unknown; never as another time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskwire.ingest.dates.order import day_first_in
from riskwire.ingest.dates.text import StatedTime, read_time

AFTERNOON = datetime(2026, 7, 16, 15, 35, 19, tzinfo=UTC)
MINUTE = AFTERNOON.replace(second=0)

FORMS_OF_FEEDS: list[tuple[str, datetime | None]] = [
    ("Tue, 18 Sept 2026 15:53:56 +0300", datetime(2026, 9, 18, 12, 53, 56, tzinfo=UTC)),
    ("5 November 2025 - 09:01", datetime(2025, 11, 5, 9, 1, tzinfo=UTC)),
    ("Thu, 16 Jul 2026 03:35:19 PM GMT", AFTERNOON),
    ("Thu, 16 Jul 2026 03:35:19 PM", AFTERNOON),
    ("16/07/2026 15:35", MINUTE),
    ("16.07.2026 15:35", MINUTE),
    ("Mon, May 25 2020 04:45:26 +0000", datetime(2020, 5, 25, 4, 45, 26, tzinfo=UTC)),
    (
        "Sat May 16 2020 09:00:57 GMT+0000 (Coordinated Universal Time)",
        datetime(2020, 5, 16, 9, 0, 57, tzinfo=UTC),
    ),
    ("Aug 15, 2019", datetime(2019, 8, 15, tzinfo=UTC)),
    ("August 15, 2019 3:30 pm", datetime(2019, 8, 15, 15, 30, tzinfo=UTC)),
    ("02 Apr 05 16:13 -0500", datetime(2005, 4, 2, 21, 13, tzinfo=UTC)),
    ("1171799695", datetime(2007, 2, 18, 11, 54, 55, tzinfo=UTC)),
    ("1784215719000", datetime(2026, 7, 16, 15, 28, 39, tzinfo=UTC)),
    ("Thu, 16 Jul 2026 15:35:19 CET", AFTERNOON - timedelta(hours=1)),
    ("Thu, 16 Jul 2026 15:35:19 BST", AFTERNOON - timedelta(hours=1)),
    ("Thu, 16 Jul 2026 15:35:19 JST", AFTERNOON - timedelta(hours=9)),
    ("Thu, 16 Jul 2026 15:35:19 Europe/Berlin", AFTERNOON - timedelta(hours=2)),
    ("Thu, 16 Jul 2026 15:35:19 GMT+0530", AFTERNOON - timedelta(hours=5, minutes=30)),
    ("Thu, 16 Jul 2026 15:35:19 UTC+8", AFTERNOON - timedelta(hours=8)),
    ("Thu, 16 Jul 2026 15:35:19 +05:30", AFTERNOON - timedelta(hours=5, minutes=30)),
    ("Thu, 16 Jul 2026 24:00:00 GMT", datetime(2026, 7, 17, tzinfo=UTC)),
    ("Thu, 16 Jul 2026 15:35:60 GMT", MINUTE.replace(second=59)),
    ("2026-07-16T15:35:19.000Z", AFTERNOON),
    ("2026-07-16 15:35:19 +0200", AFTERNOON - timedelta(hours=2)),
    ("2026-07-16T15:35:19+02:00Z", None),  # two zones
    ("2026-07-16T15:35", MINUTE),
    ("20260716", datetime(2026, 7, 16, tzinfo=UTC)),
    ("2026-07-16 15:35:19 EDT", AFTERNOON + timedelta(hours=4)),
    ("2026-07-16T24:00:00Z", datetime(2026, 7, 17, tzinfo=UTC)),
    ("Thu 16 Jul 2026 15:35:19 GMT", AFTERNOON),
    ("Thursday, 16 July 2026 15:35:19 GMT", AFTERNOON),
    ("Thu, 16 Jul 2026 15:35:19 A", None),  # RFC 822 and RFC 2822 disagree on military zones
    ("mié., 14 jul. 2021 13:00:00 +0000", datetime(2021, 7, 14, 13, tzinfo=UTC)),
    ("dom, 02 ott 2022 18:55:00 GMT", datetime(2022, 10, 2, 18, 55, tzinfo=UTC)),
    ("Do, 16 Jul 2026 15:35:19 +0200", AFTERNOON - timedelta(hours=2)),
    ("Thu, 16 Jul 2026 15:35:19 -0000", AFTERNOON),
    ("16-Jul-2026 15:35:19", AFTERNOON),
    ("16-07-2026 15:35", MINUTE),
    ("2026-7-6T5:03:01Z", datetime(2026, 7, 6, 5, 3, 1, tzinfo=UTC)),
    ("2026-07-16T15:35:19.1234567Z", AFTERNOON.replace(microsecond=123456)),
    ("Thu, 01 Jan 1970 00:00:00 +0000", datetime(1970, 1, 1, tzinfo=UTC)),  # unknown in a feed (test_admission)
    ("0001-01-01T00:00:00Z", None),  # at the end of the calendar
]


def moment_of(text: str, day_first: bool | None = None) -> datetime | None:
    stated = read_time(text, day_first=day_first)
    return None if stated is None else stated.moment


@pytest.mark.parametrize(("text", "expected"), FORMS_OF_FEEDS)
def test_the_forms_of_dates_seen_in_feeds_are_read_as_meant(text: str, expected: datetime | None) -> None:
    assert moment_of(text) == expected


def test_forty_two_forms_are_known_and_most_are_times() -> None:
    assert len(FORMS_OF_FEEDS) == 42
    assert sum(expected is not None for _, expected in FORMS_OF_FEEDS) >= 34


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026/11/30 02:30:53", datetime(2026, 11, 30, 2, 30, 53, tzinfo=UTC)),
        ("1796005853", datetime(2026, 11, 30, 2, 30, 53, tzinfo=UTC)),
        ("1796005853.5", datetime(2026, 11, 30, 2, 30, 53, 500_000, tzinfo=UTC)),
        ("Sun, 29 Nov 2026 06:30:53 PM PST", datetime(2026, 11, 30, 2, 30, 53, tzinfo=UTC)),
        ("2026-11-29 22:30:53 EDT", datetime(2026, 11, 30, 2, 30, 53, tzinfo=UTC)),
        ("Sun, 29 Nov 2026 18:30:53 UTC-8", datetime(2026, 11, 30, 2, 30, 53, tzinfo=UTC)),
        ("30-11-2026 02:30", datetime(2026, 11, 30, 2, 30, tzinfo=UTC)),
        ("2026-07-16t15:35:19,5z", AFTERNOON.replace(microsecond=500_000)),
        ("2026-07-16T15:35:19+0200", AFTERNOON - timedelta(hours=2)),
        ("2026-07-16T15:35:19+02", AFTERNOON - timedelta(hours=2)),
        ("2026-07-16T15:35:19\N{MINUS SIGN}05:00", AFTERNOON + timedelta(hours=5)),
        ("2026-07-16T15:35:19-05:00[America/Chicago]", AFTERNOON + timedelta(hours=5)),
        ("20260716T153519Z", AFTERNOON),
        ("20260716153519", AFTERNOON),
        ("202607161535", MINUTE),
        ("2026-W29-4T15:35:19Z", AFTERNOON),
        ("2026-197T15:35:19Z", AFTERNOON),
        ("2026-07-16Z", datetime(2026, 7, 16, tzinfo=UTC)),
        ("2026-07-16 15:35:19 +0000 UTC", AFTERNOON),
        ("2026-07-16 15:35:19 UTC", AFTERNOON),
        ("Thu Jul 16 15:35:19 2026", AFTERNOON),
        ("Thu Jul 16 15:35:19 GMT 2026", AFTERNOON),
        ("Thu Jul 16 15:35:19 +0000 2026", AFTERNOON),
        ("Jul 16, 2026, 11:35 a.m. ET", MINUTE),
        ("July 16th, 2026 at 11:35 AM EDT", MINUTE),
        ("Thursday, July 16, 2026 11:35AM ET", MINUTE),
        ("11:35 AM ET, Thu July 16, 2026", MINUTE),
        ("15:35, 16 July 2026", MINUTE),
        ("3 pm, 16 July 2026", MINUTE.replace(minute=0)),
        ("16 July 2026 | 15:35", MINUTE),
        ("16 de julio de 2026 15:35", MINUTE),
        ("16. Juli 2026, 15:35", MINUTE),
        ("16 juillet 2026 à 15:35", None),
        ("12:30 AM, 16 July 2026", datetime(2026, 7, 16, 0, 30, tzinfo=UTC)),
        ("Thu, 16 Jul 2026 12:30:00 PM GMT", datetime(2026, 7, 16, 12, 30, tzinfo=UTC)),
        ("Thu, 16 Jul 2026 15:35:19 PM GMT", AFTERNOON),
        ("Thu, 07/11/2026", None),
        ("Sat, 07/11/2026", None),  # both are a Saturday
        ("Fri, 05/06/2026", datetime(2026, 6, 5, tzinfo=UTC)),
        ("05/05/2026", datetime(2026, 5, 5, tzinfo=UTC)),
        ("07.11.2026", datetime(2026, 11, 7, tzinfo=UTC)),
        ("  Thu,\t16 Jul 2026\n15:35:19 GMT ", AFTERNOON),
        ("Sun, 25 Oct 2026 02:30:00 Europe/Berlin", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
    ],
)
def test_other_forms_of_dates_are_read_as_meant(text: str, expected: datetime | None) -> None:
    assert moment_of(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2 hours ago",
        "15:35",
        "2026",
        "2026-07",
        "07/11/2026 10:00",
        "16/07/26 15:35",
        "31/31/2026",
        "2026-02-29",
        "Thu, 31 Jun 2026 15:35:19 GMT",
        "Foo, 16 Jul 2026 15:35:19 GMT",
        "Thu, 16 Jul 2026 15:35:19 IST",
        "Thu, 16 Jul 2026 15:35:19 XYZ",
        "Thu, 16 Jan 2026 15:35:19 BST",
        "Thu, 16 Jul 2026 15:35:19 Mars/Olympus",
        "Thu, 16 Jul 2026 15:35:19 Europe/",
        "Thu, 16 Jul 2026 15:35:19 +9959",
        "Thu, 16 Jul 2026 15:35:19 -1300",
        "Thu, 16 Jul 2026 15:35:19 +99999999999999",
        "Thu, 16 Jul 2026 15:35:19 GMT and more",
        "Published 16 Jul 2026 15:35:19 GMT",
        "Thu, 16 Jul 2026 25:00:00 GMT",
        "Thu, 16 Jul 2026 00:30:00 PM GMT",
        "Thu, 16 Jul 2026 15:35:19 AM GMT",
        "2026-07-16T15:60:00Z",
        "24/11/26 um zwölf",
        "1",
        "12345678901234567890",
        "-1171799695",
        "nan",
        "9" * 500,
        "٢٠٢٦-٠٧-١٦",
        "5 listopad 2026",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "9999-12-31",
    ],
)
def test_a_text_that_is_no_date_or_leaves_a_doubt_is_unknown(text: str) -> None:
    assert read_time(text) is None


def test_the_dates_of_a_document_show_whether_the_day_comes_first() -> None:
    assert day_first_in(["07/11/2026 10:00", "16/07/2026 15:35"]) is True
    assert day_first_in(["07/11/2026 10:00", "07/16/2026 15:35"]) is False
    assert day_first_in(["07/11/2026 10:00", "05/05/2026", "2026-07-16", "16.07.2026"]) is None
    assert day_first_in(["07/16/2026", "16/07/2026"]) is None
    assert moment_of("07/11/2026", day_first=True) == datetime(2026, 11, 7, tzinfo=UTC)
    assert moment_of("07/11/2026", day_first=False) == datetime(2026, 7, 11, tzinfo=UTC)
    assert moment_of("16/07/2026", day_first=False) is None


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("2026-07-16T15:35:19Z", 0),
        ("2026-07-16T15:35:19", 12),
        ("2026-07-16", 36),
        ("2026-07-16Z", 24),
        ("1784215719", 0),
        ("Sun, 25 Oct 2026 02:30:00 Europe/Berlin", 1),
    ],
)
def test_a_time_without_zone_or_clock_may_be_later_than_it_reads(text: str, hours: int) -> None:
    """Twelve hours without a zone, a day without a clock, an hour when clocks are set back."""
    stated = read_time(text)
    assert stated is not None
    assert stated.latest - stated.moment == timedelta(hours=hours)


@given(st.datetimes(datetime(1995, 1, 1), datetime(2199, 1, 1)), st.integers(-12 * 4, 14 * 4))
def test_a_time_is_read_alike_in_every_form(local: datetime, quarters: int) -> None:
    """The forms are those of RFC 822, ISO 8601 and JavaScript, with the same offset, in quarters of an hour."""
    local = local.replace(microsecond=0)
    minutes = 15 * quarters
    offset = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    expected = StatedTime(*[(local - timedelta(minutes=minutes)).replace(tzinfo=UTC)] * 2)
    for form in (
        f"{local.isoformat()}{offset}",
        f"{local:%Y%m%dT%H%M%S}{offset.replace(':', '')}",
        f"{local:%a, %d %b %Y %H:%M:%S} {offset.replace(':', '')}",
        f"{local:%Y/%m/%d %I:%M:%S %p} GMT{offset}",
        f"{local:%a %b %d %Y %H:%M:%S} GMT{offset.replace(':', '')} (Somewhere Standard Time)",
        str(int(expected.moment.timestamp() * 1000)),
    ):
        assert read_time(form) == expected, form


@given(st.text(max_size=120) | st.text(alphabet="0123456789 :-+/.,TZWGMAPmJulThuESD()[]", max_size=60))
def test_any_text_is_a_time_in_the_calendar_or_unknown(text: str) -> None:
    stated = read_time(text)
    assert stated is None or stated.moment <= stated.latest
