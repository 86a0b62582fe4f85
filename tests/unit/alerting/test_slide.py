"""Slides on a timeline: what worsens over weeks fires once, without a spike, ends, and re-arms."""

from __future__ import annotations

import pytest
from timeline import Timeline, mark, signal

from riskwire.alerting.book import Book
from riskwire.alerting.calibration import LimitTable, SurpriseLimits
from riskwire.alerting.episode import Thresholds
from riskwire.alerting.slide import MAX_EVIDENCE
from riskwire.records import Alert, Mark, Signal

LIMITS = LimitTable.fixed(SurpriseLimits(Thresholds(9.0, 9.5), 2.5))
"""Without spikes."""
DAY = 24.0


@pytest.fixture
def timeline() -> Timeline:
    """A timeline after sixty days of other news, a story an hour, and one adverse story of Acme in ten days."""
    timeline = sliding_timeline()
    for day in range(60):
        if day % 10 == 0:
            timeline.feed(signal(day * DAY + 1), mark(day * DAY + 1, (day * DAY + 1,)))
        pass_days(timeline, day, 1)
    return timeline


def sliding_timeline() -> Timeline:
    """Returns an empty timeline with fixed thresholds."""
    timeline = Timeline()
    timeline.book = Book(timeline.settings, 1, {}, limits=LIMITS)
    return timeline


def pass_days(timeline: Timeline, day: int, days: int) -> None:
    """Lets days pass with a story of others in each hour."""
    for hour in range(24 * days):
        at_h = day * DAY + hour
        timeline.feed(mark(at_h + 0.5, (at_h + 0.5,)))


def worse(timeline: Timeline, day: int, days: int, per_day: int = 2, target: str = "entity:acme") -> None:
    """Feeds so many adverse stories a day, twelve hours apart."""
    for number in range(days * per_day):
        at_h = day * DAY + number * DAY / per_day
        records: list[Signal | Mark] = [signal(at_h, target, source=f"source-{number % 7}"), mark(at_h, (at_h,))]
        timeline.feed(*records)
    pass_days(timeline, day + days, 1)


def slides(timeline: Timeline) -> list[Alert]:
    """Returns the records of slides."""
    return [alert for alert in timeline.alerts if alert.kind == "slide"]


def test_news_that_worsens_over_weeks_fires_once_and_the_alert_explains_it(timeline: Timeline) -> None:
    worse(timeline, 61, 14)
    (fired,) = slides(timeline)
    assert (fired.status, fired.tier, fired.severity, fired.rule) == ("firing", "notice", "warning", "slide")
    assert fired.surprise >= fired.threshold == 2.5
    assert fired.stories > 3 > fired.expected
    assert fired.window_s > 2 * 86_400
    assert 1 <= len(fired.evidence) <= MAX_EVIDENCE
    assert "getting worse for" in fired.summary
    assert "would not have fired with at most" in fired.would_not_fire
    assert [alert.kind for alert in timeline.alerts] == ["slide"]


def test_a_slide_ends_when_news_is_as_usual_and_the_next_one_is_another_alert(timeline: Timeline) -> None:
    worse(timeline, 61, 14)
    pass_days(timeline, 76, 60)
    fired, ended = slides(timeline)
    assert (ended.status, ended.id) == ("resolved", fired.id)
    assert ended.at > fired.at
    assert "no more frequent than usual" in ended.summary
    worse(timeline, 136, 21, per_day=3)
    again = slides(timeline)[2]
    assert again.status == "firing"
    assert again.id != fired.id


def test_a_steady_flow_of_bad_news_becomes_usual(timeline: Timeline) -> None:
    """One alert tells that it worsened. That it then stays as bad is no news, though the state remains bounded."""
    worse(timeline, 61, 150, per_day=1)
    assert [alert.status for alert in slides(timeline)].count("firing") <= 2
    assert len(timeline.state["target/entity:acme"]) < 12_000


def test_a_burst_in_one_day_is_no_slide(timeline: Timeline) -> None:
    for number in range(12):
        at_h = 61 * DAY + number
        timeline.feed(signal(at_h), mark(at_h, (at_h,)))
    pass_days(timeline, 62, 2)
    assert slides(timeline) == []


def test_more_coverage_with_the_same_share_of_bad_news_is_no_slide(timeline: Timeline) -> None:
    """A takeover brings ten neutral stories for each adverse one, where every story used to be adverse."""
    for number in range(28):
        at_h = 61 * DAY + number * DAY / 2
        timeline.feed(signal(at_h), mark(at_h, (at_h,)))
        for neutral in range(1, 11):
            later = at_h + neutral / 2
            timeline.feed(signal(later, negative=0.0), mark(later, (later,)))
    assert slides(timeline) == []


def test_no_slide_begins_in_the_first_weeks_of_a_stream() -> None:
    """What is usual is not known yet: every prominent name would slide."""
    timeline = sliding_timeline()
    for number in range(2 * 60):
        at_h = number * DAY / 2
        timeline.feed(signal(at_h), mark(at_h, (at_h,)))
        timeline.feed(mark(at_h + 1, (at_h + 1,)))
    assert slides(timeline) == []


def test_a_restart_in_the_middle_changes_nothing() -> None:
    uninterrupted, restarted = sliding_timeline(), sliding_timeline()
    for timeline in (uninterrupted, restarted):
        pass_days(timeline, 0, 40)
        for number in range(2 * 20):
            at_h = 40 * DAY + number * DAY / 2
            timeline.feed(signal(at_h), mark(at_h, (at_h,)))
            if timeline is restarted:
                timeline.book = Book(timeline.settings, 1, timeline.state, limits=LIMITS)
    assert restarted.alerts == uninterrupted.alerts != []
    assert restarted.state == uninterrupted.state


def test_a_target_that_slides_is_not_dropped_before_its_alert_has_ended(timeline: Timeline) -> None:
    worse(timeline, 61, 14)
    pass_days(timeline, 76, 8)
    assert "entity:acme" in timeline.book.targets
    pass_days(timeline, 84, 60)
    assert slides(timeline)[-1].status == "resolved"


def test_a_group_names_the_members_that_drive_its_slide() -> None:
    timeline = sliding_timeline()
    pass_days(timeline, 0, 30)
    for number in range(40):
        at_h = 30 * DAY + number * DAY / 2
        member = "chrysler" if number % 4 else "ford"
        about = signal(at_h, "group:cars").model_copy(
            update={"member": f"entity:{member}", "member_name": member.title()}
        )
        timeline.feed(about, mark(at_h, (at_h,)))
    fired = slides(timeline)[0]
    assert fired.drivers[0].target == "entity:chrysler"
    assert sum(driver.share for driver in fired.drivers) == pytest.approx(1.0)
    assert "Driven by Chrysler" in fired.summary
