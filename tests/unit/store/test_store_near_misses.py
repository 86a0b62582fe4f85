"""The store keeps near misses like alerts: once each, as long, and with no time of the future after a repair."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from types import ModuleType

from riskwire.records import content_id
from riskwire.settings import Settings
from riskwire.store import NearMissQuery, Store


def test_a_near_miss_that_is_written_again_is_one_near_miss(store: Store, news: ModuleType) -> None:
    misses = [news.near_miss(number) for number in range(3)]
    store.write_near_misses([*misses, misses[0]])
    store.write_near_misses(misses)
    query = NearMissQuery(limit=10)
    assert sorted(store.near_misses(news.VELDARA, query), key=lambda miss: miss.article) == misses
    assert store.near_misses("entity:osmark", query) == []


def test_a_near_miss_that_is_decided_again_in_another_month_replaces_the_first(store: Store, news: ModuleType) -> None:
    """Its id does not contain the time, the key of its row does."""
    first = news.near_miss(0)
    later = first.model_copy(update={"at": first.at + timedelta(days=40), "detail": "again"})
    store.write_near_misses([first, news.near_miss(1)])
    store.write_near_misses([later])
    assert store.near_misses(news.VELDARA, NearMissQuery()) == [later, news.near_miss(1)]


def test_near_misses_that_are_too_old_are_deleted(new_settings: Callable[..., Settings], news: ModuleType) -> None:
    with Store.open(new_settings(keep_days=30)) as store:
        days = (0, 20, 100)
        store.write_near_misses(
            [news.near_miss(day, news.NOON + timedelta(days=day), novelty=1, relevance=1) for day in days]
        )
        store.write_signals([news.signal("a0"), news.signal("a1", at=news.NOON + timedelta(days=100))])
        store.delete_old()
        assert [miss.article for miss in store.near_misses(news.VELDARA, NearMissQuery())] == ["near-100"]


def test_a_repair_dates_near_misses_back(store: Store, news: ModuleType) -> None:
    store.write_near_misses([news.near_miss(0), news.near_miss(1, news.NOON + timedelta(days=100))])
    latest = news.NOON + timedelta(hours=1)
    store.remove_after(latest)
    times = {miss.article: (miss.at, miss.seen_at) for miss in store.near_misses(news.VELDARA, NearMissQuery())}
    assert times == {"near-0": (news.NOON, news.NOON), "near-1": (latest, latest)}


def test_a_story_that_is_not_read_is_a_near_miss_of_the_party_in_its_title(store: Store, news: ModuleType) -> None:
    """The bundle does not read German. The other German article names no watched entity."""
    german = {"status": "unsupported", "sentiment": None, "score": None, "mentions": (), "story": None}
    store.write_signals([news.signal("a0")])
    store.write_near_misses([news.near_miss(0, news.NOON - timedelta(days=1))])
    store.write_analyses(
        [
            news.analysis("de1", title="VELDARA CHEMICALS meldet Insolvenz an", language="de", **german),
            news.analysis("de2", title="Ein Konzern meldet Insolvenz an", language="de", **german),
        ]
    )
    misses = store.near_misses(news.VELDARA, NearMissQuery())
    assert [(miss.article, miss.reason) for miss in misses] == [
        (content_id("de1"), "language"),
        ("near-0", "threshold"),
    ]
    assert misses[0].detail == "The bundle does not read its language (de)."
    assert store.near_misses(news.VELDARA, NearMissQuery(until=news.NOON - timedelta(hours=1))) == misses[1:]
    assert store.near_misses("market", NearMissQuery()) == []
