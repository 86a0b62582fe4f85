"""Live news: what the newsroom tells, and that the comparison sees what ingesters or infer lost, doubled or made up."""

from __future__ import annotations

import asyncio
import random
import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from confluent_kafka import KafkaError, KafkaException
from feedserver import publishing
from harness.check import compare_letters, compare_live, compare_readings, live_lost
from harness.live import Live
from harness.newsroom import Newsroom, Page

PAGE = "https://news.example/feed-0/1"
FINAL = {PAGE: "shares slide, corrected"}
STOOD = {(PAGE, "shares slide"), (PAGE, "shares slide, corrected")}


def article(title: str = FINAL[PAGE], version: int = 1, source: str = "feed-0", url: str = PAGE) -> dict[str, Any]:
    return {"kind": "article", "id": url[-1], "version": version, "url": url, "source": source, "title": title}


def analysis(title: str = FINAL[PAGE], version: int = 1) -> dict[str, Any]:
    return {"article": {"id": "1", "version": version, "url": PAGE, "title": title}}


def faults(articles: list[dict[str, Any]]) -> tuple[int, int, int]:
    found = compare_live(FINAL, STOOD, articles)
    return len(found.lost), len(found.doubled), len(found.differing)


@pytest.mark.parametrize(
    "articles",
    [
        [article()],
        [article("shares slide"), article(version=2)],
        [article("shares slide"), article(version=2), article(source="feed-1")],
        [article("shares slide", source="feed-1"), article(), article(version=2, source="feed-1")],
    ],
    ids=[
        "corrected before anyone looked",
        "both versions",
        "another feed brings it too",
        "and had the old words first",
    ],
)
def test_each_page_in_its_last_words_and_each_version_once_a_feed_is_good(articles: list[dict[str, Any]]) -> None:
    assert faults(articles) == (0, 0, 0)


def test_a_page_that_is_not_there_in_its_last_words_is_lost() -> None:
    assert faults([]) == (1, 0, 0)
    assert faults([article("shares slide")]) == (1, 0, 0)
    assert live_lost(FINAL, [article("shares slide")]) == [f"{PAGE}: shares slide, corrected"]


def test_last_words_that_came_second_under_a_version_of_other_words_are_lost_since_infer_drops_them() -> None:
    articles = [article("shares slide"), article(source="feed-1")]
    assert faults(articles) == (1, 0, 0)
    assert live_lost(FINAL, articles)
    assert faults(articles[::-1]) == (0, 0, 0)


def test_a_version_that_is_not_there_although_a_later_one_is_was_lost() -> None:
    assert faults([article(version=2)]) == (1, 0, 0)
    assert faults([article("shares slide", source="feed-1"), article(version=3)]) == (1, 0, 0)


def test_a_version_that_a_feed_brought_twice_and_a_version_in_which_nothing_is_new_are_doubled() -> None:
    assert faults([article(), article()]) == (0, 1, 0)
    assert faults([article(), article(version=2)]) == (0, 1, 0)


def test_what_never_stood_there_differs() -> None:
    assert faults([article(), article("made up", version=2)]) == (0, 0, 1)


def test_an_article_has_one_analysis_for_each_version_whoever_brought_it() -> None:
    articles = [article("shares slide"), article(version=2), article(version=2, source="feed-1")]
    one, two = analysis("shares slide"), analysis(version=2)
    good = compare_readings(articles, [one, two])
    assert good.good
    assert good.checked == 2
    assert len(compare_readings(articles, [one]).lost) == 1
    assert len(compare_readings(articles, [one, two, two]).doubled) == 1
    assert len(compare_readings(articles, [one, two, analysis(version=3)]).differing) == 1


def test_an_analysis_is_of_the_words_that_came_first_under_its_version() -> None:
    articles = [article("shares slide"), article(source="feed-1")]
    assert compare_readings(articles, [analysis("shares slide")]).good
    found = compare_readings(articles, [analysis()])
    assert (len(found.lost), len(found.doubled), len(found.differing)) == (0, 0, 1)


def test_a_dead_letter_of_live_news_is_told_with_its_error() -> None:
    assert compare_letters([]).good
    found = compare_letters([{"stage": "infer", "error": "SchemaError: no", "record": "{"}])
    assert (found.checked, found.differing) == (1, ["infer: SchemaError: no: {"])


async def test_what_cannot_be_read_yet_is_waited_for_until_whoever_runs_the_cluster_has_mended_it() -> None:
    """A transaction that Kafka has left hanging, brokers that are away: then the log can be read."""
    answers: list[Exception | list[dict[str, Any]]] = [
        AssertionError("live-articles: partitions [1] do not become readable"),
        KafkaException(KafkaError(KafkaError._TRANSPORT)),
        [article("shares slide")],
        [article("shares slide"), article(version=2)],
    ]
    newsroom = SimpleNamespace(pages=[Page(PAGE, ["shares slide", FINAL[PAGE]])])

    class Log(Live):
        async def _records(self, topic: str) -> list[dict[str, Any]]:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

    async with asyncio.timeout(20):
        await Log(newsroom, {}, look_s=0.0).until_all_is_there()  # type: ignore[arg-type]
    assert not answers


async def test_what_never_becomes_readable_is_waited_for_no_longer_than_the_run_waits() -> None:
    class Hangs(Live):
        async def _records(self, topic: str) -> list[dict[str, Any]]:
            raise AssertionError(f"{topic}: partitions [1] do not become readable")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await Hangs(SimpleNamespace(pages=[]), {}, look_s=0.0).until_all_is_readable()  # type: ignore[arg-type]


def told(newsroom: Newsroom, feed: str) -> list[tuple[str, str]]:
    """What a feed says now: address and title of each item."""
    status, _, body = newsroom.answer(feed, "test", None)
    while status == 503:
        status, _, body = newsroom.answer(feed, "test", None)
    items = ET.fromstring(body).iter("item")
    return [(item.findtext("link", ""), item.findtext("title", "")) for item in items]


def test_items_come_are_corrected_and_are_brought_by_other_feeds_too(tmp_path: Path) -> None:
    with publishing(lambda port: Newsroom(3, random.Random(5), port)) as newsroom:
        for _ in range(300):
            newsroom.happen()
        newsroom.write_list(tmp_path / "feeds.yaml")
        says = {feed: told(newsroom, feed) for feed in newsroom.feeds}
        assert [one["url"] for one in yaml.safe_load((tmp_path / "feeds.yaml").read_text())] == [
            newsroom.url(feed) for feed in newsroom.feeds
        ]
    pages = [url for items in says.values() for url, _ in items]
    assert all(len({url for url, _ in items}) == len(items) for items in says.values()), "each once a feed"
    assert set(pages) == {page.url for page in newsroom.pages}
    assert len(pages) - len(set(pages)) > 20, "brought by others too"
    assert sum(len(page.words) == 2 for page in newsroom.pages) > 20
    final = {page.url: page.words[-1] for page in newsroom.pages}
    assert all(final[url] == words for items in says.values() for url, words in items)


def test_the_same_seed_tells_the_same_news() -> None:
    def news(seed: int) -> list[list[str]]:
        newsroom = Newsroom(3, random.Random(seed), 1)
        for _ in range(50):
            newsroom.happen()
        return [page.words for page in newsroom.pages]

    assert news(5) == news(5)
    assert news(5) != news(6)
