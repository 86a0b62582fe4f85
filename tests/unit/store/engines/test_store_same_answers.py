"""API and page give the same JSON on SQLite and on PostgreSQL, byte for byte."""

from __future__ import annotations

from types import ModuleType

import pytest
from serving import write_with_sink
from stores.answers import api_answers

from riskwire.settings import Settings
from riskwire.store import Store

pytestmark = pytest.mark.needs_postgresql


async def test_every_route_answers_the_same_on_both_stores(
    sqlite_settings: Settings, postgresql_settings: Settings, news: ModuleType
) -> None:
    """Both stores get the same three days of news, which have alerts, commands and versions of articles."""
    answers = []
    for settings in (sqlite_settings, postgresql_settings):
        with Store.open(settings) as store:
            await write_with_sink(store, news.records_by_topic(days=3))
            answers.append(await api_answers(store))
    on_sqlite, on_postgresql = answers
    assert len(on_sqlite) > 100
    assert on_postgresql.keys() == on_sqlite.keys()
    for path, answer in on_sqlite.items():
        assert on_postgresql[path] == answer, path


def test_names_sort_alike_on_both_stores_whatever_their_script(
    sqlite_settings: Settings, postgresql_settings: Settings, news: ModuleType
) -> None:
    """The server of the tests sorts text as people do, the store by its bytes."""
    names = ["Zeta", "alpha", "Älg", "beta corp", "Beta", "étoile", "ετα", "a_b", "a b", "a-b", "A.B", "ß"]
    rows = []
    for settings in (sqlite_settings, postgresql_settings):
        with Store.open(settings) as store:
            store.write_signals([news.signal("a1", target=f"entity:{name}", name=name) for name in names])
            queries = [store.targets(order="name"), *(store.targets(query=text) for text in ("B", "ä", "Ä", "_", "É"))]
            rows.append([[row.target for row in answer] for answer in queries])
    assert rows[0] == rows[1]
