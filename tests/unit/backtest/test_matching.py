"""Which events the notifications reported, and how many they would report by chance."""

from __future__ import annotations

from datetime import timedelta

from back_test import START, at, notification, report

from riskwire.backtest.event_list import ListedEvent
from riskwire.backtest.event_names import PartyNames
from riskwire.backtest.figures import match_figures
from riskwire.backtest.matching import Matcher, matcher_for

FAMILIES = {"bankruptcy": "insolvency", "distress": "insolvency", "crime": "conduct"}


def event(days: int, target: str = "Acme", event_type: str = "crime", severity: int = 2, line: int = 0) -> ListedEvent:
    """Returns an event so many days after the start."""
    return ListedEvent(line, (START + timedelta(days=days)).date(), target, severity, event_type, "")


def matcher(*events: ListedEvent) -> Matcher:
    return Matcher(events, PartyNames(), FAMILIES, {0: at(30)})


def test_the_first_notification_in_time_on_the_target_tells_the_event() -> None:
    matches = matcher(event(1)).match(
        [
            notification(80),
            notification(31, "entity:name:globex", "Globex"),
            notification(40),
            notification(-1),
            notification(97),
        ]
    )
    (telling,) = matches.tellings
    assert telling.notification is not None
    assert telling.notification.at == at(40)
    assert telling.delay_s == 10 * 3_600
    assert matches.on_list == (False, False, True, True, False)


def test_a_notification_of_another_family_tells_but_does_not_agree() -> None:
    listed = event(1, event_type="distress")
    other_family, same_family = (
        matcher(listed).match([notification(40, "entity:name:acme", "Acme", family)]).tellings[0]
        for family in ("conduct", "insolvency")
    )
    assert other_family.notification is not None
    assert other_family.same_family is None
    assert same_family.same_family is not None


def test_an_event_is_told_on_its_first_story_until_the_bucket_has_closed() -> None:
    on_time, late = (matcher(event(1)).match([notification(30 + hours)]).tellings[0] for hours in (0.02, 1))
    assert on_time.on_first_story
    assert not late.on_first_story


def test_the_placebo_counts_what_events_moved_by_thirty_days_would_be_told() -> None:
    matches = matcher(event(1)).match([notification(24 + 30 * 24)])
    assert matches.placebo == 1
    assert matches.tellings[0].notification is None


def test_the_figures_divide_events_and_notifications_by_year_severity_and_type() -> None:
    listed = [event(1, severity=3), event(400, "Globex", "bankruptcy"), event(401, "Initech")]
    figures = match_figures(
        matcher(*listed).match(
            [notification(40), notification(41, "entity:name:hooli", "Hooli"), notification(9_600, "x", "Globex")]
        )
    )
    assert (figures.whole.told, figures.whole.events, figures.whole.notifications, figures.whole.on_list) == (
        2,
        3,
        3,
        2,
    )
    assert (figures.by_year["2030"].told, figures.by_year["2030"].notifications) == (1, 2)
    assert (figures.by_year["2031"].told, figures.by_year["2031"].events) == (1, 2)
    assert figures.by_severity["3"].crises_share == 1.0
    assert figures.by_type["crime"].told_share == 0.5


def test_targets_linked_in_the_title_of_the_first_story_are_the_event_s() -> None:
    listed = event(1, "Minneapolis Star Tribune", line=7)
    first = report(30, "Tribune files", name="Tribune", article="first")
    matcher = matcher_for([listed], PartyNames(), FAMILIES, [first], {"first": 7})
    (telling,) = matcher.match([notification(30, "entity:name:tribune", "Tribune")]).tellings
    assert telling.notification is not None
    assert telling.first_story_at == at(30)
