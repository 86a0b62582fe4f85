"""The clock of the ingest stage."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

CATCH_UP_RATE = 0.5
"""Seconds of `IngestClock` per real second while the wall clock is behind it."""


def utc_now() -> datetime:
    """Returns the wall clock time in UTC."""
    return datetime.now(UTC)


def to_milliseconds(moment: datetime) -> datetime:
    """Returns a time in the precision of records: whole milliseconds, rounded down."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class IngestClock:
    """The clock that stamps `seen_at`: the wall clock, except that it never goes back.

    After the wall clock jumped back, this clock continues at half speed until the wall clock has caught up. It does not
    stop, because the alerting stage needs the time to pass.

    Args:
        wall: returns the time of day.
        monotonic: returns the seconds of a clock that never jumps.
    """

    def __init__(self, wall: Callable[[], datetime] = utc_now, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Prepares a clock that shows the wall clock's time, but never goes back.

        Args:
            wall: returns the time of day.
            monotonic: returns the seconds of a clock that never jumps.
        """
        self._wall = wall
        self._monotonic = monotonic
        self._last: datetime | None = None
        self._last_monotonic = monotonic()

    def not_before(self, moment: datetime) -> None:
        """Advances the clock to a time that an earlier run has reached; does nothing if it is already later."""
        if self._last is None or moment > self._last:
            self._last, self._last_monotonic = moment, self._monotonic()

    def now(self) -> datetime:
        """Returns the wall clock time in UTC, in whole milliseconds, or a later time if the wall clock has jumped back.

        The result never goes back. While the wall clock is behind it, it advances at `CATCH_UP_RATE` of real time.
        """
        wall, monotonic = self._wall(), self._monotonic()
        if self._last is not None and wall < self._last:
            wall = self._last + timedelta(seconds=(monotonic - self._last_monotonic) * CATCH_UP_RATE)
        self._last, self._last_monotonic = max(wall, self._last or wall), monotonic
        return to_milliseconds(self._last.astimezone(UTC))
