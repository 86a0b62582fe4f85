"""Names the publisher of an item. An aggregator's feed has items of many publishers. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

from riskwire.ingest.parsing.clean import clean_text
from riskwire.ingest.parsing.feed_document import FeedEntry
from riskwire.ingest.parsing.identity import page_of

MAX_PUBLISHER = 100


def publisher_of(entry: FeedEntry) -> str:
    """Returns the publisher of an entry, or an empty string.

    This is the name of its source (RSS and Atom `source`, `news:name` of a sitemap), else the host of the source's
    address, else the host of its page.
    """
    return publisher_name(entry.outlet) or host_of(entry.outlet_url) or host_of(page_of(entry))


def publisher_name(text: str) -> str:
    """Returns the name of a publisher as one line of plain text, at most `MAX_PUBLISHER` characters."""
    return clean_text(text, MAX_PUBLISHER).replace("\n", " ")


def host_of(url: str) -> str:
    """Returns the host of an address without `www.`; empty if the address is not valid."""
    try:
        return (urlsplit(url.strip()).hostname or "").removeprefix("www.")[:MAX_PUBLISHER]
    except ValueError:
        return ""
