"""Offsets of the time zones that dates name. A name with several meanings has none."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

MAX_WEST = timedelta(hours=12)
"""The local time that is farthest behind UTC."""
_MAX_EAST = timedelta(hours=14)

_HOURS = {
    "Z": 0, "UT": 0, "UTC": 0, "GMT": 0, "WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "MET": 1, "MEST": 2, "MEZ": 1,
    "MESZ": 2, "EET": 2, "EEST": 3, "MSK": 3, "SAST": 2, "PKT": 5, "HKT": 8, "SGT": 8, "AWST": 8, "JST": 9, "KST": 9,
    "AEST": 10, "AEDT": 11, "NZST": 12, "NZDT": 13, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6,
    "PST": -8, "PDT": -7, "AKST": -9, "AKDT": -8, "HST": -10, "NST": -3.5, "NDT": -2.5, "ACST": 9.5, "ACDT": 10.5,
}  # fmt: skip
"""Hours of zones whose name has one meaning, or one that RFC 822 gives it (EST to PDT).

IST (India, Israel, Ireland), AST, GST, the military letters and others are unknown.
"""
_PLACES = {"ET": "America/New_York", "CT": "America/Chicago", "MT": "America/Denver", "PT": "America/Los_Angeles"}
"""Names of standard or daylight saving time, whichever applies on the day."""
_BRITISH_SUMMER_TIME = "BST"
"""Also Bangladesh Standard Time. It is British on the days on which Britain has summer time, and unknown on others."""

_OFFSET = re.compile(r"(?:GMT|UTC?)? ?([+-])([0-9]{1,2})(?::?([0-5][0-9]))?", re.IGNORECASE)
_OFFSET_AND_NAME = re.compile(r"([+-][0-9]{2}:?[0-9]{2}) ([A-Z]{2,5})", re.IGNORECASE)
_PLACE = re.compile(r"[A-Z][A-Za-z]+(?:/[A-Z][A-Za-z0-9_+-]+){1,2}")


def offsets_of(zone: str, local: datetime) -> tuple[timedelta, timedelta] | None:
    """Returns the offset from UTC of a local time in a zone, twice; None if the zone is unknown.

    When a clock is set back, a local time occurs twice. Then the second offset is that of the later time.

    Args:
        zone: a name, an IANA name (`Europe/Berlin`), or an offset with or without UTC (`+0530`, `GMT+5:30`, `UTC-8`).
    """
    if match := _OFFSET_AND_NAME.fullmatch(zone):  # `+0200 CEST`: both must agree
        offset, named = offsets_of(match[1], local), offsets_of(match[2], local)
        return offset if offset == named else None
    if match := _OFFSET.fullmatch(zone):
        return _of_offset(*match.groups())
    name = zone.upper()
    if name in _HOURS:
        hours = timedelta(hours=_HOURS[name])
        return hours, hours
    if name == _BRITISH_SUMMER_TIME:
        hour = timedelta(hours=1)
        return (hour, hour) if offsets_of("Europe/London", local) == (hour, hour) else None
    if place := _PLACES.get(name, zone if _PLACE.fullmatch(zone) else ""):
        return _of_place(place, local)
    return None


def _of_offset(sign: str, hours: str, minutes: str | None) -> tuple[timedelta, timedelta] | None:
    offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
    if offset > (_MAX_EAST if sign == "+" else MAX_WEST):
        return None
    offset = offset if sign == "+" else -offset
    return offset, offset


def _of_place(name: str, local: datetime) -> tuple[timedelta, timedelta] | None:
    place = _zone_info(name)
    if place is None:
        return None
    first, second = (local.replace(tzinfo=place, fold=fold).utcoffset() for fold in (0, 1))
    assert first is not None
    assert second is not None
    # In the hour that is skipped when a clock is set forward, the offsets are in the other order; no time is later.
    return first, min(first, second)


@lru_cache(maxsize=256)
def _zone_info(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ValueError, KeyError, OSError):  # a folder of the database is an OSError
        return None
