"""The archive of a run: its size, its order, its dependence on the seed, and the crises of several companies."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from harness.news.archive import END, REPETITION_LENGTH, time_span, write_archive

from riskwire.demo import corpus_path, watchlist_path

CRISIS_TITLE = "shares slide on rumour of hidden brake failures"


def write_and_read(folder: Path, articles: int, seed: int) -> list[dict[str, Any]]:
    path = folder / f"{articles}-{seed}.jsonl"
    write_archive(path, articles, seed, corpus_path(), watchlist_path())
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_an_archive_has_the_requested_number_of_lines_in_order_of_time(tmp_path: Path) -> None:
    for articles in (1, 100, 1_500):
        items = write_and_read(tmp_path, articles, 5)
        assert len(items) == articles
        assert [item["published_at"] for item in items] == sorted(item["published_at"] for item in items)


def test_the_same_seed_gives_the_same_archive(tmp_path: Path) -> None:
    assert write_and_read(tmp_path, 900, 5) == write_and_read(tmp_path, 900, 5)
    assert write_and_read(tmp_path, 900, 5) != write_and_read(tmp_path, 900, 6)


def test_each_repetition_has_its_crisis_at_a_different_company(tmp_path: Path) -> None:
    """The corpus of 372 items has the crisis of one company. It is repeated six times, with companies exchanged."""
    items = write_and_read(tmp_path, 2_400, 5)
    names = [company["name"] for company in yaml.safe_load(watchlist_path().read_text(encoding="utf-8"))]
    companies_in_crisis = {name for item in items for name in names if item["title"] == f"{name} {CRISIS_TITLE}"}
    assert len(companies_in_crisis) >= 4


def test_some_items_are_duplicated_some_get_a_new_version_and_some_lines_are_not_news(tmp_path: Path) -> None:
    """A duplicate repeats address and summary, a new version has another summary, and no news has an empty title."""
    items = write_and_read(tmp_path, 3_000, 5)
    occurrences = Counter(item["url"] for item in items)
    versions = {
        url: {item["summary"] for item in items if item["url"] == url} for url in occurrences if occurrences[url] > 1
    }
    assert sum(len(texts) == 1 for texts in versions.values()) > 20
    assert sum(len(texts) == 2 for texts in versions.values()) > 50
    assert sum(not item["title"].strip() for item in items) > 3


def test_all_articles_are_in_the_past(tmp_path: Path) -> None:
    write_and_read(tmp_path, 3_000, 5)
    first, last = time_span(tmp_path / "3000-5.jsonl")
    assert first < last <= END < datetime.now(UTC)
    assert last - first > REPETITION_LENGTH * 7
