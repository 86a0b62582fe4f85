"""Reads of the store: order, pages, filters, steps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import ModuleType

import pytest

from riskwire.errors import SettingsError
from riskwire.records import Command, NearestWindow
from riskwire.store import Cursor, Store, WatchedTarget
from riskwire.story import fingerprint


def test_alerts_lists_the_newest_record_of_each_alert_newest_first(store: Store, news: ModuleType) -> None:
    later = news.NOON + timedelta(hours=1)
    store.write_alerts(
        [news.alert("a"), news.alert("b", at=later), news.alert("a", status="resolved", at=later + timedelta(hours=1))]
    )

    rows = store.alerts()
    assert [(row.id, row.status) for row in rows] == [
        (news.alert("a").id, "resolved"),
        (news.alert("b").id, "firing"),
    ]
    assert [row.id for row in store.alerts(status="open")] == [news.alert("b").id]
    assert [row.id for row in store.alerts(status="resolved")] == [news.alert("a").id]


def test_pages_of_alerts_have_no_gap_or_repeat_even_for_equal_times(store: Store, news: ModuleType) -> None:
    """All alerts have the same time. The cursor of the last row of a page begins the next page."""
    store.write_alerts(news.alert(str(number)) for number in range(11))
    seen: list[str] = []
    before = None
    while page := store.alerts(limit=3, before=before):
        seen += [row.id for row in page]
        before = page[-1].cursor
    assert len(seen) == 11
    assert len(set(seen)) == 11


def test_pages_of_stories_have_no_gap_or_repeat_even_for_equal_times(store: Store, news: ModuleType) -> None:
    """All stories have the same time. The cursor of the last row of a page, as text, begins the next page."""
    store.write_signals(news.signal(f"a{number}") for number in range(11))
    seen: list[str] = []
    before = None
    while page := store.stories(news.VELDARA, limit=3, before=before):
        seen += [row.story for row in page]
        before = Cursor.parse(str(page[-1].cursor))
    assert len(seen) == 11
    assert len(set(seen)) == 11


def test_an_alert_history_has_records_in_order_and_the_commands(store: Store, news: ModuleType) -> None:
    """The records are written in another order; the last two have the same time."""
    later = news.NOON + timedelta(hours=1)
    fired = news.alert()
    store.write_alerts([news.alert(status="resolved", at=later), news.alert(status="escalated", at=later), fired])
    store.write_commands([Command(kind="acknowledge", alert=fired.id, by="ada", at=later, comment="on it")])

    history = store.alert(fired.id)
    assert history is not None
    assert [record.status for record in history.records] == ["firing", "escalated", "resolved"]
    assert (history.handling, history.handled_by) == ("acknowledged", "ada")
    assert history.commands[0].comment == "on it"
    assert store.alert("unknown") is None


def test_a_trend_is_summed_by_step_and_keeps_the_largest_surprise(store: Store, news: ModuleType) -> None:
    """The 90 trend points are a minute long, and each has 2 stories, 3 articles and a rising surprise.

    The first step is an hour long and sums 60 points; the second has the other 30.
    """
    store.write_trends(
        news.trend(news.NOON + timedelta(minutes=number), surprise=float(number)) for number in range(90)
    )

    trend = store.trend(news.VELDARA, step_s=3_600)
    assert trend is not None
    first, second = trend.points
    assert (first.start, first.stories, first.articles, first.surprise) == (news.NOON, 120, 180, 59.0)
    assert second.stories == 60
    assert first.score == pytest.approx((0.3 - 1.2) / 2.0)
    part = store.trend(news.VELDARA, since=news.NOON + timedelta(minutes=80), step_s=60)
    assert part is not None
    assert len(part.points) == 10
    assert store.trend("entity:unknown") is None


def test_a_surprise_older_than_the_longest_window_counts_as_zero(store: Store, news: ModuleType) -> None:
    """The longest window of alerting is a day, which ends with the newest data.

    A surprise says how unusual the news of a target is. Without alerts, the order by alerts is that by surprise.
    """
    longest = timedelta(days=1)
    store.write_trends(
        [
            news.trend(news.NOON - longest - timedelta(minutes=1), target="entity:osmark", surprise=9.0),
            news.trend(news.NOON - longest, target="entity:tirell", surprise=2.0),
            news.trend(news.NOON, surprise=1.0),
        ]
    )

    expected = [("entity:tirell", 2.0), (news.VELDARA, 1.0), ("entity:osmark", 0.0)]
    assert [(row.target, row.surprise) for row in store.targets(order="surprise")] == expected
    assert [(row.target, row.surprise) for row in store.targets(order="alerts")] == expected
    osmark = store.target("entity:osmark")
    assert osmark is not None
    assert osmark.surprise == 0.0


def test_every_target_shows_the_threshold_and_the_window_nearest_to_firing(store: Store, news: ModuleType) -> None:
    """The window of a point that is too old is empty by now. A target without news has the limits of the others."""
    near = NearestWindow(window_s=21_600, stories=2, min_stories=3, surprise=1.0, threshold=3.877)
    old = near.model_copy(update={"stories": 7, "surprise": 9.0})
    store.write_trends(
        [
            news.trend(news.NOON - timedelta(days=2), target="entity:osmark", surprise=9.0, nearest=old),
            news.trend(news.NOON, surprise=1.0, nearest=near),
        ]
    )
    store.list_watched([WatchedTarget("entity:tirell", "Tirell")])

    rows = {row.target: row.nearest for row in store.targets()}

    empty = near.model_copy(update={"stories": 0, "surprise": 0.0})
    assert rows == {news.VELDARA: near, "entity:osmark": empty, "entity:tirell": empty}
    assert len(store.targets(order="surprise", limit=1)) == 1


def test_targets_are_filtered_by_name_id_group_and_kind(store: Store, news: ModuleType) -> None:
    """A query is plain text, so that "%" matches nothing. Pages follow each other by `offset`."""
    store.write_signals([news.signal("a", target=target) for target in news.NAMES])
    store.write_trends([news.trend(target="market", name="Market")])

    assert [row.target for row in store.targets(query="veldara")] == [news.VELDARA]
    assert {row.target for row in store.targets(query="banks")} == {"entity:osmark", "entity:halbrecht"}
    assert store.targets(query="%") == []
    assert [row.target for row in store.targets(kind="market")] == ["market"]
    assert len(store.targets(limit=5)) == 5
    names = [row.name for row in store.targets(order="name")]
    assert names == sorted(names, key=str.lower)
    assert names[3:6] == [row.name for row in store.targets(order="name", limit=3, offset=3)]


def test_a_spark_has_steps_of_six_hours_over_seven_days_up_to_the_newest_data(store: Store, news: ModuleType) -> None:
    """A spark is a list of 28 scores; None is a step without data. A point of 30 days ago is not part of it."""
    store.write_trends(
        [news.trend(news.NOON), news.trend(news.NOON - timedelta(days=6)), news.trend(news.NOON - timedelta(days=30))]
    )

    row = store.target(news.VELDARA, spark=True)
    assert row is not None
    assert row.spark is not None
    assert len(row.spark) == 28
    assert row.spark[-1] == pytest.approx(-0.45)
    assert sum(value is not None for value in row.spark) == 2


def test_changes_lists_each_key_once_in_ascending_order(store: Store, news: ModuleType) -> None:
    """Each write gives the keys that it changes new numbers (`seq`). A key is listed with its newest number."""
    store.write_signals([news.signal("a1")])
    store.write_signals([news.signal("a2"), news.signal("a2", target="entity:osmark")])
    store.write_alerts([news.alert()])

    changes = store.changes(0)
    assert [(change.kind, change.key) for change in changes] == [
        ("target", "entity:osmark"),
        ("target", news.VELDARA),
        ("alert", news.alert().id),
    ]
    assert changes[-1].seq == store.last_change()
    assert store.changes(changes[1].seq) == changes[2:]
    assert [change.seq for change in store.changes(0, limit=2)] == [change.seq for change in changes[:2]]


def test_the_newest_stories_include_articles_in_unsupported_languages(store: Store, news: ModuleType) -> None:
    """Two articles share a story. The French article has no story and no sentiment, and is a row for itself."""
    store.write_analyses(
        [
            news.analysis("a1"),
            news.analysis("a2", story=news.analysis("a1").story, at=news.NOON + timedelta(minutes=1)),
            news.analysis("fr", status="unsupported", sentiment=None, score=None, language="fr", story=None),
        ]
    )
    rows = store.stories()
    assert [(row.status, row.articles) for row in rows] == [("ok", 2), ("unsupported", 1)]
    assert rows[1].sentiment is None


def test_the_newest_titles_come_first_and_are_bounded(store: Store, news: ModuleType) -> None:
    articles = [news.analysis(f"a{n}", title=f"Title {n}", at=news.NOON + timedelta(minutes=n)) for n in range(3)]
    store.write_analyses(articles)
    assert store.newest_titles(2) == ["Title 2", "Title 1"]


def test_a_story_has_its_publisher_and_the_feed_that_delivered_it(store: Store, news: ModuleType) -> None:
    """Records of riskwire 0.1 have no publisher."""
    store.write_analyses([news.analysis("a1", source="aggregator", publisher="The Paper"), news.analysis("a2")])
    store.write_signals([news.signal("a1", source="aggregator", publisher="The Paper")])
    assert [(row.source, row.publisher) for row in store.stories(news.VELDARA)] == [("aggregator", "The Paper")]
    assert {(row.source, row.publisher) for row in store.stories()} == {
        ("aggregator", "The Paper"),
        (news.SOURCES[0], ""),
    }


def test_reprints_with_another_lead_are_merged_into_one_story(store: Store, news: ModuleType) -> None:
    """The reprints have different fingerprints, which resemble each other because their title is the same."""
    title = "Veldara hid toxic leak from inspectors, regulator says"
    leads = (
        "The regulator fined the chemicals maker on Monday over a leak.",
        "Shares fell. Inspectors had been misled.",
    )
    reprints = [
        news.signal(f"a{number}", story=fingerprint(title, lead), at=news.NOON + timedelta(minutes=number))
        for number, lead in enumerate(leads)
    ]
    unrelated = news.signal("b", story=fingerprint("Veldara opens second line in the north", "A new line was opened."))
    assert len({signal.story for signal in (*reprints, unrelated)}) == 3
    store.write_signals([*reprints, unrelated])

    assert [(row.title, row.articles) for row in store.stories(news.VELDARA)] == [
        (reprints[1].title, 2),
        (unrelated.title, 1),
    ]


def test_reads_of_an_empty_store_return_nothing(store: Store) -> None:
    assert store.alerts() == []
    assert store.targets() == []
    assert store.stories() == []
    assert store.newest() is None
    assert store.counts().newest is None


def test_a_cursor_parses_its_own_text_and_refuses_other_text() -> None:
    cursor = Cursor(datetime(2026, 3, 2, 12, 0, 0, 125_000, tzinfo=UTC), "ab~cd")
    assert Cursor.parse(str(cursor)) == cursor
    with pytest.raises(SettingsError, match="before: not a time"):
        Cursor.parse("yesterday")


def test_open_alerts_can_be_ordered_by_exposure_and_severity(store: Store, news: ModuleType) -> None:
    """A warning on a large exposure comes before a critical one on a small one; of equal ones, the newest first."""
    later = news.NOON + timedelta(hours=1)
    small = news.alert("small", severity="critical", weight=0.5)
    large = news.alert("large", severity="warning", weight=10.0)
    twins = [news.alert(name, severity="high", weight=2.0, at=at) for name, at in (("old", news.NOON), ("new", later))]
    ended = news.alert("ended", weight=50.0, status="resolved")
    store.write_alerts([small, large, *twins, ended])
    expected = [large.id, twins[1].id, twins[0].id, small.id]
    assert [row.id for row in store.alerts(status="open", order="priority")] == expected
    assert [row.id for row in store.alerts(order="priority")] == [ended.id, *expected]
    pages: list[str] = []
    before = None
    while page := store.alerts(status="open", order="priority", limit=1, before=before):
        pages += [row.id for row in page]
        before = Cursor.parse(str(page[-1].ranked_cursor), ranked=True)
    assert pages == expected


def test_the_order_follows_the_newest_record_of_an_alert(store: Store, news: ModuleType) -> None:
    later = news.NOON + timedelta(hours=1)
    store.write_alerts([news.alert("a", weight=1.0), news.alert("b", weight=2.0)])
    store.write_alerts([news.alert("a", weight=9.0, status="escalated", at=later)])
    assert [row.weight for row in store.alerts(order="priority")] == [9.0, 2.0]


@pytest.mark.parametrize("text", ["2026-03-02T12:00:00Z~abc", "2026-03-02T12:00:00Z", "2026-03-02T12:00:00Z~abc~much"])
def test_a_cursor_of_another_order_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="before"):
        Cursor.parse(text, ranked=True)
