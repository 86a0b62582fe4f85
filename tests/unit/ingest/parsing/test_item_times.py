"""Publication times are parsed in the forms that publishers use; the clock of ingest never goes back or stops."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from riskwire.ingest.parsing.formats import Limits
from riskwire.ingest.parsing.items import FeedItem, parse_document

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def items_of_feed(*dates: str) -> list[FeedItem]:
    """Returns the items of an RSS document with one item for each date."""
    items = "".join(
        f"<item><title>Title {n}</title><link>https://e.example/{n}</link><pubDate>{date}</pubDate></item>"
        for n, date in enumerate(dates)
    )
    body = f'<rss version="2.0"><channel>{items}</channel></rss>'.encode()
    result = parse_document(
        body, "", "https://e.example/", source="s", feed_format="auto", limits=Limits(), min_confidence=0.5
    )
    return list(result.items)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tue, 24 Nov 2026 07:00:00 EST", NOON),
        ("Tue, 24 Nov 2026 12:00 GMT", NOON),
        ("24 Nov 2026 15:00:00 +0300", NOON),
        ("Tue, 24 Nov 26 12:00:00 UT", NOON),
        ("2026-11-24T12:00:00Z", NOON),
        ("1795521600", NOON),
        ("2026/11/24 12:00:00", NOON),
        ("24/11/26 um zwölf", None),
        ("Thu, 01 Jan 1970 00:00:00 +0000", None),
        ("31 Dec 1994 23:59:59 GMT", None),
        ("Tue, 24 Nov 2026 12:00:00 +9999999999999999999", None),
        ("Tue, 24 Nov 99999999999999 12:00:00 GMT", None),
        ("9999-12-31T23:59:59-14:00", None),
    ],
)
def test_the_date_of_an_item_is_its_true_time_or_unknown(text: str, expected: datetime | None) -> None:
    (item,) = items_of_feed(text)
    assert (item.published_at, item.stated_date) == (expected, text)


def test_a_date_with_day_and_month_is_read_in_the_order_that_the_feed_shows() -> None:
    first, second = items_of_feed("07/11/2026 10:00", "24/11/2026 12:00")
    assert (first.published_at, second.published_at) == (datetime(2026, 11, 7, 10, tzinfo=UTC), NOON)
    (alone,) = items_of_feed("07/11/2026 10:00")
    assert alone.published_at is None


def test_the_time_of_the_last_change_replaces_a_date_that_cannot_be_read() -> None:
    body = """{"version": "https://jsonfeed.org/version/1.1", "items": [
        {"id": "1", "title": "x", "date_published": "soon", "date_modified": 1795521600},
        {"id": "2", "title": "y", "date_published": "1970-01-01", "date_modified": "2026-11-24T12:00:00Z"},
        {"id": "3", "title": "z", "date_modified": "never"}]}"""
    items = parse_document(
        body.encode(), "", "https://e.example/", source="s", feed_format="auto", limits=Limits(), min_confidence=0.5
    ).items
    assert [(item.published_at, item.stated_date) for item in items] == [
        (NOON, "1795521600"),
        (NOON, "2026-11-24T12:00:00Z"),
        (None, "never"),
    ]
