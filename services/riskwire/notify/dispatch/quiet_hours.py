"""Quiet hours: a span of the day in which deliveries wait."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A span of every day in one time zone. One that ends before it starts goes past midnight.

    >>> from datetime import UTC
    >>> night = QuietHours.parse("22:00-07:00", ZoneInfo("Europe/Berlin"))
    >>> night.end_after(datetime(2026, 11, 24, 23, tzinfo=UTC)).isoformat()
    '2026-11-25T07:00:00+01:00'
    >>> night.end_after(datetime(2026, 11, 24, 12, tzinfo=UTC)) is None
    True
    """

    start: time
    end: time
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str, zone: ZoneInfo) -> QuietHours:
        """Returns the quiet hours of a setting, such as `22:00-07:00`."""
        start, _, end = text.partition("-")
        return cls(time.fromisoformat(start), time.fromisoformat(end), zone)

    def end_after(self, now: datetime) -> datetime | None:
        """Returns when the current quiet hours end, or None outside quiet hours."""
        local = now.astimezone(self.zone)
        clock = local.time().replace(tzinfo=None, fold=0)
        past_midnight = self.end <= self.start
        quiet = clock >= self.start or clock < self.end if past_midnight else self.start <= clock < self.end
        if not quiet:
            return None
        days = 1 if past_midnight and clock >= self.start else 0
        return datetime.combine(local.date() + timedelta(days=days), self.end, self.zone)
