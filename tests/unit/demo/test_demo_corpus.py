"""The demo corpus is fictional, ordered and without duplicates, and has one crisis and four traps."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from riskwire.demo import CRISIS, corpus_path, watchlist_path

SHARED = Path(os.environ.get("RISKWIRE_SHARED", Path(__file__).parents[4] / "shared"))
SEC_TABLE = SHARED / "data" / "tables" / "sec_company_tickers_exchange.json"
CRISIS_DAY = datetime(2031, 3, 31, tzinfo=UTC)

ITEMS: list[dict[str, Any]] = [json.loads(line) for line in corpus_path().read_text(encoding="utf-8").splitlines()]
WATCHLIST: list[dict[str, Any]] = yaml.safe_load(watchlist_path().read_text(encoding="utf-8"))
ORIGINALS = [item for item in ITEMS if "reprint_of" not in item]
REPRINTS = [item for item in ITEMS if "reprint_of" in item]


def published_at(item: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(item["published_at"])


def about(name: str, start: datetime, days: float) -> list[dict[str, Any]]:
    """Returns the items with this name in the title that were published in the `days` days from `start`.

    Reprints are left out. The end is exclusive.
    """
    return [
        item
        for item in ORIGINALS
        if name in item["title"] and start <= published_at(item) < start + timedelta(days=days)
    ]


def test_items_are_ordered_by_time_and_have_every_field() -> None:
    """There are 350 to 450 items. No text field is blank, and times are in UTC."""
    assert 350 <= len(ITEMS) <= 450
    assert [published_at(item) for item in ITEMS] == sorted(published_at(item) for item in ITEMS)
    for item in ITEMS:
        assert all(item[field].strip() for field in ("title", "url", "summary", "source"))
        assert published_at(item).utcoffset() == timedelta(0)


def test_every_url_is_unique_and_on_an_example_domain() -> None:
    assert len({item["url"] for item in ITEMS}) == len(ITEMS)
    for item in ITEMS:
        parts = urlsplit(item["url"])
        assert parts.scheme == "https"
        assert parts.hostname == f"{item['source']}.example"


def test_a_reprint_names_its_original_and_is_later_from_another_outlet() -> None:
    by_url = {item["url"]: item for item in ORIGINALS}
    assert len(REPRINTS) >= 10
    for item in REPRINTS:
        original = by_url[item["reprint_of"]]
        assert item["summary"] == original["summary"]
        assert item["source"] != original["source"]
        assert published_at(item) > published_at(original)


def test_originals_are_not_near_duplicates() -> None:
    """No two items share more than 40 % of the different words of both."""
    words = [(item["url"], set(re.findall(r"\w+", f"{item['title']} {item['summary']}".lower()))) for item in ORIGINALS]
    near_duplicates = [
        (first_url, second_url)
        for (first_url, first), (second_url, second) in combinations(words, 2)
        if len(first & second) / len(first | second) > 0.4
    ]
    assert near_duplicates == []


def test_the_watchlist_has_unique_ids_tickers_and_names_and_every_company_is_in_the_news() -> None:
    """The 20 to 25 companies are in four groups. No name, alias or ticker belongs to two, and each has eight titles."""
    assert 20 <= len(WATCHLIST) <= 25
    assert len(Counter(entry["group"] for entry in WATCHLIST)) == 4
    claims = Counter(
        claim for entry in WATCHLIST for claim in {entry["name"], *entry.get("aliases", []), *entry["tickers"]}
    )
    assert [claim for claim, count in claims.items() if count > 1] == []
    for entry in WATCHLIST:
        assert len([item for item in ORIGINALS if entry["name"] in item["title"]]) >= 8, entry["name"]
    assert CRISIS == "entity:norvane"
    assert "norvane" in {entry["id"] for entry in WATCHLIST}


def test_every_ordinary_day_has_news_and_no_company_dominates_it() -> None:
    """There is news on each of 49 days. In the first 28, no company has more than four titles on a day."""
    days = Counter(published_at(item).date() for item in ITEMS)
    start = min(days)
    assert set(days) == {start + timedelta(days=offset) for offset in range(49)}
    for offset in range(28):
        day = datetime.combine(start, datetime.min.time(), UTC) + timedelta(days=offset)
        for entry in WATCHLIST:
            assert len(about(entry["name"], day, 1)) <= 4


def test_the_crisis_starts_in_many_sources_within_hours_and_ends_after_days() -> None:
    """Norvane Motors has six titles within ten hours on day 0, and four or more on each of days 1 to 4.

    There are none for almost five days from day 6 on, and at least four after day 11.
    """
    first_day = about("Norvane Motors", CRISIS_DAY, 1)
    assert len(first_day) >= 6
    assert len({item["source"] for item in first_day}) >= 6
    assert max(map(published_at, first_day)) - min(map(published_at, first_day)) < timedelta(hours=10)
    for day in range(1, 5):
        assert len(about("Norvane Motors", CRISIS_DAY + timedelta(days=day), 1)) >= 4
    assert about("Norvane Motors", CRISIS_DAY + timedelta(days=6), 4.9) == []
    assert len(about("Norvane Motors", CRISIS_DAY + timedelta(days=11), 30)) >= 4


@pytest.mark.parametrize(
    ("name", "day", "stories", "reprints"),
    [
        ("Castellmere Bank", 11, 4, 0),
        ("Meridex Ratings", 14, 4, 0),
        ("Pelladyne Pharma", 19, 2, 0),
        ("Grindlemoor Pipeline", 24, 1, 6),
    ],
)
def test_each_trap_has_its_stories_and_reprints(name: str, day: int, stories: int, reprints: int) -> None:
    """A trap is news that looks bad and must not alert, on one day of March 2031.

    Args:
        name: the company in the titles.
        stories: the number of its original items of that day.
        reprints: the number of reprints of these items.
    """
    start = datetime(2031, 3, day, tzinfo=UTC)
    trap = about(name, start, 1)
    assert len(trap) == stories
    urls = {item["url"] for item in trap}
    assert len([item for item in REPRINTS if item["reprint_of"] in urls]) == reprints


def test_bad_news_for_a_company_names_the_company() -> None:
    """`negative_for` lists the ids of companies for which an item is bad news; their names are in title or summary."""
    names = {entry["id"]: entry["name"] for entry in WATCHLIST}
    marked = [(item, company) for item in ITEMS for company in item.get("negative_for", [])]
    assert len(marked) > 60
    for item, company in marked:
        # A reprint of a wire item may drop the name from its title.
        assert names[company] in f"{item['title']} {item['summary']}"


def test_some_items_are_not_in_english() -> None:
    """Exactly three summaries have an article of German, French or Italian and no English "the"."""
    foreign = [
        item
        for item in ITEMS
        if re.search(r"\b(der|le|una)\b", item["summary"], re.I) and " the " not in item["summary"]
    ]
    assert len(foreign) == 3


@pytest.mark.needs_data
def test_no_company_of_the_demo_is_registered_with_the_sec() -> None:
    """The first word of a fictional name is in no name of the SEC's table, and no ticker is in it.

    Needs the shared data; a row of the table has the name as field 1 and the ticker as field 2.
    """
    if not SEC_TABLE.exists():
        pytest.skip(f"{SEC_TABLE} is missing")
    table = json.loads(SEC_TABLE.read_text(encoding="utf-8"))["data"]
    names = " ".join(row[1] for row in table).lower()
    tickers = {row[2] for row in table}
    for entry in WATCHLIST:
        assert entry["name"].split()[0].lower() not in names
        assert not tickers & set(entry["tickers"])


def test_no_company_of_the_demo_is_in_the_index_tables() -> None:
    """The first word of a fictional name is in no name of `pytickersymbols`, and no ticker is in it."""
    from pytickersymbols import PyTickerSymbols

    stocks = PyTickerSymbols().get_all_stocks()
    names = " ".join(stock["name"] for stock in stocks).lower()
    tickers = {stock.get("symbol") for stock in stocks}
    for entry in WATCHLIST:
        assert entry["name"].split()[0].lower() not in names
        assert not tickers & set(entry["tickers"])
