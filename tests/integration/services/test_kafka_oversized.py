"""Articles that are too large for the brokers are shortened, by ingest and by a replay; others are unchanged."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import string
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from broker import Broker
from faults import seeded_random
from feeds.feed_server import FeedServer, item_url, serve_feeds

from riskwire.bus.kafka.bus import KafkaBus
from riskwire.bus.kafka.topics import create_topics
from riskwire.ingest.feeds.publication import publish_feeds
from riskwire.ingest.replay.run import replay
from riskwire.ingest.stage import IngestStage
from riskwire.pipeline import Topic
from riskwire.records import ARTICLES, Article, Feed
from riskwire.settings import BusSettings, IngestSettings, KafkaSettings, Settings
from riskwire.stage import run_stage

pytestmark = pytest.mark.needs_kafka

_NUMBERS = itertools.count()
MAX_BYTES = 100_000
"""The record limit of the topics. The settings of the writers allow more."""
LARGE = 2
"""The number of the item whose text is several times the limit, even compressed."""


def incompressible_text(rng: random.Random) -> str:
    """Returns random letters with single spaces, several times `MAX_BYTES` in all, which hardly compress."""
    return " ".join("".join(rng.choices(string.ascii_letters + " ", k=3 * MAX_BYTES)).split())


class LongItemPublisher(FeedServer):
    """A publisher of feeds with one very long item."""

    long_text = ""

    def body(self, feed: str, items: list[int]) -> bytes:
        element = f"<link>{item_url(feed, LARGE)}</link>"
        described = f"{element}<description>{self.long_text}</description>"
        return super().body(feed, items).replace(element.encode(), described.encode())


@pytest.fixture
async def opened(kafka_broker: Broker, tmp_path: Path) -> AsyncIterator[tuple[KafkaBus, Settings]]:
    """A bus on topics that take records of up to `MAX_BYTES`, and settings whose own limits are far above."""
    kafka = KafkaSettings(prefix=f"oversized{next(_NUMBERS)}-", partitions=1, max_record_bytes=MAX_BYTES)
    bus_settings = BusSettings(url=kafka_broker.url)
    await create_topics(bus_settings, kafka)
    writer = kafka.model_copy(update={"max_record_bytes": 4_000_000})
    ingest = IngestSettings(max_text=3 * MAX_BYTES, allow_private_hosts=("127.0.0.1",), tick_s=3_600)
    bus = await KafkaBus.open(bus_settings, writer)
    yield bus, Settings(data=tmp_path, bus=bus_settings, kafka=writer, ingest=ingest)
    await bus.close()


async def published_articles(bus: KafkaBus) -> list[Article]:
    records = [ARTICLES.validate_json(message.value) for message in await bus.read(Topic.ARTICLES, 0, 0, 10_000)]
    return [record for record in records if isinstance(record, Article)]


def assert_only_the_large_one_is_cut(articles: list[Article], long_text: str) -> None:
    """Checks that the article of `LARGE`, and no other, is marked as cut and has the beginning of its text."""
    assert [article.cut for article in articles] == [article.url.endswith(f"/{LARGE}") for article in articles]
    (cut,) = [article for article in articles if article.cut]
    assert long_text.startswith(cut.text)
    assert MAX_BYTES / 4 < len(cut.text) < MAX_BYTES * 2, "no more is cut than necessary"


async def test_a_large_item_of_a_feed_is_published_shortened(opened: tuple[KafkaBus, Settings]) -> None:
    """The feed has four items, one of which is too large. Ingest publishes all, and writes no dead letter."""
    bus, settings = opened
    with serve_feeds(LongItemPublisher) as publisher:
        publisher.long_text = incompressible_text(seeded_random())
        publisher.publish("wires", 0, 1, LARGE, 3)
        await publish_feeds(bus, [Feed(id="wires", url=publisher.url("wires"))])
        stage = IngestStage(settings, bus.partitions(Topic.ARTICLES))
        polling = asyncio.create_task(run_stage(bus, stage, batch=settings.bus.batch))
        try:
            async with asyncio.timeout(90):
                while len(articles := await published_articles(bus)) < 4:
                    assert not polling.done(), polling
                    await asyncio.sleep(0.2)
        finally:
            polling.cancel()
            await asyncio.gather(polling, return_exceptions=True)
    assert_only_the_large_one_is_cut(articles, publisher.long_text)
    assert await bus.ends(Topic.DEAD_LETTERS) == [0]


async def test_a_large_line_of_an_archive_is_published_shortened(
    opened: tuple[KafkaBus, Settings], tmp_path: Path
) -> None:
    """The archive has six lines, one of which is too large. The replay publishes all, and nothing when repeated."""
    bus, settings = opened
    long_text = incompressible_text(seeded_random())
    start = datetime(2009, 1, 1, tzinfo=UTC)
    rows = [
        {
            "published_at": (start + timedelta(minutes=number)).isoformat(),
            "title": f"Globex closes plant number {number}",
            "url": f"https://news.example/{number}",
            "text": long_text if number == LARGE else "It was said on Thursday.",
        }
        for number in range(6)
    ]
    path = tmp_path / "news.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    report = await replay(bus, path, settings)
    assert (report.stories, report.published, report.bad) == (6, 6, 0)
    articles = await published_articles(bus)
    assert [article.url for article in articles] == [row["url"] for row in rows]
    assert_only_the_large_one_is_cut(articles, long_text)
    assert await bus.ends(Topic.DEAD_LETTERS) == [0]
    assert (await replay(bus, path, settings)).nothing_new
