"""Writes of the store: the result depends neither on the order of records nor on repeats."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from riskwire.records import Command, DeadLetter, Evidence
from riskwire.settings import Settings
from riskwire.store import Store


def content(store: Store) -> dict[str, Any]:
    """Returns all that users can read from the store, for comparing two stores.

    The change sequence is left out, because it depends on the order of writes.
    """
    targets = store.targets(limit=1_000, order="name", spark=True)
    return {
        "counts": store.counts(),
        "targets": targets,
        "trends": [store.trend(row.target) for row in targets],
        "stories": [store.stories(row.target) for row in targets],
        "latest": store.stories(),
        "alerts": [store.alert(row.id) for row in store.alerts()],
        "dead_letters": sorted(store.dead_letters(), key=lambda dead_letter: dead_letter.offset),
    }


def write(store: Store, records: list[Any]) -> None:
    """Writes records of any kinds to the store, those of one kind in one transaction."""
    write_by_kind = {
        "Signal": store.write_signals,
        "Analysis": store.write_analyses,
        "TrendPoint": store.write_trends,
        "Alert": store.write_alerts,
        "Command": store.write_commands,
        "DeadLetter": store.write_dead_letters,
    }
    by_kind: dict[str, list[Any]] = {}
    for record in records:
        by_kind.setdefault(type(record).__name__, []).append(record)
    for kind, records_of_kind in by_kind.items():
        write_by_kind[kind](records_of_kind)


def some_records(news: ModuleType) -> list[Any]:
    """Returns records that are hard to write in any order.

    They are versions of articles, reprints, records of equal time, two targets, an episode and its commands.
    """
    late = news.NOON + timedelta(hours=5)
    osmark = "entity:osmark"
    first = news.signal("a1")
    return [
        first,
        news.signal("a1", version=2, score=-0.2, at=news.NOON + timedelta(minutes=9), story="another"),
        news.signal("a1", version=3, score=0.3, at=news.NOON + timedelta(minutes=19)),
        news.signal("a2", story=first.story, source=news.SOURCES[1]),
        news.signal("a3", at=late, name="Veldara Chemicals SE", groups=("industry", "watch")),
        news.signal("a4", at=late, name="Veldara"),
        news.signal("a2", target=osmark, score=0.5),
        news.analysis("a1"),
        news.analysis("a1", version=2, title="A report, corrected"),
        news.analysis("a5", status="unsupported", sentiment=None, score=None, language="fr", story=None),
        news.trend(),
        news.trend(late, surprise=3.0),
        news.trend(late, length_s=300, surprise=2.0),
        news.trend(target="market", name="Market"),
        news.alert(),
        news.alert(status="escalated", at=late),
        news.alert(status="resolved", at=late),
        news.alert("e2", target=osmark, at=late),
        Command(kind="acknowledge", alert=news.alert().id, by="ada", at=late),
        Command(kind="snooze", alert=news.alert().id, by="bo", at=late + timedelta(hours=1)),
        DeadLetter(stage="infer", topic="articles", partition=1, offset=7, error="x", at=late, record="{"),
        DeadLetter(stage="infer", topic="articles", partition=1, offset=8, error="x", at=late, record="["),
    ]


@given(data=st.data())
@hypothesis_settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_order_repeats_and_batches_do_not_change_the_content(
    data: st.DataObject, new_settings: Callable[..., Settings], news: ModuleType
) -> None:
    """One store gets the records once, in order; the other in any order and batches, and some twice."""
    records = some_records(news)
    repeats = data.draw(st.lists(st.sampled_from(records), max_size=12), label="repeats")
    order = data.draw(st.permutations(records + repeats), label="order")
    batch = data.draw(st.integers(1, len(order)), label="batch")
    with Store.open(new_settings()) as expected, Store.open(new_settings()) as shuffled:
        write(expected, records)
        for start in range(0, len(order), batch):
            write(shuffled, order[start : start + batch])
        assert content(shuffled) == content(expected)


def test_writing_records_again_changes_nothing(store: Store, news: ModuleType) -> None:
    """Neither the content nor the change sequence, which tells the page what to read again, is different."""
    write(store, some_records(news))
    before, seq = content(store), store.last_change()

    write(store, some_records(news))

    assert content(store) == before
    assert store.changes(seq) == []


def test_reprints_count_as_one_story_and_several_articles(store: Store, news: ModuleType) -> None:
    store.write_signals(
        news.signal(f"a{number}", story="one", at=news.NOON + timedelta(minutes=number)) for number in range(40)
    )

    row = store.target(news.VELDARA)
    assert row is not None
    assert (row.stories, row.articles) == (1, 40)
    (story,) = store.stories(news.VELDARA)
    assert story.articles == 40
    assert story.title.endswith("a39")


def test_a_later_version_supersedes_the_earlier_one_and_both_are_kept(store: Store, news: ModuleType) -> None:
    """Version 1 is written before and again after version 2. The target has the story of version 2 alone."""
    store.write_signals([news.signal("a1", story="old")])
    store.write_signals([news.signal("a1", version=2, story="new", score=0.4)])
    store.write_signals([news.signal("a1", story="old")])

    (story,) = store.stories(news.VELDARA)
    row = store.target(news.VELDARA)
    assert row is not None
    assert story.story == "new"
    assert (row.stories, row.articles, row.score) == (1, 1, story.score)
    assert store.counts().signals == 2


def test_the_score_is_the_mean_over_the_stories_of_the_last_seven_days(store: Store, news: ModuleType) -> None:
    """Nine signals of one story count once, and the old signal not at all. The store rounds scores to 1/10,000."""
    old = news.NOON - timedelta(days=8)  # the seven days end with the newest signal
    good = [news.signal(f"good{n}", story="good", score=0.6) for n in range(9)]
    bad = news.signal("bad", score=-0.4)
    store.write_signals([news.signal("old", at=old, score=0.9), *good, bad])

    row = store.target(news.VELDARA)
    assert row is not None
    expected = (good[0].sentiment.score + bad.sentiment.score) / 2
    assert row.score == pytest.approx(expected, abs=1e-4)


def test_a_target_is_blind_since_its_last_source_fell_silent(store: Store, news: ModuleType) -> None:
    """A target is blind if no source that reported on it has published for a while: here for three days.

    The source of the other target has just published.
    """
    long_ago = news.NOON - timedelta(days=3)
    store.write_analyses([news.analysis("a1", at=long_ago), news.analysis("a2", at=news.NOON, source=news.SOURCES[1])])
    store.write_signals([news.signal("a1", at=long_ago)])
    store.write_signals([news.signal("a2", target="entity:osmark", source=news.SOURCES[1])])

    blind, seeing = store.target(news.VELDARA), store.target("entity:osmark")
    assert blind is not None
    assert seeing is not None
    assert blind.blind_since == long_ago
    assert seeing.blind_since is None
    assert store.counts().blind == 1


def test_all_dead_letters_are_counted_and_the_newest_kept(
    new_settings: Callable[..., Settings], news: ModuleType
) -> None:
    """The store keeps 10,000 dead letters and 10,000 characters of each error. Repeated ones count once."""
    keep = 10_000
    settings = new_settings(keep_dead_letters=keep)

    def dead_letter(number: int) -> DeadLetter:
        return DeadLetter(
            stage="ingest", topic="articles", partition=0, offset=number, error="x" * 20_000, at=news.NOON, record="r"
        )

    with Store.open(settings) as store:
        store.write_dead_letters(map(dead_letter, range(keep + 5)))
        store.write_dead_letters(map(dead_letter, range(keep, keep + 5)))  # repeated

        stored = store.dead_letters(limit=keep * 2)
        assert store.counts().dead_letters == keep + 5
        assert len(stored) == keep
        assert stored[0].offset == keep + 4
        assert len(stored[0].error) == 10_000


def test_data_older_than_keep_days_before_the_newest_data_is_deleted(
    new_settings: Callable[..., Settings], news: ModuleType
) -> None:
    """Data is kept for 30 days, in whole months; the old records are 70 days older than the newest.

    One story has an old and a new article: it stays, with the new one.
    """
    settings = new_settings(keep_days=30)
    old = news.NOON - timedelta(days=70)
    with Store.open(settings) as store:
        store.write_analyses([news.analysis("old", at=old)])
        store.write_signals(
            [
                news.signal("old", at=old),
                news.signal("old2", at=old, story="both"),
                news.signal("new2", story="both"),
                news.signal("old", at=old, target="entity:tirell"),
            ]
        )
        store.write_trends([news.trend(old)])
        store.write_alerts([news.alert("old", at=old), news.alert("new")])
        store.write_analyses([news.analysis("new")])

        row = store.target(news.VELDARA)
        assert row is not None
        assert (row.stories, row.articles) == (1, 1)
        assert row.score == news.signal().sentiment.score
        assert [story.articles for story in store.stories(news.VELDARA)] == [1]
        assert store.target("entity:tirell") is None
        assert [alert.id for alert in store.alerts()] == [news.alert("new").id]
        assert store.counts().articles == 1
        assert store.counts().trends == 0


def test_hostile_text_is_stored_unchanged(store: Store, news: ModuleType) -> None:
    title = "<script>alert(1)</script> '; DROP TABLE signals; -- \U0001f4a3 100%_"
    store.write_signals([news.signal("a1", title=title, evidence=Evidence(text=title, start=0, end=3))])

    assert store.stories(news.VELDARA)[0].title == title


def test_a_target_of_an_unknown_kind_is_listed_as_an_entity(store: Store, news: ModuleType) -> None:
    store.write_signals([news.signal("a1", target="comet:halley")])
    assert [row.kind for row in store.targets()] == ["entity"]
