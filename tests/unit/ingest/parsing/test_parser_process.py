"""A document that uses too much time or memory fails alone; the documents after it are parsed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

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
    + b" ".join(b'a%d="1"' % number for number in range(60_000))
    + b">x</title></item></channel></rss>"
)
"""feedparser needs minutes for so many attributes."""
LARGE = b'{"version": "https://jsonfeed.org/version/1", "items": [' + b"{}," * 8_000_000 + b"{}]}"


def document(body: bytes) -> FetchedDocument:
    return FetchedDocument(body, "application/rss+xml", FEED.url, Validators())


async def title_of(parser: DocumentParser, body: bytes) -> str:
    return (await parser.parse(FEED, document(body))).items[0].title


@pytest.fixture
async def parser() -> AsyncIterator[DocumentParser]:
    """A parser with default limits; its process is started with the first document."""
    async with DocumentParser(IngestSettings()) as parser:
        yield parser


async def test_a_document_whose_language_needs_the_model_is_parsed(parser: DocumentParser) -> None:
    """The process may write no file, which the language model does when it is loaded."""
    title = "Акции компании упали после предупреждения о прибыли"
    (item,) = (await parser.parse(FEED, document(RSS % title.encode()))).items
    assert (item.title, item.language) == (title, "ru")


async def test_concurrent_documents_get_their_own_results(parser: DocumentParser) -> None:
    """Five documents with different links are parsed by one process."""
    bodies = [GOOD.replace(b"1<", b"%d<" % number) for number in range(5)]
    results = await asyncio.gather(*(parser.parse(FEED, document(body)) for body in bodies))
    assert [result.items[0].url for result in results] == [f"https://a.example/{number}" for number in range(5)]


async def test_an_error_of_the_parser_process_is_raised_and_the_next_document_is_parsed(
    parser: DocumentParser,
) -> None:
    with pytest.raises(FeedError, match="HTML page"):
        await parser.parse(FEED, document(b"<html><body>no</body></html>"))
    assert await title_of(parser, GOOD) == "Globex falls"


async def test_a_document_that_takes_too_long_fails_and_the_next_is_parsed() -> None:
    """The limit is one second; the parser process is killed and started again."""
    async with DocumentParser(IngestSettings(read_timeout_s=1.0)) as parser:
        await title_of(parser, GOOD)
        started = time.monotonic()
        with pytest.raises(FeedError, match="could not be parsed within 1 s"):
            await parser.parse(FEED, document(SLOW))
        assert time.monotonic() - started < 10
        assert await title_of(parser, GOOD) == "Globex falls"


async def test_a_document_that_needs_too_much_memory_fails_and_the_next_is_parsed() -> None:
    """The limit is 512 MB. The parser reports the lack of memory, or dies of it."""
    async with DocumentParser(IngestSettings(read_memory_mb=512)) as parser:
        with pytest.raises(FeedError, match=r"memory|parser process died"):
            await parser.parse(FEED, document(LARGE))
        assert await title_of(parser, GOOD) == "Globex falls"


async def test_repeated_entities_stay_within_the_limits() -> None:
    """An entity of 500,000 characters is used 90 times. Refusing the document and a bounded result are both right."""
    body = b'<!DOCTYPE r [<!ENTITY a "' + b"x" * 500_000 + b'">]>' + RSS % (b"&a;" * 90)
    async with DocumentParser(IngestSettings(read_memory_mb=512)) as parser:
        try:
            result = await parser.parse(FEED, document(body))
        except FeedError:
            return
        assert sum(len(item.title) + len(item.text) for item in result.items) <= 21_000


async def test_the_answer_of_a_cancelled_request_is_not_returned_to_the_next(parser: DocumentParser) -> None:
    """The first request is cancelled while the process parses its slow document."""
    await title_of(parser, GOOD)
    slow = asyncio.create_task(parser.parse(FEED, document(SLOW)))
    await asyncio.wait({slow}, timeout=0.2)
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow
    assert await title_of(parser, GOOD) == "Globex falls"
