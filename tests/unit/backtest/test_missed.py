"""Every missed event has the reason on record."""

from __future__ import annotations

from back_test import START, at, report

from riskwire.backtest.event_list import ListedEvent
from riskwire.backtest.event_names import PartyNames
from riskwire.backtest.matching import Matcher
from riskwire.backtest.missed import MissedReason, MissedReasons
from riskwire.backtest.stories import TargetReport
from riskwire.records import Level, NearMiss

EVENT = ListedEvent(3, START.date(), "Acme", 2, "crime", "charged with fraud")


def reason(
    *reports: TargetReport, near_misses: tuple[NearMiss, ...] = (), unsupported: tuple[int, ...] = ()
) -> MissedReason:
    """Returns why the event was missed; the article `first` is its first story."""
    matcher = Matcher([EVENT], PartyNames(), {}, {})
    return MissedReasons(matcher, reports, {"first": 3}, unsupported, near_misses, ()).of(0)


def near_miss(article: str, why: str, material: float) -> NearMiss:
    level = Level(neutral=round(1 - material, 2), mild=0.0, material=material, favourable=0.0)
    return NearMiss(
        id=article,
        target="entity:name:acme",
        name="Acme",
        at=at(5),
        reason=why,
        story=article,
        article=article,
        title="Acme charged",
        url="",
        source="wire",
        published_at=at(5),
        seen_at=at(5),
        level=level,
    )


def test_a_first_story_linked_to_another_target_is_a_matter_of_linking() -> None:
    missed = reason(report(1, "Acme charged", name="Globex", article="first"))
    assert missed.reason == "linking"
    assert "entity:name:globex" in missed.detail


def test_a_near_miss_of_the_first_story_comes_before_a_nearer_one_of_another() -> None:
    reports = (report(1, "Acme charged", article="first"), report(2, "Acme sued", article="second"))
    near_misses = (near_miss("first", "threshold", 0.4), near_miss("second", "same_episode", 0.9))
    assert reason(*reports, near_misses=near_misses).reason == "threshold"
    assert reason(*reports, near_misses=near_misses[1:]).reason == "same_episode"


def test_stories_without_a_near_miss_are_too_weak() -> None:
    assert reason(report(1, "Acme opens a shop", article="first", adverse=0.1)).reason == "weak"


def test_an_unread_language_is_told_apart_from_linking() -> None:
    assert reason(unsupported=(3,)).reason == "unread"
    assert reason().reason == "linking"
