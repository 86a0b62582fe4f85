"""When an item was published, in the many ways publishers write it; and ingest's own clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

SLEW = 0.5
"""Pace of the clock, against real time, while the wall clock is behind it."""


def from_text(text: str) -> datetime | None:
    """A time written in ISO 8601 (a zone missing means UTC) or RFC 822; None where it is neither."""
    text = text.strip()[:64]
    if not text:
        return None
    for reader in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            found = reader(text)
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
    return None


def to_milliseconds(moment: datetime) -> datetime:
    """The moment as records carry it: whole milliseconds, rounded down."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class IngestClock:
    """The clock that stamps `seen_at`: the wall clock, but it never goes back and never stands still.

    Where the wall clock jumps back, this one goes on at half pace until it is caught up: time that stood still would
    stop every alert.
    """

    def __init__(self, wall: Callable[[], datetime] = utc_now, steady: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._steady = steady
        self._last: datetime | None = None
        self._at = steady()

    def not_before(self, moment: datetime) -> None:
        """Go on from a moment that an earlier run had reached."""
        if self._last is None or moment > self._last:
            self._last, self._at = moment, self._steady()

    def now(self) -> datetime:
        """UTC in whole milliseconds."""
        wall, steady = self._wall(), self._steady()
        if self._last is not None and wall < self._last:
            wall = self._last + timedelta(seconds=(steady - self._at) * SLEW)
        self._last, self._at = max(wall, self._last or wall), steady
        return to_milliseconds(self._last.astimezone(UTC))
