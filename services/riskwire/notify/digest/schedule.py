"""When a digest is due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from riskwire.settings import ReceiverSettings

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True, slots=True)
class DigestSchedule:
    """A time of day in one time zone, on every day or on one day of the week.

    Attributes:
        rhythm: `daily` or `weekly`.
        weekday: of a weekly digest; 0 is Monday. None for a daily one.
    """

    rhythm: str
    at: time
    weekday: int | None
    zone: ZoneInfo

    @classmethod
    def of(cls, receiver: ReceiverSettings, zone: ZoneInfo) -> DigestSchedule | None:
        """Returns the schedule of a receiver, or None if it gets no digest."""
        if receiver.digest == "never":
            return None
        weekday = WEEKDAYS.index(receiver.digest_day) if receiver.digest == "weekly" else None
        return cls(receiver.digest, time.fromisoformat(receiver.digest_at), weekday, zone)

    def last_due(self, now: datetime) -> datetime:
        """Returns the latest time at or before `now` at which a digest is due."""
        local = now.astimezone(self.zone)
        due = datetime.combine(local.date(), self.at, self.zone)
        while due > now or (self.weekday is not None and due.weekday() != self.weekday):
            due = datetime.combine(due.date() - timedelta(days=1), self.at, self.zone)
        return due
