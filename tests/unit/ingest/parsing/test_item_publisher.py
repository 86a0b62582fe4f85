"""An item of an aggregator's feed has the publisher that wrote it, and every other item that of its page."""

from __future__ import annotations

import json

import pytest

from riskwire.ingest.parsing.formats import Limits
from riskwire.ingest.parsing.items import FeedItem, parse_document
from riskwire.ingest.parsing.publisher import MAX_PUBLISHER

RSS = '<rss version="2.0"><channel><title>Aggregator</title><link>https://agg.example/</link>{}</channel></rss>'
ITEM = "<item><title>Acme sued over unit {0}</title><link>{1}</link>{2}</item>"
ATOM = (
    '<feed xmlns="http://www.w3.org/2005/Atom"><id>urn:agg</id><title>Aggregator</title><updated>2026-11-30T02:30:53Z'
    '</updated><entry><id>urn:1</id><title>Acme sued over unit</title><link href="https://agg.example/1"/><updated>'
    "2026-11-30T02:30:53Z</updated>{}</entry></feed>"
)


def parsed(document: str) -> tuple[FeedItem, ...]:
    """Returns the items of a feed with the id `aggregator`."""
    return parse_document(
        document.encode(),
        "",
        "https://agg.example/feed",
        source="aggregator",
        feed_format="auto",
        limits=Limits(),
        min_confidence=0.5,
    ).items


@pytest.mark.parametrize(
    ("link", "source", "publisher"),
    [
        ("https://agg.example/1", '<source url="https://www.paper.example/feed">The Paper</source>', "The Paper"),
        ("https://agg.example/1", '<source url="https://www.paper.example/feed"></source>', "paper.example"),
        ("https://agg.example/1", "<source>  The\n <![CDATA[<b>Paper</b>]]> </source>", "The Paper"),
        ("https://www.paper.example/1", "", "paper.example"),
        ("https://[broken/1", "", ""),
        ("", "", ""),
    ],
    ids=["name", "address", "markup", "page", "broken-link", "nothing"],
)
def test_the_publisher_of_an_rss_item_is_its_source_or_the_host_of_its_page(
    link: str, source: str, publisher: str
) -> None:
    (item,) = parsed(RSS.format(ITEM.format(1, link, source)))
    assert item.publisher == publisher


@pytest.mark.parametrize(
    ("source", "publisher"),
    [
        ("<source><id>urn:p</id><title>The Paper</title></source>", "The Paper"),
        ('<source><id>urn:p</id><link href="https://www.paper.example/"/></source>', "paper.example"),
        ("", "agg.example"),
    ],
    ids=["name", "address", "page"],
)
def test_the_publisher_of_an_atom_entry_is_its_source_or_the_host_of_its_page(source: str, publisher: str) -> None:
    (item,) = parsed(ATOM.format(source))
    assert item.publisher == publisher


def test_the_publisher_of_a_json_feed_item_is_the_host_of_its_page() -> None:
    item = {"id": "1", "url": "https://www.paper.example/1", "title": "Acme sued over unit"}
    feed = {"version": "https://jsonfeed.org/version/1.1", "title": "Aggregator", "items": [item]}
    assert [item.publisher for item in parsed(json.dumps(feed))] == ["paper.example"]


def test_the_publisher_is_one_short_line() -> None:
    (item,) = parsed(RSS.format(ITEM.format(1, "https://agg.example/1", f"<source>{'Paper &#10; ' * 100}</source>")))
    assert 0 < len(item.publisher) <= MAX_PUBLISHER
    assert item.publisher.isprintable()
