"""Live news: the feeds of the newsroom, and the comparison of the records of ingesters and infer with its pages."""

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
from feeds.feed_server import serve_feeds
from harness.news.live_news import LiveNews
from harness.news.newsroom import Newsroom, Page
from harness.verdict.live_comparison import (
    compare_live_analyses,
    compare_live_articles,
    compare_live_dead_letters,
    missing_pages,
)

PAGE = "https://news.example/feed-0/1"
NEWEST_TITLES = {PAGE: "shares slide, corrected"}
PUBLISHED = {(PAGE, "shares slide"), (PAGE, "shares slide, corrected")}


def article(
    title: str = NEWEST_TITLES[PAGE], version: int = 1, source: str = "feed-0", url: str = PAGE
) -> dict[str, Any]:
    return {"kind": "article", "id": url[-1], "version": version, "url": url, "source": source, "title": title}


def analysis(title: str = NEWEST_TITLES[PAGE], version: int = 1) -> dict[str, Any]:
    return {"article": {"id": "1", "version": version, "url": PAGE, "title": title}}


def wrong_articles(articles: list[dict[str, Any]]) -> tuple[int, int, int]:
    comparison = compare_live_articles(NEWEST_TITLES, PUBLISHED, articles)
    return len(comparison.lost), len(comparison.doubled), len(comparison.differing)


@pytest.mark.parametrize(
    "articles",
    [
        [article()],
        [article("shares slide"), article(version=2)],
        [article("shares slide"), article(version=2), article(source="feed-1")],
        [article("shares slide", source="feed-1"), article(), article(version=2, source="feed-1")],
    ],
    ids=[
        "corrected before the first poll",
        "both versions",
        "another feed has the newest version too",
        "another feed had the first version before",
    ],
)
def test_newest_titles_with_each_version_once_a_feed_are_equal(articles: list[dict[str, Any]]) -> None:
    """The page had the title "shares slide" and then its correction, which is the default title of `article`.

    `wrong_articles` counts the lost, doubled and differing articles.
    """
    assert wrong_articles(articles) == (0, 0, 0)


def test_a_page_whose_newest_title_is_missing_is_lost() -> None:
    assert wrong_articles([]) == (1, 0, 0)
    assert wrong_articles([article("shares slide")]) == (1, 0, 0)
    assert missing_pages(NEWEST_TITLES, [article("shares slide")]) == [f"{PAGE}: shares slide, corrected"]


def test_a_newest_title_that_infer_drops_as_a_repeated_version_is_lost() -> None:
    """Infer reads the first article of a version. Another feed brings the newest title later, as version 1 too."""
    articles = [article("shares slide"), article(source="feed-1")]
    assert wrong_articles(articles) == (1, 0, 0)
    assert missing_pages(NEWEST_TITLES, articles)
    assert wrong_articles(articles[::-1]) == (0, 0, 0)


def test_a_version_that_is_missing_before_a_later_one_is_lost() -> None:
    assert wrong_articles([article(version=2)]) == (1, 0, 0)
    assert wrong_articles([article("shares slide", source="feed-1"), article(version=3)]) == (1, 0, 0)


def test_a_repeated_version_and_a_version_with_an_unchanged_title_are_doubled() -> None:
    assert wrong_articles([article(), article()]) == (0, 1, 0)
    assert wrong_articles([article(), article(version=2)]) == (0, 1, 0)


def test_a_title_that_was_never_published_differs() -> None:
    assert wrong_articles([article(), article("made up", version=2)]) == (0, 0, 1)


def test_each_version_has_one_analysis_even_if_two_feeds_bring_it() -> None:
    """A missing analysis is lost, a second one is doubled, and one of a version without article differs."""
    articles = [article("shares slide"), article(version=2), article(version=2, source="feed-1")]
    first, second = analysis("shares slide"), analysis(version=2)
    equal = compare_live_analyses(articles, [first, second])
    assert equal.equal
    assert equal.checked == 2
    assert len(compare_live_analyses(articles, [first]).lost) == 1
    assert len(compare_live_analyses(articles, [first, second, second]).doubled) == 1
    assert len(compare_live_analyses(articles, [first, second, analysis(version=3)]).differing) == 1


def test_an_analysis_must_be_of_the_title_that_came_first_under_its_version() -> None:
    """Two feeds bring different titles as version 1."""
    articles = [article("shares slide"), article(source="feed-1")]
    assert compare_live_analyses(articles, [analysis("shares slide")]).equal
    comparison = compare_live_analyses(articles, [analysis()])
    assert (len(comparison.lost), len(comparison.doubled), len(comparison.differing)) == (0, 0, 1)


def test_a_dead_letter_of_live_news_is_reported_with_its_error() -> None:
    assert compare_live_dead_letters([]).equal
    comparison = compare_live_dead_letters([{"stage": "infer", "error": "SchemaError: no", "record": "{"}])
    assert (comparison.checked, comparison.differing) == (1, ["infer: SchemaError: no: {"])


async def test_unreadable_topics_are_read_again_until_they_can_be_read() -> None:
    """A hanging transaction and an unreachable broker prevent reading until the operator or the run repairs them.

    Each reading gets the next of `answers`. The wait ends when the newest title is among the articles.
    """
    answers: list[Exception | list[dict[str, Any]]] = [
        AssertionError("live-articles: partitions [1] do not become readable"),
        KafkaException(KafkaError(KafkaError._TRANSPORT)),
        [article("shares slide")],
        [article("shares slide"), article(version=2)],
    ]
    newsroom = SimpleNamespace(pages=[Page(PAGE, ["shares slide", NEWEST_TITLES[PAGE]])])

    class ScriptedLiveNews(LiveNews):
        async def _records(self, topic: str) -> list[dict[str, Any]]:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

    async with asyncio.timeout(20):
        await ScriptedLiveNews(newsroom, {}, poll_s=0.0).wait_until_published()  # type: ignore[arg-type]
    assert not answers


async def test_waiting_for_an_unreadable_topic_ends_with_the_deadline_of_the_run() -> None:
    """The wait itself has no limit: every reading fails, and is repeated, until the timeout around it."""

    class UnreadableLiveNews(LiveNews):
        async def _records(self, topic: str) -> list[dict[str, Any]]:
            raise AssertionError(f"{topic}: partitions [1] do not become readable")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await UnreadableLiveNews(SimpleNamespace(pages=[]), {}, poll_s=0.0).wait_until_readable()  # type: ignore[arg-type]


def feed_items(newsroom: Newsroom, feed: str) -> list[tuple[str, str]]:
    """Returns address and title of each item of a feed; polls again while the newsroom answers with an error."""
    status, _, body = newsroom.answer(feed, "test", None)
    while status == 503:
        status, _, body = newsroom.answer(feed, "test", None)
    items = ET.fromstring(body).iter("item")
    return [(item.findtext("link", ""), item.findtext("title", "")) for item in items]


def test_pages_are_published_corrected_and_reprinted_by_other_feeds(tmp_path: Path) -> None:
    """300 random events leave pages with two titles, and pages in several feeds; feeds show the newest titles."""
    with serve_feeds(lambda port: Newsroom(3, random.Random(5), port)) as newsroom:
        for _ in range(300):
            newsroom.publish_event()
        newsroom.write_feed_list(tmp_path / "feeds.yaml")
        items_by_feed = {feed: feed_items(newsroom, feed) for feed in newsroom.feeds}
        assert [entry["url"] for entry in yaml.safe_load((tmp_path / "feeds.yaml").read_text())] == [
            newsroom.url(feed) for feed in newsroom.feeds
        ]
    pages = [url for items in items_by_feed.values() for url, _ in items]
    assert all(len({url for url, _ in items}) == len(items) for items in items_by_feed.values()), (
        "each page once a feed"
    )
    assert set(pages) == {page.url for page in newsroom.pages}
    assert len(pages) - len(set(pages)) > 20, "reprinted by other feeds"
    assert sum(len(page.titles) == 2 for page in newsroom.pages) > 20
    newest_titles = {page.url: page.titles[-1] for page in newsroom.pages}
    assert all(newest_titles[url] == title for items in items_by_feed.values() for url, title in items)


def test_the_same_seed_publishes_the_same_news() -> None:
    def published_titles(seed: int) -> list[list[str]]:
        """Returns the titles that each page had in turn, after 50 random events (a new page, or a new title)."""
        newsroom = Newsroom(feeds=3, rng=random.Random(seed), port=1)  # the port is never opened
        for _ in range(50):
            newsroom.publish_event()
        return [page.titles for page in newsroom.pages]

    assert published_titles(5) == published_titles(5)
    assert published_titles(5) != published_titles(6)
