"""A clock that runs faster than time, so that days of news pass within a soak. Articles still arrive at their rate."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime

VARIABLE = "SOAK_EVENT_TIME"


@dataclass(frozen=True, slots=True)
class EventTime:
    """Event time as a function of real time, both in seconds since 1970.

    Attributes:
        factor: seconds of event time in a real second.
        real: the real time at which event time is `event`.
    """

    factor: float
    real: float
    event: float

    @classmethod
    def over(cls, days: float, seconds: float, now: float) -> EventTime:
        """Returns the clock by which `days` pass in the `seconds` from `now` on, and which never is ahead of time."""
        factor = max(1.0, days * 86_400 / seconds)
        return cls(factor, now, now - (factor - 1) * 2 * seconds)

    @classmethod
    def from_environment(cls) -> EventTime | None:
        """Returns the clock that a soak has set for this process, or None."""
        words = os.environ.get(VARIABLE)
        return cls(*map(float, words.split())) if words else None

    @property
    def variable(self) -> str:
        """The value of the environment variable that sets this clock for a process."""
        return f"{self.factor!r} {self.real!r} {self.event!r}"

    def at(self, real: float) -> float:
        """Returns the event time of a real time."""
        return self.event + (real - self.real) * self.factor

    def real_at(self, event: float) -> float:
        """Returns the real time of an event time."""
        return self.real + (event - self.event) / self.factor

    def moment(self, real: float) -> datetime:
        """Returns the event time of a real time as a time in UTC."""
        return datetime.fromtimestamp(self.at(real), UTC)
