"""Of a version that a later one replaced something is kept only where the watchlist had changed between the two."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from itertools import permutations
from types import ModuleType
from typing import Any

import pytest

from riskwire.settings import Settings, StoreSettings
from riskwire.store import Store


def kept(settings: Settings) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(settings.data / "store.sqlite")) as raw:
        return raw.execute("select version, read_with, body from replaced order by read_with").fetchall()


def versions(news: ModuleType, *read_with: int | None) -> list[Any]:
    return [
        news.analysis("a1", version=number).model_copy(update={"read_with": one})
        for number, one in enumerate(read_with, 1)
    ]


@pytest.mark.parametrize(
    ("read_with", "expected"),
    [
        ((None, None), []),
        ((3, 3), []),
        ((None, 3), [(1, -1)]),
        ((None, None, 3), [(2, -1)]),
        ((None, 3, 3), [(1, -1)]),
        ((None, 3, 5), [(1, -1), (2, 3)]),
        ((1, 1, 4, 4, 4), [(2, 1)]),
    ],
)
def test_the_last_version_of_each_earlier_list_is_kept(
    store: Store,
    settings: Settings,
    news: ModuleType,
    read_with: tuple[int | None, ...],
    expected: list[tuple[int, int]],
) -> None:
    for one in versions(news, *read_with):
        store.write_analyses([one])
        store.write_analyses([one])
    assert [row[:2] for row in kept(settings)] == expected


def test_it_does_not_depend_on_the_order_nor_on_what_came_in_one_step(settings: Settings, news: ModuleType) -> None:
    told = versions(news, None, None, 4)
    found = []
    for at, order in enumerate(permutations(told)):
        for together in (False, True):
            own = settings.model_copy(update={"data": settings.data / f"{at}{together}"})
            with Store.open(own) as store:
                for step in [list(order)] if together else [[one] for one in order]:
                    store.write_analyses(step)
            found.append(kept(own))
    assert len({tuple(one) for one in found}) == 1
    assert [row[:2] for row in found[0]] == [(2, -1)]


def test_it_goes_when_its_article_does(settings: Settings, news: ModuleType) -> None:
    short = settings.model_copy(update={"store": StoreSettings(keep_days=10)})
    old = news.NOON - timedelta(days=30)
    with Store.open(short) as store:
        for one in versions(news, None, 3):
            store.write_analyses([one.model_copy(update={"article": one.article.model_copy(update={"seen_at": old})})])
        assert len(kept(settings)) == 1
        store.write_analyses([news.analysis("new")])
    assert kept(settings) == []
