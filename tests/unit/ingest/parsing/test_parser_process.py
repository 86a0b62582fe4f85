"""Documents that eat time or memory cost one document, nothing else."""

from __future__ import annotations

import asyncio
import time

import pytest

from riskwire.errors import FeedError
from riskwire.ingest.fetching.fetch import FetchedDocument, Validators
from riskwire.ingest.parsing.parser import DocumentParser
from riskwire.records import Feed
from riskwire.settings import IngestSettings

FEED = Feed(id="a", url="https://a.example/feed")
RSS = b'<rss version="2.0"><channel><item><title>%s</title></item></channel></rss>'
GOOD = b'<rss version="2.0"><channel><item><title>Globex falls</title><link>https://a.example/1</link></item></channel></rss>'
SLOW = (
    b'<rss version="2.0"><channel><item><title '
    + b" ".join(b'a%d="1"' % n for n in range(60_000))
    + b">x</title></item></channel></rss>"
)


def document(body: bytes) -> FetchedDocument:
    return FetchedDocument(body, "application/rss+xml", FEED.url, Validators())


async def test_documents_are_read_in_another_process_in_any_order() -> None:
    async with DocumentParser(IngestSettings()) as reader:
        readings = await asyncio.gather(
            *(reader.parse(FEED, document(GOOD.replace(b"1<", b"%d<" % n))) for n in range(5))
        )
        assert [reading.items[0].url for reading in readings] == [f"https://a.example/{n}" for n in range(5)]
        with pytest.raises(FeedError, match="HTML page"):
            await reader.parse(FEED, document(b"<html><body>no</body></html>"))
        assert (await reader.parse(FEED, document(GOOD))).items[0].title == "Globex falls"


async def test_a_document_that_burns_time_is_given_up_and_the_next_is_read() -> None:
    async with DocumentParser(IngestSettings(read_timeout_s=1.0)) as reader:
        await reader.parse(FEED, document(GOOD))
        began = time.monotonic()
        with pytest.raises(FeedError, match="could not be parsed within 1 s"):
            await reader.parse(FEED, document(SLOW))
        assert time.monotonic() - began < 10
        assert (await reader.parse(FEED, document(GOOD))).items[0].title == "Globex falls"


async def test_a_document_that_eats_memory_is_given_up_and_the_next_is_read() -> None:
    greedy = b'{"version": "https://jsonfeed.org/version/1", "items": [' + b"{}," * 8_000_000 + b"{}]}"
    async with DocumentParser(IngestSettings(read_memory_mb=512)) as reader:
        with pytest.raises(FeedError, match=r"memory|parser process died"):
            await reader.parse(FEED, document(greedy))
        assert (await reader.parse(FEED, document(GOOD))).items[0].title == "Globex falls"


async def test_entities_that_multiply_stay_within_the_limits() -> None:
    bomb = b'<!DOCTYPE r [<!ENTITY a "' + b"x" * 500_000 + b'">]>' + RSS % (b"&a;" * 90)
    async with DocumentParser(IngestSettings(read_memory_mb=512)) as reader:
        try:
            reading = await reader.parse(FEED, document(bomb))
        except FeedError:
            return
        assert sum(len(item.title) + len(item.text) for item in reading.items) <= 21_000


async def test_a_read_that_is_cancelled_leaves_no_answer_behind_for_the_next() -> None:
    async with DocumentParser(IngestSettings()) as reader:
        await reader.parse(FEED, document(GOOD))
        slow = asyncio.create_task(reader.parse(FEED, document(SLOW)))
        await asyncio.wait({slow}, timeout=0.2)
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        assert (await reader.parse(FEED, document(GOOD))).items[0].title == "Globex falls"
