"""The store keeps a replaced version of an article only if the watchlist changed between the two versions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import permutations
from types import ModuleType
from typing import Any

import pytest
from stores.rows import stored_rows

from riskwire.settings import Settings
from riskwire.store import Store


def kept_versions(settings: Settings) -> list[tuple[Any, ...]]:
    """Returns (version, read_with, body) of each replaced version in the database; `read_with` -1 means None."""
    return stored_rows(settings, "select version, read_with, body from replaced_versions order by read_with")


def versions(news: ModuleType, *read_with: int | None) -> list[Any]:
    """Returns the analyses of the versions 1, 2, … of one article.

    Args:
        read_with: for each version the offset of the newest watchlist command before it; None if there was none.
    """
    return [
        news.analysis("a1", version=version).model_copy(update={"read_with": command})
        for version, command in enumerate(read_with, 1)
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
    ids=[
        "no change of the list",
        "the same list",
        "a first change",
        "a first change after two versions",
        "a first change before two versions",
        "two changes",
        "a later change between several versions",
    ],
)
def test_the_last_version_read_with_each_earlier_watchlist_is_kept(
    store: Store,
    settings: Settings,
    news: ModuleType,
    read_with: tuple[int | None, ...],
    expected: list[tuple[int, int]],
) -> None:
    """Each version is written twice, which changes nothing.

    Args:
        read_with: for each version the offset of the newest watchlist command before it; None if there was none.
        expected: version and `read_with` of each replaced version that is kept, with -1 for None.
    """
    for analysis in versions(news, *read_with):
        store.write_analyses([analysis])
        store.write_analyses([analysis])
    assert [row[:2] for row in kept_versions(settings)] == expected


def test_the_kept_versions_do_not_depend_on_order_or_batches(
    new_settings: Callable[..., Settings], news: ModuleType
) -> None:
    """Two versions were read before any watchlist command and one after it, so that version 2 is kept."""
    results = []
    for order in permutations(versions(news, None, None, 4)):
        for one_batch in (False, True):
            settings_of_order = new_settings()
            with Store.open(settings_of_order) as store:
                for batch in [list(order)] if one_batch else [[analysis] for analysis in order]:
                    store.write_analyses(batch)
            results.append(kept_versions(settings_of_order))
    assert len({tuple(rows) for rows in results}) == 1
    assert [row[:2] for row in results[0]] == [(2, -1)]


def test_a_kept_version_is_deleted_with_its_article(new_settings: Callable[..., Settings], news: ModuleType) -> None:
    """Data is kept for 10 days before the newest, in whole months. The article `a1` is 60 days older than `new`."""
    short = new_settings(keep_days=10)
    old = news.NOON - timedelta(days=60)
    with Store.open(short) as store:
        for analysis in versions(news, None, 3):
            article = analysis.article.model_copy(update={"seen_at": old})
            store.write_analyses([analysis.model_copy(update={"article": article})])
        assert len(kept_versions(short)) == 1
        store.write_analyses([news.analysis("new")])
    assert kept_versions(short) == []
