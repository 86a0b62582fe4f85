"""News that is too large for the brokers is published shortened, by ingest and by a replay; nothing else is touched."""

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
from faults import seeded
from feedserver import Publisher, link, publishing

from riskwire.bus.kafka.bus import KafkaBus
from riskwire.bus.kafka.topics import create_topics
from riskwire.ingest.feeds.publication import publish_feeds
from riskwire.ingest.replay.run import replay
from riskwire.ingest.stage import run_ingest
from riskwire.pipeline import Topic
from riskwire.records import ARTICLES, Article, Feed
from riskwire.settings import BusSettings, IngestSettings, KafkaSettings, Settings

pytestmark = pytest.mark.needs_kafka

_NUMBERS = itertools.count()
MOST = 100_000
"""What the topics take; the settings of who writes say more."""
LARGE = 2
"""The item whose text is several times that, however well it is packed."""


def text(chance: random.Random) -> str:
    """Words that hardly pack."""
    return " ".join("".join(chance.choices(string.ascii_letters + " ", k=3 * MOST)).split())


class Wordy(Publisher):
    """A publisher one of whose items is very long."""

    long = ""

    def body(self, feed: str, items: list[int]) -> bytes:
        told = f"<link>{link(feed, LARGE)}</link>"
        return (
            super().body(feed, items).replace(told.encode(), f"{told}<description>{self.long}</description>".encode())
        )


@pytest.fixture
async def opened(kafka_broker: Broker, tmp_path: Path) -> AsyncIterator[tuple[KafkaBus, Settings]]:
    kafka = KafkaSettings(prefix=f"oversized{next(_NUMBERS)}-", partitions=1, max_record_bytes=MOST)
    bus_settings = BusSettings(url=kafka_broker.url)
    await create_topics(bus_settings, kafka)
    more = kafka.model_copy(update={"max_record_bytes": 4_000_000})
    ingest = IngestSettings(max_text=3 * MOST, allow_private_hosts=("127.0.0.1",), tick_s=3_600)
    bus = await KafkaBus.open(bus_settings, more)
    yield bus, Settings(data=tmp_path, bus=bus_settings, kafka=more, ingest=ingest)
    await bus.close()


async def published(bus: KafkaBus) -> list[Article]:
    records = [ARTICLES.validate_json(one.value) for one in await bus.read(Topic.ARTICLES, 0, 0, 10_000)]
    return [one for one in records if isinstance(one, Article)]


def check(found: list[Article], long: str) -> None:
    assert [one.cut for one in found] == [one.url.endswith(f"/{LARGE}") for one in found]
    (cut,) = [one for one in found if one.cut]
    assert long.startswith(cut.text)
    assert MOST / 4 < len(cut.text) < MOST * 2, "no more is left out than must"


async def test_an_item_of_a_feed_that_is_too_large_comes_out_shortened(opened: tuple[KafkaBus, Settings]) -> None:
    bus, settings = opened
    with publishing(Wordy) as publisher:
        publisher.long = text(seeded())
        publisher.publish("wires", 0, 1, LARGE, 3)
        await publish_feeds(bus, [Feed(id="wires", url=publisher.url("wires"))])
        polling = asyncio.create_task(run_ingest(bus, settings))
        try:
            async with asyncio.timeout(90):
                while len(found := await published(bus)) < 4:
                    assert not polling.done(), polling
                    await asyncio.sleep(0.2)
        finally:
            polling.cancel()
            await asyncio.gather(polling, return_exceptions=True)
    check(found, publisher.long)
    assert await bus.ends(Topic.DEAD_LETTERS) == [0]


async def test_a_line_of_an_archive_that_is_too_large_comes_out_shortened(
    opened: tuple[KafkaBus, Settings], tmp_path: Path
) -> None:
    bus, settings = opened
    long = text(seeded())
    begin = datetime(2009, 1, 1, tzinfo=UTC)
    rows = [
        {
            "published_at": (begin + timedelta(minutes=n)).isoformat(),
            "title": f"Globex closes plant number {n}",
            "url": f"https://news.example/{n}",
            "text": long if n == LARGE else "It was said on Thursday.",
        }
        for n in range(6)
    ]
    path = tmp_path / "news.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    report = await replay(bus, path, settings)
    assert (report.stories, report.published, report.bad) == (6, 6, 0)
    found = await published(bus)
    assert [one.url for one in found] == [row["url"] for row in rows]
    check(found, long)
    assert await bus.ends(Topic.DEAD_LETTERS) == [0]
    assert (await replay(bus, path, settings)).nothing_new
