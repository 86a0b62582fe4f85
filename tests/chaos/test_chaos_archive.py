"""The news of a run: as much as asked, in order, the same for the same seed, with a crisis for several companies."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from harness.archive import END, TELLING, span_of, write_archive

from riskwire.demo import corpus_path, watchlist_path

CRISIS_TITLE = "shares slide on rumour of hidden brake failures"


def written(folder: Path, articles: int, seed: int) -> list[dict[str, Any]]:
    path = folder / f"{articles}-{seed}.jsonl"
    write_archive(path, articles, seed, corpus_path(), watchlist_path())
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_an_archive_has_as_many_lines_as_asked_in_order_of_time(tmp_path: Path) -> None:
    for articles in (1, 100, 1_500):
        items = written(tmp_path, articles, 5)
        assert len(items) == articles
        assert [item["published_at"] for item in items] == sorted(item["published_at"] for item in items)


def test_the_same_seed_writes_the_same_news(tmp_path: Path) -> None:
    assert written(tmp_path, 900, 5) == written(tmp_path, 900, 5)
    assert written(tmp_path, 900, 5) != written(tmp_path, 900, 6)


def test_each_telling_has_its_crisis_at_another_company(tmp_path: Path) -> None:
    items = written(tmp_path, 2_400, 5)
    names = [company["name"] for company in yaml.safe_load(watchlist_path().read_text(encoding="utf-8"))]
    hit = {name for item in items for name in names if item["title"] == f"{name} {CRISIS_TITLE}"}
    assert len(hit) >= 4


def test_some_items_come_again_unchanged_some_in_a_new_version_and_some_lines_are_no_news(tmp_path: Path) -> None:
    items = written(tmp_path, 3_000, 5)
    told = Counter(item["url"] for item in items)
    versions = {url: {item["summary"] for item in items if item["url"] == url} for url in told if told[url] > 1}
    assert sum(len(texts) == 1 for texts in versions.values()) > 20
    assert sum(len(texts) == 2 for texts in versions.values()) > 50
    assert sum(not item["title"].strip() for item in items) > 3


def test_all_of_it_lies_in_the_past(tmp_path: Path) -> None:
    written(tmp_path, 3_000, 5)
    begin, end = span_of(tmp_path / "3000-5.jsonl")
    assert begin < end <= END < datetime.now(UTC)
    assert end - begin > TELLING * 7
