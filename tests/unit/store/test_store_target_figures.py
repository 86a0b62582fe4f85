"""The figures of targets for metrics: those of the watchlist first, then the most striking others."""

from __future__ import annotations

from datetime import timedelta
from types import ModuleType

from riskwire.store import Store, TargetFigures


def figures(store: Store, watched: list[str], others: int = 10) -> dict[str, TargetFigures]:
    """Returns the figures by target, in their order."""
    return {row.target.target: row for row in store.target_figures(watched, (10, others))[0]}


def test_an_empty_store_has_no_figures(store: Store) -> None:
    assert figures(store, ["entity:unknown"]) == {}


def test_stories_score_and_adverse_share_are_those_of_the_last_day(store: Store, news: ModuleType) -> None:
    """Of four articles, one is two days old; of the three others, one is adverse."""
    ages = [(1, -0.9, 0), (2, 0.6, 1), (3, 0.6, 2), (4, -0.9, 48)]
    signals = [
        news.signal(f"a{number}", score=score, at=news.NOON - timedelta(hours=hours)) for number, score, hours in ages
    ]
    store.write_signals(signals)
    row = figures(store, [news.VELDARA])[news.VELDARA]
    expected = sum(signal.sentiment.positive - signal.sentiment.negative for signal in signals[:3]) / 3
    assert row.stories == 3
    assert row.score is not None
    assert abs(row.score - expected) < 1e-3
    assert row.adverse is not None
    assert abs(row.adverse - 1 / 3) < 1e-9


def test_level_and_event_type_are_those_of_the_newest_article(store: Store, news: ModuleType) -> None:
    store.write_signals(
        [
            news.signal("a1", score=0.6, at=news.NOON - timedelta(hours=5)),
            newest := news.signal("a2", score=-0.9, at=news.NOON),
        ]
    )
    row = figures(store, [news.VELDARA])[news.VELDARA]
    assert row.level == newest.level.label(newest.adverse_from)
    assert row.type == newest.events[0].label


def test_a_target_whose_articles_have_no_level_has_no_adverse_share(store: Store, news: ModuleType) -> None:
    unknown = {"level": None, "adverse": None, "events": None, "adverse_from": None}
    store.write_signals([news.signal("a1").model_copy(update=unknown)])
    row = figures(store, [news.VELDARA])[news.VELDARA]
    assert (row.adverse, row.level, row.type) == (None, "", "")


def test_other_targets_follow_the_watched_ones_up_to_their_number(store: Store, news: ModuleType) -> None:
    targets = [f"entity:e{number}" for number in range(6)]
    store.write_signals([news.signal(f"a{number}", target=target) for number, target in enumerate(targets, 1)])
    rows = figures(store, targets[4:], others=2)
    assert set(list(rows)[:2]) == set(targets[4:])
    assert len(rows) == 4
    assert set(rows) <= set(targets)
    assert list(figures(store, targets[:1], others=0)) == targets[:1]


def test_a_watched_target_is_blind_while_its_sources_are_silent_and_others_are_not(
    store: Store, news: ModuleType
) -> None:
    """It counts even if there are more watched targets than figures."""
    long_ago = news.NOON - timedelta(days=3)
    store.write_signals(
        [
            news.signal("a1", target="entity:old", at=long_ago, source="silent"),
            news.signal("a2", target="entity:new", at=news.NOON, source="heard"),
        ]
    )
    store.write_analyses([news.analysis("a1", at=long_ago, source="silent"), news.analysis("a2", at=news.NOON)])
    assert store.target_figures(["entity:old", "entity:new"], (0, 0)) == ([], 1)
