"""The figures of a back-test: events reported and notifications, altogether, by year, severity, type and tier. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from statistics import median

from riskwire.backtest.event_list import CRISIS
from riskwire.backtest.matching import Matches, Notification, Telling
from riskwire.records import Record


class Slice(Record):
    """Figures of a part of the list.

    Attributes:
        events: events of the part.
        told: those that were reported.
        same_family: those that were reported by a notification that states a type of the same family.
        on_first_story: those that were reported by their first story.
        crises: the crises among the events.
        crises_told: those that were reported.
        notifications: notifications in the same time, on any target.
        on_list: those that are on a listed event.
        median_delay_h: the median of the hours from the first story to the notification; None without one.
    """

    events: int
    told: int
    same_family: int
    on_first_story: int
    crises: int
    crises_told: int
    notifications: int = 0
    on_list: int = 0
    median_delay_h: float | None = None

    @property
    def told_share(self) -> float:
        """Reported events by events."""
        return self.told / self.events if self.events else 0.0

    @property
    def crises_share(self) -> float:
        """Reported crises by crises."""
        return self.crises_told / self.crises if self.crises else 0.0

    @property
    def on_list_share(self) -> float:
        """Notifications on a listed event by notifications."""
        return self.on_list / self.notifications if self.notifications else 0.0

    @property
    def first_story_share(self) -> float:
        """Events reported by their first story by reported events."""
        return self.on_first_story / self.told if self.told else 0.0


class MatchFigures(Record):
    """The figures of a run against a list of events.

    Attributes:
        placebo: events that would be reported if each had been 30 days later.
        by_year: by year of the event or the notification.
        by_severity: by severity of the event.
        by_type: by type of the event.
    """

    whole: Slice
    placebo: int
    by_year: dict[str, Slice]
    by_severity: dict[str, Slice]
    by_type: dict[str, Slice]


def match_figures(matches: Matches) -> MatchFigures:
    """Returns the figures of a run."""
    years = sorted({telling.event.day.year for telling in matches.tellings})
    types = sorted({telling.event.type for telling in matches.tellings})
    return MatchFigures(
        whole=_slice(matches, lambda _: True, lambda _: True),
        placebo=matches.placebo,
        by_year={str(year): _of_year(matches, year) for year in years},
        by_severity={str(severity): _of_severity(matches, severity) for severity in (CRISIS, CRISIS - 1)},
        by_type={event_type: _of_type(matches, event_type) for event_type in types},
    )


def _of_year(matches: Matches, year: int) -> Slice:
    return _slice(
        matches, lambda telling: telling.event.day.year == year, lambda notification: notification.at.year == year
    )


def _of_severity(matches: Matches, severity: int) -> Slice:
    return _slice(matches, lambda telling: telling.event.severity == severity)


def _of_type(matches: Matches, event_type: str) -> Slice:
    return _slice(matches, lambda telling: telling.event.type == event_type)


def _slice(
    matches: Matches,
    has_event: Callable[[Telling], bool],
    has_notification: Callable[[Notification], bool] | None = None,
) -> Slice:
    tellings = [telling for telling in matches.tellings if has_event(telling)]
    reported = [telling for telling in tellings if telling.notification is not None]
    crises = [telling for telling in tellings if telling.event.severity == CRISIS]
    delays = [telling.delay_s / 3_600 for telling in reported if telling.delay_s is not None]
    counted = [
        listed
        for notification, listed in zip(matches.notifications, matches.on_list, strict=True)
        if has_notification is not None and has_notification(notification)
    ]
    return Slice(
        events=len(tellings),
        told=len(reported),
        same_family=_count(telling.same_family is not None for telling in tellings),
        on_first_story=_count(telling.on_first_story for telling in tellings),
        crises=len(crises),
        crises_told=_count(telling.notification is not None for telling in crises),
        notifications=len(counted),
        on_list=sum(counted),
        median_delay_h=round(median(delays), 2) if delays else None,
    )


def _count(values: Iterable[bool]) -> int:
    return sum(values)
