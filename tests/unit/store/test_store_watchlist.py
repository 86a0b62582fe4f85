"""What the store keeps for the watchlist: whom articles mention, who decided what; and stores from before it did."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from types import ModuleType
from typing import Any

import pytest

from riskwire.errors import StoreError
from riskwire.records import Command, Mention, SentenceAnalysis, content_id
from riskwire.settings import Settings, StoreSettings
from riskwire.store import Cursor, Store

TITLE = "Acme Corp falls"


def mention(text: str, start: int, sentence: int, score: float, news: ModuleType, entity: str = "name:acme") -> Mention:
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
    spans = [(0, len(TITLE)), (16, 40), (41, 60), (61, 80)]
    sentences = tuple(SentenceAnalysis(start=one, end=end, sentiment=news.mood(0.0)) for one, end in spans)
    return news.analysis(article, title=TITLE, mentions=mentions, sentences=sentences, **fields)


def rows(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(settings.data / "store.sqlite")) as raw:
        return raw.execute(query).fetchall()


def command(kind: str, name: str, at: datetime, by: str = "ada") -> Command:
    value = {"id": name, "name": name.title()} if kind == "watchlist_set" else {}
    return Command(kind=kind, target=f"entity:{name}", by=by, at=at, value=value)


def test_mentions_of_one_name_are_summed_up_as_inference_weighs_them(
    store: Store, settings: Settings, news: ModuleType
) -> None:
    told = analysis(
        news,
        mentions=(
            mention("Acme Corp", 0, 0, -0.8, news),
            mention("Acme", 20, 1, 0.5, news),
            mention("ACME Corp.", 44, 2, 0.5, news),
            mention("Globex", 63, 3, 0.1, news, entity="name:globex"),
        ),
    )
    store.write_analyses([told, told])
    found = rows(
        settings, "select entity, key, text, sentence, start, end, weight, relevance from mentions order by key"
    )
    assert found == [
        ("name:acme", "acme", "Acme Corp", 0, 0, 9, pytest.approx(1 + 0.5 + 0.425), 1.0),
        ("name:globex", "globex", "Globex", 3, -1, -1, pytest.approx(0.5 * 0.85**2), pytest.approx(0.3613, abs=1e-4)),
    ]
    ((negative,),) = rows(settings, "select negative from mentions where key = 'acme'")
    low, high = news.mood(-0.8).negative, news.mood(0.5).negative
    assert negative == pytest.approx((low + 0.925 * high) / 1.925)


def test_a_later_version_replaces_the_mentions_and_an_earlier_one_does_not(
    store: Store, settings: Settings, news: ModuleType
) -> None:
    one, two = (mention(name, 0, 0, 0.1, news, entity=f"name:{name}") for name in ("one", "two"))
    store.write_analyses([analysis(news, mentions=(one,))])
    store.write_analyses([analysis(news, mentions=(two,), version=2)])
    store.write_analyses([analysis(news, mentions=(one,))])
    assert rows(settings, "select key from mentions") == [("two",)]


def test_of_an_article_that_mentions_too_many_the_weightiest_are_kept(settings: Settings, news: ModuleType) -> None:
    few = settings.model_copy(update={"store": StoreSettings(keep_mentions=2)})
    names = tuple(mention(f"name{at}", at, min(at, 3), 0.1, news, entity=f"name:name{at}") for at in range(6))
    with Store.open(few) as store:
        store.write_analyses([analysis(news, mentions=names[::-1])])
    assert rows(settings, "select key from mentions order by key") == [("name0",), ("name1",)]


def test_mentions_go_when_their_articles_do(settings: Settings, news: ModuleType) -> None:
    short = settings.model_copy(update={"store": StoreSettings(keep_days=10)})
    with Store.open(short) as store:
        store.write_analyses(
            [analysis(news, "old", (mention("old", 0, 0, 0.1, news),), at=news.NOON - timedelta(days=30))]
        )
        store.write_analyses([analysis(news, "new", (mention("new", 0, 0, 0.1, news),))])
    assert rows(settings, "select key from mentions") == [("new",)]


def test_retention_keeps_who_put_what_is_on_the_list_there_and_drops_the_rest(
    settings: Settings, news: ModuleType
) -> None:
    short = settings.model_copy(update={"store": StoreSettings(keep_days=10)})
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
        store.forget()
        log = [(one.kind, one.target, one.by) for one in store.watchlist_log()]
    assert log == [
        ("watchlist_remove", "entity:late", "ada"),
        ("watchlist_set", "entity:kept", "eve"),
        ("watchlist_remove", "entity:kept", "bob"),
        ("watchlist_set", "entity:kept", "ada"),
    ]
    assert rows(settings, "select count(*) from commands where kind = 'acknowledge'") == [(0,)]


def test_the_log_is_read_page_by_page_also_where_many_were_set_at_once(store: Store, news: ModuleType) -> None:
    store.write_commands(command("watchlist_set", f"name{at}", news.NOON) for at in range(25))
    seen, before = [], None
    while page := store.watchlist_log(limit=10, before=before):
        seen += [one.target for one in page]
        before = Cursor.parse(str(page[-1].cursor))
    assert sorted(seen) == sorted(f"entity:name{at}" for at in range(25))


def as_version_1(settings: Settings) -> None:
    """The store as riskwire made it before it kept mentions."""
    with closing(sqlite3.connect(settings.data / "store.sqlite")) as raw, raw:
        raw.execute("DROP TABLE mentions")
        raw.execute("DROP TABLE replaced")
        raw.execute("ALTER TABLE articles DROP COLUMN read_with")
        raw.execute("DROP INDEX commands_kind")
        raw.execute("ALTER TABLE commands DROP COLUMN target")
        raw.execute("UPDATE riskwire_schema SET version = 1")


def test_a_store_from_before_is_brought_up_to_date_with_all_it_holds(settings: Settings, news: ModuleType) -> None:
    with Store.open(settings) as store:
        store.write_commands([command("watchlist_set", "acme", news.NOON)])
        store.write_alerts([news.alert()])
    as_version_1(settings)

    with Store.open(settings, read_only=True) as store:
        assert len(store.alerts()) == 1
    assert rows(settings, "select version from riskwire_schema") == [(1,)], "who only reads changes nothing"

    with Store.open(settings) as store:
        assert len(store.alerts()) == 1
        store.write_analyses([analysis(news, mentions=(mention("Acme", 0, 0, 0.1, news),))])
    with Store.open(settings) as store:
        assert [one.target for one in store.watchlist_log()] == ["entity:acme"]
    assert rows(settings, "select version from riskwire_schema") == [(3,)]
    assert rows(settings, "select target from commands") == [("entity:acme",)]
    assert rows(settings, "select article from mentions") == [(content_id("a1"),)]


def test_a_store_brought_up_to_date_is_made_like_a_new_one(settings: Settings) -> None:
    def layout() -> set[tuple[Any, ...]]:
        columns = "select m.name, c.name, c.type, c.pk from sqlite_master m, pragma_table_info(m.name) c"
        return {
            *rows(settings, columns),
            *rows(settings, "select name, tbl_name from sqlite_master where type = 'index'"),
        }

    Store.open(settings).close()
    new = layout()
    as_version_1(settings)
    assert layout() != new
    Store.open(settings).close()
    assert layout() == new


def test_a_migration_that_fails_leaves_the_store_as_it_was(settings: Settings) -> None:
    Store.open(settings).close()
    as_version_1(settings)
    before = rows(settings, "select name from sqlite_master order by name")
    with closing(sqlite3.connect(settings.data / "store.sqlite")) as raw, raw:
        raw.execute("INSERT INTO commands (id, kind, at_ms, body) VALUES ('x', 'comment', 0, 'not json')")
    with pytest.raises(StoreError, match="commands x: a command in the store cannot be read"):
        Store.open(settings)
    assert rows(settings, "select name from sqlite_master order by name") == before
