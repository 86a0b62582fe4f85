"""Levels and event types in the store: of stories, of articles, and unknown ones of old records."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from stores.rows import stored_rows

from riskwire.records import EventScore, Level, Mention, SentenceAnalysis
from riskwire.settings import Settings
from riskwire.store import Store

MATERIAL = Level(neutral=0.05, mild=0.13, material=0.8, favourable=0.02)
MILD = Level(neutral=0.5, mild=0.35, material=0.1, favourable=0.05)
NEUTRAL = Level(neutral=0.9, mild=0.05, material=0.0, favourable=0.05)
RECALL = EventScore(label="recall", score=0.88)
STRESS = EventScore(label="macro_stress", score=0.61)
DEAL = EventScore(label="deal", score=0.97)


def mention(news: ModuleType, level: Level | None, *events: EventScore, entity: str = "name:acme") -> Mention:
    """Returns a mention of "Acme" in the title; without a level, as riskwire 0.1 wrote it."""
    return Mention(
        start=0,
        end=4,
        text="Acme",
        type="ORG",
        sentence=0,
        entity=entity,
        name="Acme",
        sentiment=news.mood(0.0),
        level=level,
        adverse=None if level is None else level.adverse,
        events=events if level else None,
    )


def columns(settings: Settings, table: str) -> list[tuple[Any, ...]]:
    """Returns the columns of level and event types of a table."""
    query = f"select level_neutral, level_mild, level_material, level_favourable, adverse, events from {table}"
    return stored_rows(settings, query)


def test_the_stories_of_a_target_have_the_level_and_events_of_their_signals(
    store: Store, settings: Settings, news: ModuleType
) -> None:
    risk = {"level": MATERIAL, "adverse": 0.93, "events": (RECALL,), "adverse_from": 0.4}
    store.write_signals([news.signal("a1", **risk)])
    (story,) = store.stories(news.VELDARA)
    assert (story.level, story.adverse, story.events, story.adverse_from) == (MATERIAL, 0.93, (RECALL,), 0.4)
    assert columns(settings, "signals") == [(0.05, 0.13, 0.8, 0.02, 0.93, '[{"label":"recall","score":0.88}]')]


def test_the_newest_stories_have_the_level_of_the_worst_mention_and_the_events_of_no_party(
    store: Store, settings: Settings, news: ModuleType
) -> None:
    """The event of the neutral mention is more probable, but it is not what is adverse."""
    sentence = SentenceAnalysis(start=0, end=9, sentiment=news.mood(0.0), events=(STRESS,))
    mentions = (mention(news, NEUTRAL, DEAL, entity="name:globex"), mention(news, MATERIAL, RECALL))
    store.write_analyses([news.analysis("a1", mentions=mentions, sentences=(sentence,), adverse_from=0.4)])
    (story,) = store.stories()
    assert (story.level, story.adverse, story.events, story.adverse_from) == (MATERIAL, 0.93, (RECALL, STRESS), 0.4)
    assert {row[4] for row in columns(settings, "mentions")} == {0.05, 0.93}


def test_the_threshold_of_the_bundle_decides_which_mention_is_the_worst(store: Store, news: ModuleType) -> None:
    good = Level(neutral=0.1, mild=0.0, material=0.0, favourable=0.9)
    mentions = (mention(news, good, entity="name:globex"), mention(news, MILD))
    store.write_analyses(
        [
            news.analysis("strict", mentions=mentions, adverse_from=0.4),
            news.analysis("lax", mentions=mentions, adverse_from=0.5),
        ]
    )
    assert {story.title: story.level for story in store.stories()} == {
        "A report about strict": MILD,
        "A report about lax": good,
    }


def test_an_article_of_an_old_bundle_has_an_unknown_level(store: Store, settings: Settings, news: ModuleType) -> None:
    store.write_signals([news.signal("a1", level=None, adverse=None, events=None, adverse_from=None)])
    store.write_analyses([news.analysis("a1", mentions=(mention(news, None),))])
    for story in (*store.stories(news.VELDARA), *store.stories()):
        assert (story.level, story.adverse, story.events, story.adverse_from) == (None, None, None, None)
    for table in ("signals", "mentions", "articles"):
        assert columns(settings, table) == [(None,) * 6]


def test_a_story_without_an_event_is_told_from_one_whose_events_are_unknown(store: Store, news: ModuleType) -> None:
    store.write_signals([news.signal("a1", level=NEUTRAL, adverse=0.05, events=(), adverse_from=0.5)])
    (story,) = store.stories(news.VELDARA)
    assert story.events == ()
