"""The clock of live news: the wall clock without its jumps."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from riskwire import metrics

log = structlog.get_logger(__name__)

CATCH_UP_RATE = 0.5
"""Seconds of `SteadyClock` per real second while the wall clock is behind it."""
MAX_JUMP_S = 60.0
"""A wall clock that advances by more than this beyond the real time has jumped."""
HOLD_S = 600.0
"""A jump ahead is followed only after it has lasted for this many seconds."""


def utc_now() -> datetime:
    """Returns the wall clock time in UTC."""
    return datetime.now(UTC)


def elapsed_s() -> float:
    """Returns the seconds of a clock that never jumps, and that goes on while the machine is suspended."""
    # CLOCK_MONOTONIC stops in a suspended machine, and then a wall clock that is right would seem to jump.
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def to_milliseconds(moment: datetime) -> datetime:
    """Returns a time in the precision of records: whole milliseconds, rounded down."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class SteadyClock:
    """The clock that stamps `seen_at`: the wall clock, except that it never goes back and does not follow a jump ahead.

    After the wall clock jumped back, this clock continues at half speed until the wall clock has caught up. It does not
    stop, because the alerting stage needs the time to pass. After a jump ahead it continues at the speed of real time,
    and follows the wall clock when the jump has lasted for `HOLD_S`. Otherwise a few seconds with a wrong date would
    make all news backfill until that date. Jumps are logged and shown by a metric.

    Args:
        wall: returns the time of day.
        monotonic: returns the seconds of a clock that never jumps.
    """

    def __init__(self, wall: Callable[[], datetime] = utc_now, monotonic: Callable[[], float] = elapsed_s) -> None:
        """Prepares a clock that begins with the wall clock's time.

        Args:
            wall: returns the time of day.
            monotonic: returns the seconds of a clock that never jumps.
        """
        self._wall = wall
        self._monotonic = monotonic
        self._last: datetime | None = None
        self._last_monotonic = monotonic()
        self._has_followed = False
        """Whether the clock has shown the time of the wall clock. Before that, a difference is no jump."""
        self._ahead_since: float | None = None
        """The monotonic time at which a jump ahead was noticed that is held at present."""
        self._is_behind = False

    def not_before(self, moment: datetime) -> None:
        """Advances the clock to a time that an earlier run has reached; does nothing if it is already later."""
        if self._last is None or moment > self._last:
            self._last, self._last_monotonic = moment, self._monotonic()

    def now(self) -> datetime:
        """Returns the wall clock time in UTC, in whole milliseconds, or the time of this clock after a jump.

        The result never goes back. While the wall clock is behind it, it advances at `CATCH_UP_RATE` of real time;
        while a jump ahead is held, at the rate of real time.
        """
        wall, monotonic = self._wall(), self._monotonic()
        last = wall if self._last is None else self._last
        elapsed = timedelta(seconds=max(0.0, monotonic - self._last_monotonic))
        self._show_offset(wall, last + elapsed)
        if wall < last:
            self._note_behind(wall, last)
            now = last + elapsed * CATCH_UP_RATE
        elif self._holds(wall, last + elapsed, monotonic):
            now = last + elapsed
        else:
            self._is_behind, now, self._has_followed = False, wall, True
        self._last, self._last_monotonic = now, monotonic
        return to_milliseconds(now.astimezone(UTC))

    def _holds(self, wall: datetime, expected: datetime, monotonic: float) -> bool:
        """Returns whether a jump ahead is held, and logs when a jump begins or ends.

        Args:
            expected: the time that this clock would show if the wall clock had not jumped.
        """
        ahead_s = (wall - expected).total_seconds()
        if not self._has_followed or ahead_s <= MAX_JUMP_S:
            if self._ahead_since is not None:
                log.warning("the wall clock is right again; its jump ahead had no effect")
            self._ahead_since = None
            return False
        if self._ahead_since is None:
            self._ahead_since = monotonic
            log.error(
                "the wall clock has jumped ahead and is not followed yet; check the time of this machine",
                jump_s=round(ahead_s),
                followed_in_s=HOLD_S,
            )
        if monotonic - self._ahead_since < HOLD_S:
            return True
        log.error("the wall clock stays ahead and is followed now", jump_s=round(ahead_s))
        self._ahead_since = None
        return False

    def _note_behind(self, wall: datetime, last: datetime) -> None:
        """Logs once that the wall clock has gone behind this clock by more than `MAX_JUMP_S`."""
        behind_s = (last - wall).total_seconds()
        if self._is_behind or behind_s <= MAX_JUMP_S:
            return
        self._is_behind = True
        log.error(
            "the wall clock is behind the newest news; new news is stamped ahead of it until it has caught up",
            behind_s=round(behind_s),
            do="Check the time of this machine; if the time was wrong before, stop riskwire and run `riskwire repair`",
        )

    @staticmethod
    def _show_offset(wall: datetime, expected: datetime) -> None:
        metrics.CLOCK_OFFSET.set((wall - expected).total_seconds())
