"""The figures of a back-test: reported events and notifications, in all, by year, by severity and by type. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from statistics import median

from riskwire.backtest.event_list import CRISIS
from riskwire.backtest.matching import Matches, Notification, Telling
from riskwire.records import Record


class Slice(Record):
    """The figures of a part of the list of events.

    Attributes:
        events: the number of events in this part.
        told: the events that were reported.
        same_family: the events that were reported by a notification with a type of the same family.
        on_first_story: the events that were reported by their first story.
        crises: the events that are crises.
        crises_told: the crises that were reported.
        notifications: the notifications in the same period, on any target.
        on_list: the notifications on a listed event.
        median_delay_h: the median of the hours from the first story to the notification; None if there is none.
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
        """The share of the events that were reported."""
        return self.told / self.events if self.events else 0.0

    @property
    def crises_share(self) -> float:
        """The share of the crises that were reported."""
        return self.crises_told / self.crises if self.crises else 0.0

    @property
    def on_list_share(self) -> float:
        """The share of the notifications that are on a listed event."""
        return self.on_list / self.notifications if self.notifications else 0.0

    @property
    def first_story_share(self) -> float:
        """The share of the reported events that were reported by their first story."""
        return self.on_first_story / self.told if self.told else 0.0


class MatchFigures(Record):
    """The figures of a run against a list of events.

    Attributes:
        whole: the figures of all events and notifications.
        placebo: the events that would be reported if each had been 30 days later.
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
        by_year={str(year): _year_slice(matches, year) for year in years},
        by_severity={str(severity): _severity_slice(matches, severity) for severity in (CRISIS, CRISIS - 1)},
        by_type={event_type: _type_slice(matches, event_type) for event_type in types},
    )


def _year_slice(matches: Matches, year: int) -> Slice:
    return _slice(
        matches, lambda telling: telling.event.day.year == year, lambda notification: notification.at.year == year
    )


def _severity_slice(matches: Matches, severity: int) -> Slice:
    return _slice(matches, lambda telling: telling.event.severity == severity)


def _type_slice(matches: Matches, event_type: str) -> Slice:
    return _slice(matches, lambda telling: telling.event.type == event_type)


def _slice(
    matches: Matches,
    includes_telling: Callable[[Telling], bool],
    includes_notification: Callable[[Notification], bool] | None = None,
) -> Slice:
    tellings = [telling for telling in matches.tellings if includes_telling(telling)]
    reported = [telling for telling in tellings if telling.notification is not None]
    crises = [telling for telling in tellings if telling.event.severity == CRISIS]
    delays = [telling.delay_s / 3_600 for telling in reported if telling.delay_s is not None]
    listed_flags = [
        is_listed
        for notification, is_listed in zip(matches.notifications, matches.on_list, strict=True)
        if includes_notification is not None and includes_notification(notification)
    ]
    return Slice(
        events=len(tellings),
        told=len(reported),
        same_family=_count(telling.same_family is not None for telling in tellings),
        on_first_story=_count(telling.on_first_story for telling in tellings),
        crises=len(crises),
        crises_told=_count(telling.notification is not None for telling in crises),
        notifications=len(listed_flags),
        on_list=sum(listed_flags),
        median_delay_h=round(median(delays), 2) if delays else None,
    )


def _count(conditions: Iterable[bool]) -> int:
    return sum(conditions)
