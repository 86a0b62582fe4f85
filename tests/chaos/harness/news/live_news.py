"""Live news beside the archive: ingesters share feeds, and a separate infer reads the articles.

Live news has its own topics (`kafka.prefix`). Its articles have today's time, which would move the archive's clock past
all of the archive's news.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from confluent_kafka import KafkaException
from feeds.feed_server import serve_feeds
from kafka_reader import committed_records

from harness.news.newsroom import Newsroom
from harness.processes.fleet import Fleet
from harness.processes.services import FEEDS, LIVE_PREFIX
from harness.verdict.comparison import Record, TopicComparison
from harness.verdict.live_comparison import (
    compare_live_analyses,
    compare_live_articles,
    compare_live_dead_letters,
    missing_pages,
)

WORKERS: Mapping[str, int] = {"ingest": 2, "live": 1}
_COMPARED_TOPICS = ("articles", "analyses", "dead-letters")
_EVENT_EVERY_S = 1.0


@dataclass(slots=True)
class LiveNews:
    """The newsroom of a run, and the comparison of its pages with the records that the services wrote."""

    newsroom: Newsroom
    client: Mapping[str, str]
    poll_s: float = 1.0
    """Seconds between two reads of a topic."""
    _publishing: asyncio.Task[None] | None = None

    def start(self, fleet: Fleet) -> None:
        """Starts the newsroom, the ingesters and their infer."""
        self._publishing = asyncio.create_task(self.newsroom.publish_events(_EVENT_EVERY_S), name="newsroom")
        for role, count in WORKERS.items():
            for _ in range(count):
                fleet.start(role)

    async def stop_publishing(self) -> None:
        """Stops new events and server errors. The feeds can still be polled."""
        self.newsroom.answers_all_polls = True
        if self._publishing is not None:
            self._publishing.cancel()
            await asyncio.gather(self._publishing, return_exceptions=True)

    async def wait_until_published(self) -> None:
        """Waits until the newest title of each page is on the topic articles."""
        while missing_pages(self._newest_titles(), await self._wait_for_records("articles")):  # noqa: ASYNC110  (Kafka has no notification)
            await asyncio.sleep(self.poll_s)

    async def wait_until_readable(self) -> None:
        """Waits until no open transaction hides records of the compared topics, some of which no stage reads."""
        for topic in _COMPARED_TOPICS:
            await self._wait_for_records(topic)

    async def compare(self) -> list[TopicComparison]:
        """Compares the records with the pages. The ingesters must have stopped, and infer must have read everything.

        Returns:
            the comparisons of articles, analyses and dead letters.
        """
        articles, analyses, dead_letters = [await self._records(topic) for topic in _COMPARED_TOPICS]
        published = {(page.url, title) for page in self.newsroom.pages for title in page.titles}
        return [
            compare_live_articles(self._newest_titles(), published, articles),
            compare_live_analyses(articles, analyses),
            compare_live_dead_letters(dead_letters),
        ]

    def _newest_titles(self) -> dict[str, str]:
        return {page.url: page.titles[-1] for page in self.newsroom.pages}

    async def _wait_for_records(self, topic: str) -> list[Record]:
        """Returns the records of a topic as soon as they can be read.

        A transaction that Kafka left hanging hides records until the operator aborts it.
        """
        while True:
            with suppress(AssertionError, KafkaException):
                return await self._records(topic)
            await asyncio.sleep(self.poll_s)

    async def _records(self, topic: str) -> list[Record]:
        messages = await asyncio.to_thread(committed_records, self.client, f"{LIVE_PREFIX}{topic}")
        records = [json.loads(message.value or b"{}") for message in messages]
        return [record for record in records if record.get("kind", "article") == "article"]


async def stop_ingesters(fleet: Fleet) -> None:
    """Stops the ingesters and waits until they have exited, so that no more articles are written."""
    async with asyncio.TaskGroup() as group:
        for worker in fleet.workers_of("ingest"):
            group.create_task(fleet.remove(worker))


@asynccontextmanager
async def open_live_news(
    feeds: int, rng: random.Random, folder: Path, client: Mapping[str, str]
) -> AsyncIterator[LiveNews | None]:
    """Serves a newsroom with that many feeds, and writes their list to ``folder``; yields None for no feeds.

    Args:
        client: how an independent client reaches the broker.
    """
    if not feeds:
        yield None
        return
    with serve_feeds(partial(Newsroom, feeds, rng)) as newsroom:
        newsroom.write_feed_list(folder / FEEDS)
        live_news = LiveNews(newsroom, client)
        try:
            yield live_news
        finally:
            await live_news.stop_publishing()
