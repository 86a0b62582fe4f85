"""Which listed events the notifications reported, and when. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from riskwire.backtest.event_list import ListedEvent
from riskwire.backtest.event_names import NameIndex, PartyNames
from riskwire.backtest.stories import TargetReport
from riskwire.records import Alert

PLACEBO = timedelta(days=30)
"""By how much events are moved to see how many would be reported by chance."""
FIRST_STORY = timedelta(minutes=2)
"""A notification at most this long after the first story of an event was reported by it: a bucket, and its lateness."""


@dataclass(frozen=True, slots=True)
class Notification:
    """What a person was notified of, by riskwire or by a rival.

    Attributes:
        events: the event types that it states.
        families: the families of these types.
        text: its text.
        tier: page or notice; of a rival `notice`.
        kind: event, spike or slide; of a rival its name.
        alert: the id of the alert; empty for a rival.
    """

    at: datetime
    target: str
    name: str
    text: str = ""
    tier: str = "notice"
    kind: str = "event"
    status: str = "firing"
    events: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    alert: str = ""


def notification_of(alert: Alert) -> Notification:
    """Returns a fire or an escalation as a notification."""
    return Notification(
        alert.at,
        alert.target,
        alert.name,
        alert.summary,
        alert.tier,
        alert.kind,
        alert.status,
        alert.events,
        alert.families,
        alert.id,
    )


@dataclass(frozen=True, slots=True)
class Telling:
    """How an event was reported.

    Attributes:
        notification: the first one in time for the event on its target; None if it was missed.
        same_family: the first one that states an event type of the same family; None without one.
        first_story_at: when the first story of the event was published; None if the list has no line for it.
    """

    event: ListedEvent
    notification: Notification | None
    same_family: Notification | None
    first_story_at: datetime | None

    @property
    def on_first_story(self) -> bool:
        """Whether it was reported by the first story of the event, or before it."""
        if self.notification is None or self.first_story_at is None:
            return False
        return self.notification.at <= self.first_story_at + FIRST_STORY

    @property
    def delay_s(self) -> float | None:
        """Seconds from the first story to the notification, negative if it came before; None if either is unknown."""
        if self.notification is None or self.first_story_at is None:
            return None
        return (self.notification.at - self.first_story_at).total_seconds()


@dataclass(frozen=True, slots=True)
class Matches:
    """The notifications of a run against the list of events.

    Attributes:
        tellings: one for each event, in the order of the list.
        on_list: for each notification, whether it is on a listed event.
        placebo: how many events would be reported if each had been `PLACEBO` later.
    """

    tellings: tuple[Telling, ...]
    notifications: tuple[Notification, ...]
    on_list: tuple[bool, ...]
    placebo: int


class Matcher:
    """Compares notifications with a list of events; made once, and used for many runs.

    Attributes:
        events: the list.
    """

    def __init__(
        self,
        events: Sequence[ListedEvent],
        parties: PartyNames,
        families: Mapping[str, str],
        first_stories: Mapping[int, datetime],
    ) -> None:
        """Prepares the comparison.

        Args:
            families: the family of each event type.
            first_stories: the time of the article of each line of the archive.
        """
        self.events = events
        self._families = families
        self._first_stories = first_stories
        self._by_name: dict[str, list[int]] = defaultdict(list)
        for index, event in enumerate(events):
            self._by_name[event.target].append(index)
        self._index = NameIndex(parties, self._by_name)

    def events_on(self, target: str, name: str) -> list[int]:
        """Returns the indexes of the events on a target, by party and then in the order of the list."""
        return [index for event_name in self._index.of(target, name) for index in self._by_name[event_name]]

    def match(self, notifications: Iterable[Notification]) -> Matches:
        """Returns which events the notifications reported, and which notifications are on a listed event."""
        ordered = tuple(sorted(notifications, key=lambda notification: (notification.at, notification.target)))
        first: dict[int, Notification] = {}
        same_family: dict[int, Notification] = {}
        by_chance: set[int] = set()
        on_list = []
        for notification in ordered:
            listed = False
            for index in self.events_on(notification.target, notification.name):
                event = self.events[index]
                if event.covers(notification.at - PLACEBO):
                    by_chance.add(index)
                if event.covers(notification.at):
                    listed = True
                    first.setdefault(index, notification)
                    if self._families.get(event.type, event.type) in notification.families:
                        same_family.setdefault(index, notification)
            on_list.append(listed)
        tellings = tuple(
            Telling(event, first.get(index), same_family.get(index), self._first_story(event))
            for index, event in enumerate(self.events)
        )
        return Matches(tellings, ordered, tuple(on_list), len(by_chance))

    def _first_story(self, event: ListedEvent) -> datetime | None:
        return None if event.line is None else self._first_stories.get(event.line)


def matcher_for(
    events: Sequence[ListedEvent],
    parties: PartyNames,
    families: Mapping[str, str],
    reports: Iterable[TargetReport],
    lines: Mapping[str, int],
) -> Matcher:
    """Returns the matcher for an archive. The parties learn which targets were linked in the titles of the events.

    Args:
        reports: what the articles of the archive say of entities.
        lines: by id of an article, the number of its line.
    """
    names_by_line: dict[int, list[str]] = defaultdict(list)
    for event in events:
        if event.line is not None:
            names_by_line[event.line].append(event.target)
    times: dict[int, datetime] = {}
    for report in reports:
        line = lines.get(report.article)
        if line not in names_by_line or line is None:
            continue
        times.setdefault(line, report.at)
        if report.in_title:
            for event_name in names_by_line[line]:
                parties.add_linked(event_name, report.target, report.name, report.mention)
    return Matcher(events, parties, families, times)
