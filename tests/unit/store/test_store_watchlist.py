"""What the store keeps for the watchlist: the names that articles mention, and the commands that changed it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from types import ModuleType
from typing import Any

import pytest
from stores.rows import stored_rows

from riskwire.records import Command, Mention, SentenceAnalysis
from riskwire.settings import Settings
from riskwire.store import Cursor, Store

TITLE = "Acme Corp falls"


def mention(text: str, start: int, sentence: int, score: float, news: ModuleType, entity: str = "name:acme") -> Mention:
    """Returns a mention of an organisation.

    Args:
        text: the words of the mention, at `start` of the article.
        sentence: the number of the sentence; 0 is the title.
        score: positive - negative of the sentiment toward the entity.
    """
    return Mention(
        start=start,
        end=start + len(text),
        text=text,
        type="ORG",
        sentence=sentence,
        entity=entity,
        name=text,
        sentiment=news.mood(score),
    )


def analysis(news: ModuleType, article: str = "a1", mentions: tuple[Mention, ...] = (), **fields: Any) -> Any:
    """Returns an analysis of an article that has a title and three sentences; `fields` override its fields."""
    spans = [(0, len(TITLE)), (16, 40), (41, 60), (61, 80)]
    sentences = tuple(SentenceAnalysis(start=start, end=end, sentiment=news.mood(0.0)) for start, end in spans)
    return news.analysis(article, title=TITLE, mentions=mentions, sentences=sentences, **fields)


def command(kind: str, name: str, at: datetime, by: str = "ada") -> Command:
    value = {"id": name, "name": name.title()} if kind == "watchlist_set" else {}
    return Command(kind=kind, target=f"entity:{name}", by=by, at=at, value=value)


def test_mentions_of_one_name_are_summarised_with_the_weights_of_inference(
    store: Store, settings: Settings, news: ModuleType
) -> None:
    """The title weighs 1, the sentences after it 0.5, 0.5 * 0.85, 0.5 * 0.85² and so on.

    A row sums the weights of the sentences that mention its name. Its position is -1 if the first mention is not in the
    title. The analysis is written twice, which changes nothing.
    """
    analysed = analysis(
        news,
        mentions=(
            mention("Acme Corp", 0, 0, -0.8, news),
            mention("Acme", 20, 1, 0.5, news),
            mention("ACME Corp.", 44, 2, 0.5, news),
            mention("Globex", 63, 3, 0.1, news, entity="name:globex"),
        ),
    )
    store.write_analyses([analysed, analysed])
    stored = stored_rows(
        settings, 'select entity, key, text, sentence, start, "end", weight, relevance from mentions order by key'
    )
    assert stored == [
        ("name:acme", "acme", "Acme Corp", 0, 0, 9, pytest.approx(1 + 0.5 + 0.425), 1.0),
        ("name:globex", "globex", "Globex", 3, -1, -1, pytest.approx(0.5 * 0.85**2), pytest.approx(0.3613, abs=1e-4)),
    ]
    ((negative,),) = stored_rows(settings, "select negative from mentions where key = 'acme'")
    low, high = news.mood(-0.8).negative, news.mood(0.5).negative
    assert negative == pytest.approx((low + 0.925 * high) / 1.925)


def test_a_later_version_replaces_the_mentions_and_an_earlier_version_does_not(
    store: Store, settings: Settings, news: ModuleType
) -> None:
    """Version 1 is written before and again after version 2."""
    first, second = (mention(name, 0, 0, 0.1, news, entity=f"name:{name}") for name in ("one", "two"))
    store.write_analyses([analysis(news, mentions=(first,))])
    store.write_analyses([analysis(news, mentions=(second,), version=2)])
    store.write_analyses([analysis(news, mentions=(first,))])
    assert stored_rows(settings, "select key from mentions") == [("two",)]


def test_the_names_with_the_largest_weights_are_kept_up_to_the_limit(
    new_settings: Callable[..., Settings], news: ModuleType
) -> None:
    """Two names of an article are kept: the earlier the sentence of a mention, the larger its weight."""
    few = new_settings(keep_mentions=2)
    names = tuple(
        mention(f"name{number}", number, min(number, 3), 0.1, news, entity=f"name:name{number}") for number in range(6)
    )
    with Store.open(few) as store:
        store.write_analyses([analysis(news, mentions=names[::-1])])
    assert stored_rows(few, "select key from mentions order by key") == [("name0",), ("name1",)]


def test_mentions_are_deleted_with_their_article(new_settings: Callable[..., Settings], news: ModuleType) -> None:
    """Data is kept for 10 days before the newest, in whole months; the old article is 60 days older."""
    short = new_settings(keep_days=10)
    with Store.open(short) as store:
        store.write_analyses(
            [analysis(news, "old", (mention("old", 0, 0, 0.1, news),), at=news.NOON - timedelta(days=60))]
        )
        store.write_analyses([analysis(news, "new", (mention("new", 0, 0, 0.1, news),))])
    assert stored_rows(short, "select key from mentions") == [("new",)]


def test_retention_keeps_only_the_commands_about_entries_on_the_watchlist(
    new_settings: Callable[..., Settings], news: ModuleType
) -> None:
    """Data is kept for 10 days before the newest. `kept` is still on the list, and all its commands are kept.

    `gone` was removed long ago, and `late` just now, so that only its removal is recent enough. Decisions about alerts
    are kept however old they are.
    """
    short = new_settings(keep_days=10)
    old = news.NOON - timedelta(days=100)
    with Store.open(short) as store:
        store.write_commands(
            [
                command("watchlist_set", "kept", old),
                command("watchlist_remove", "kept", old + timedelta(hours=1), "bob"),
                command("watchlist_set", "kept", old + timedelta(hours=2), "eve"),
                command("watchlist_set", "gone", old),
                command("watchlist_remove", "gone", old + timedelta(hours=1)),
                command("watchlist_set", "late", old),
                command("watchlist_remove", "late", news.NOON),
                Command(kind="acknowledge", alert="x", by="ada", at=old),
            ]
        )
        store.write_analyses([analysis(news, "old", at=old), analysis(news, "new")])
        store.delete_old()
        log = [(row.kind, row.target, row.by) for row in store.watchlist_log()]
    assert log == [
        ("watchlist_remove", "entity:late", "ada"),
        ("watchlist_set", "entity:kept", "eve"),
        ("watchlist_remove", "entity:kept", "bob"),
        ("watchlist_set", "entity:kept", "ada"),
    ]
    assert stored_rows(short, "select count(*) from commands where kind = 'acknowledge'") == [(1,)]


def test_pages_of_the_watchlist_log_are_complete_even_for_commands_of_the_same_time(
    store: Store, news: ModuleType
) -> None:
    """The cursor of the last row of a page, as text, begins the next page."""
    store.write_commands(command("watchlist_set", f"name{number}", news.NOON) for number in range(25))
    seen, before = [], None
    while page := store.watchlist_log(limit=10, before=before):
        seen += [row.target for row in page]
        before = Cursor.parse(str(page[-1].cursor))
    assert sorted(seen) == sorted(f"entity:name{number}" for number in range(25))
