"""Turns a parsed document into clean, identified items. Pure; runs in the parser process."""

from __future__ import annotations

import re

from pydantic import Field

from riskwire.ingest.dates.entries import read_dates
from riskwire.ingest.parsing.clean import clean_text, clean_title, title_from, without_title
from riskwire.ingest.parsing.feed_document import FeedDocument, FeedEntry
from riskwire.ingest.parsing.formats import Limits, parse
from riskwire.ingest.parsing.identity import identify, page_of
from riskwire.ingest.parsing.language import detect
from riskwire.ingest.parsing.publisher import publisher_of
from riskwire.records import Record, Utc, content_id

_TICKER = re.compile(r"[A-Z]{2,12}:[A-Z0-9][A-Z0-9.-]{0,11}")
_CONTENT_HASH = 16
"""Characters of a content hash."""


class FeedItem(Record):
    """One item of a document, ready to become an article.

    Attributes:
        id: identifies it in its document; the item memory may give the article another of its names.
        names: its names (`identity.py`); the first is the same in most feeds.
        guid: a mark of its guid; empty if it has none that identifies it.
        content: the hash of title and text; a new hash makes a new version.
        publisher: the publisher that the entry names, otherwise the host of its page; empty without both.
        language: ISO 639-1 code, or None if it is unknown.
        published_at: when it was published; None if it has no date that can be read.
        published_by: the latest time that its date may mean, if that is later than `published_at`.
        stated_date: its date as the publisher wrote it; empty without one.
    """

    id: str
    content: str
    url: str
    publisher: str = ""
    title: str
    text: str
    language: str | None
    published_at: Utc | None
    published_by: Utc | None = None
    stated_date: str = ""
    names: tuple[str, ...] = ()
    guid: str = ""


class ParseResult(Record):
    """The items of one document.

    Attributes:
        version: format and version of the document.
        skipped: the number of entries that became no item, by reason.
        fresh_s: how long the document says that it stays fresh; 0 if it does not say.
        fault: what is wrong with a document of which only a part could be parsed; empty otherwise.
        repairs: what was wrong with the document and was repaired, in words.
    """

    version: str
    items: tuple[FeedItem, ...]
    skipped: dict[str, int] = Field(default_factory=dict)
    fresh_s: int = 0
    fault: str = ""
    repairs: tuple[str, ...] = ()


def parse_document(
    body: bytes, content_type: str, url: str, *, source: str, feed_format: str, limits: Limits, min_confidence: float
) -> ParseResult:
    """Returns the cleaned and identified items of a feed document.

    Args:
        source: the feed, which is part of the id of items without a URL.
        feed_format: the `format` of the feed record; a document of another format is an error.
        limits: bounds of a document: its entries, bytes and the characters of a text.
        min_confidence: the least probability of a language; below it the language is unknown.

    Raises:
        FeedError: the document is not a feed.
    """
    return items_of(parse(body, content_type, url, feed_format, limits), source, limits, min_confidence)


def items_of(document: FeedDocument, source: str, limits: Limits, min_confidence: float) -> ParseResult:
    """Cleans and identifies the items of a parsed document.

    `skipped` of the result counts entries without an item: `unread` by the parser, `empty` of title and text, or
    `repeated` (an item that occurs twice is kept once).

    Args:
        source: the feed or archive source, which is part of some ids.
        limits: `text` is the most characters of an item's text.
        min_confidence: the least probability of a language; below it the language is unknown.
    """
    texts = [clean_entry(entry, limits.text) for entry in document.entries]
    identities = identify(
        document.entries, source, ["\n".join(title_and_text) for title_and_text in texts], document.home
    )
    dates = read_dates([entry.dates for entry in document.entries])
    items: dict[str, FeedItem] = {}
    skipped = {"unread": document.dropped} if document.dropped else {}
    for entry, (title, text), identity, date in zip(document.entries, texts, identities, dates, strict=True):
        if not title:
            skipped["empty"] = skipped.get("empty", 0) + 1
            continue
        if identity.id in items:
            skipped["repeated"] = skipped.get("repeated", 0) + 1
            continue
        declared = entry.language or document.language
        items[identity.id] = FeedItem(
            id=identity.id,
            names=identity.names,
            guid=identity.guid,
            content=content_id(title, text)[:_CONTENT_HASH],
            url=page_of(entry),
            publisher=publisher_of(entry),
            title=title,
            text=text,
            language=detect(title, text, declared=declared, min_confidence=min_confidence),
            published_at=date.time.moment if date.time else None,
            published_by=date.time.latest if date.time else None,
            stated_date=date.text,
        )
    return ParseResult(
        version=document.version,
        items=tuple(items.values()),
        skipped=skipped,
        fresh_s=document.fresh_s,
        fault=document.fault,
        repairs=document.repairs,
    )


def clean_entry(entry: FeedEntry, max_text: int) -> tuple[str, str]:
    """Returns the clean title and text of an entry; the title is empty only if the entry has no text either.

    The text is the longest body. A missing title is made from the beginning of the text. A text that is missing or only
    repeats the title is replaced by the title with the tickers; without tickers it is empty.
    """
    title = clean_title(entry.title, entry.outlet)
    text = max((clean_text(body, max_text) for body in entry.bodies), key=len, default="")
    if not title:
        return title_from(text)
    return title, without_title(text, title, entry.outlet) or _text_from_tickers(title, entry.tickers)


def _text_from_tickers(title: str, tickers: tuple[str, ...]) -> str:
    """Returns a text for a sitemap entry, which has none: the title with the tickers, in the form that wires use.

    `Chip maker sinks (NASDAQ: INTC)`; empty without tickers.
    """
    symbols = [ticker.replace(":", ": ") for ticker in tickers if _TICKER.fullmatch(ticker)]
    return " ".join([title, *(f"({symbol})" for symbol in symbols)]) if symbols else ""
