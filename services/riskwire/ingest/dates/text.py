"""Reads a date as publishers write it: RFC 822, ISO 8601, epoch seconds and milliseconds, and everyday English forms.

The whole text must have one of the known forms, and every name in it must be known. A text that leaves a doubt is
unknown, because a wrong date would hide news as old or show old news as new.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from riskwire.ingest.dates.forms import matches
from riskwire.ingest.dates.words import month_of, weekdays_of
from riskwire.ingest.dates.zones import MAX_WEST, offsets_of
from riskwire.records import EARLIEST, LATEST

MAX_TEXT = 100
"""Characters of the longest date."""

_EARLIEST = EARLIEST + timedelta(days=366)
_LATEST = LATEST - timedelta(days=366)
"""The range of stated times. It leaves room in the calendar of records for the times derived from them, such as the
end of an alert."""
_1970 = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_NO_TIME = timedelta()
_EPOCH = re.compile(r"(?:[0-9]{9,10}|[0-9]{12,13})(?:\.[0-9]{1,9})?")
_EPOCH_FROM = datetime(1995, 1, 1, tzinfo=UTC)
_EPOCH_TO = datetime(2200, 1, 1, tzinfo=UTC)
"""The times that a text of digits may mean as an epoch. Other digits are a date without separators, or nothing."""
_MILLISECONDS_FROM = 10**11
_CENTURY_BREAK = 50
"""RFC 2822: years of two digits from 00 to 49 are those from 2000."""


@dataclass(frozen=True, slots=True)
class StatedTime:
    """The time that a text states.

    Attributes:
        moment: the time in UTC; of a day without a time its beginning. A text without a zone is taken as UTC.
        latest: the latest time that the text may mean. It is later than `moment` if the zone or the time is missing.
    """

    moment: datetime
    latest: datetime


def read_time(text: str, *, day_first: bool | None = None) -> StatedTime | None:
    """Returns the time that a text states, or None if it is no date, or one that can mean several days.

    Args:
        text: the whole text is read; only white space around it, and how much is inside it, does not count.
        day_first: the order of dates such as 07/11/2026. None if it is not known; then such a date is None, unless
            its weekday decides. Dates with full stops always have the day first.
    """
    text = _normalised(text)
    if _EPOCH.fullmatch(text):
        stated = time_of_epoch(float(text))
        if stated is not None and _EPOCH_FROM <= stated.moment < _EPOCH_TO:
            return stated
    for parts in matches(text):
        days = set(_days(parts, day_first))
        clock = _clock(parts)
        if len(days) == 1 and clock is not None:
            return _stated(days.pop(), clock, parts)
    return None


def shows_day_first(text: str) -> bool | None:
    """Returns whether a date such as 16/07/2026 has the day before the month; None if it shows no order."""
    for parts in matches(_normalised(text)):
        if "first" in parts and parts["mark"] != "." and parts["first"] != parts["other"]:
            orders = [day_first for day_first in (True, False) if set(_days(parts, day_first))]
            return orders[0] if len(orders) == 1 else None
    return None


def time_of_epoch(number: float) -> StatedTime | None:
    """Returns the time of a number of seconds since 1970, or of milliseconds if it is at least 10**11."""
    try:
        moment = _1970 + timedelta(seconds=number / 1_000 if abs(number) >= _MILLISECONDS_FROM else number)
    except (OverflowError, ValueError):  # outside the calendar, or not a number
        return None
    return _in_calendar(moment, moment)


def _normalised(text: str) -> str:
    """Returns a text with single spaces; empty if it is too long for a date."""
    if len(text) > 4 * MAX_TEXT:
        return ""
    text = " ".join(text.split()).replace("\N{MINUS SIGN}", "-")
    return text if len(text) <= MAX_TEXT else ""


def _days(parts: Mapping[str, str], day_first: bool | None) -> Iterator[date]:
    """Yields the days that the parts of a text may mean."""
    year = _year(parts["year"])
    try:
        if "week" in parts:
            yield date.fromisocalendar(year, int(parts["week"]), int(parts["day_of_week"]))
            return
        if "day_of_year" in parts:
            day = date(year, 1, 1) + timedelta(days=int(parts["day_of_year"]) - 1)
            yield from [day] if day.year == year else []
            return
    except (ValueError, OverflowError):
        return
    weekdays = weekdays_of(parts["weekday"]) if "weekday" in parts else None
    if weekdays is not None and not weekdays:
        return
    if "first" not in parts:
        # A weekday that does not fit is no doubt here: publishers get it wrong beside a date that is right.
        yield from _existing(year, _month(parts["month"]), int(parts["day"]))
        return
    first, second = int(parts["first"]), int(parts["other"])
    orders = [True] if parts["mark"] == "." else [True, False] if day_first is None else [day_first]
    for order in orders:
        for day in _existing(year, *((second, first) if order else (first, second))):
            if weekdays is None or day.weekday() in weekdays:
                yield day


def _existing(year: int, month: int | None, day: int) -> Iterator[date]:
    try:
        yield from [date(year, month, day)] if month is not None else []
    except ValueError:
        return


def _month(text: str) -> int | None:
    return int(text) if text.isdecimal() else month_of(text)


def _year(text: str) -> int:
    if len(text) == 4:
        return int(text)
    return int(text) + (2000 if int(text) < _CENTURY_BREAK else 1900)


def _clock(parts: Mapping[str, str]) -> timedelta | None:
    """Returns the time since midnight, or None if there is no such time. Without an hour it is midnight.

    24:00 is the end of the day. A leap second is read as second 59.
    """
    hour, minute, second = (int(parts.get(name, "0")) for name in ("hour", "minute", "second"))
    half = parts.get("half", "").lower()
    if half:
        if (hour == 0 and half == "p") or (hour > 12 and half == "a"):
            return None
        if hour <= 12:
            hour = hour % 12 + (12 if half == "p" else 0)
    if (hour, minute, second) == (24, 0, 0):
        return _DAY
    if hour > 23 or minute > 59 or second > 60:
        return None
    microseconds = int((parts.get("fraction", "") + "000000")[:6])
    return timedelta(hours=hour, minutes=minute, seconds=min(second, 59), microseconds=microseconds)


def _stated(day: date, clock: timedelta, parts: Mapping[str, str]) -> StatedTime | None:
    """Returns the time of a day and a clock in the zone of the parts, or None if the zone is unknown.

    The text in brackets (`comment`) names the zone if nothing else does; otherwise it must only repeat it.
    """
    try:
        local = datetime(day.year, day.month, day.day) + clock
        latest = local if "hour" in parts else local + _DAY
        zone = parts.get("zone") or parts.get("comment")
        if zone is None:
            return _in_calendar(local.replace(tzinfo=UTC), latest.replace(tzinfo=UTC) + MAX_WEST)
        offsets = offsets_of(zone, local)
        if offsets is None:
            return None
        return _in_calendar((local - offsets[0]).replace(tzinfo=UTC), (latest - offsets[1]).replace(tzinfo=UTC))
    except OverflowError:
        return None


def _in_calendar(moment: datetime, latest: datetime) -> StatedTime | None:
    return StatedTime(moment, latest) if moment >= _EARLIEST and latest <= _LATEST else None
