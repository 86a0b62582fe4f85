"""From a parsed document to clean, identified items. Pure; runs in the reader process."""

from __future__ import annotations

import re

from pydantic import Field

from riskwire.ingest.parsing.clean import clean_text, clean_title, title_from, without_title
from riskwire.ingest.parsing.documents import Limits, parse
from riskwire.ingest.parsing.entry import Entry, FeedDocument
from riskwire.ingest.parsing.identity import identify, page_of
from riskwire.ingest.parsing.language import detect
from riskwire.records import Record, Utc, content_id

_TICKER = re.compile(r"[A-Z]{2,12}:[A-Z0-9][A-Z0-9.-]{0,11}")


class Item(Record):
    """One item of a document, ready to become an article."""

    id: str
    content: str
    """Hash of title and text: a new one makes a new version."""
    url: str
    title: str
    text: str
    language: str | None
    published_at: Utc | None


class Reading(Record):
    """All that was read of one document."""

    version: str
    items: tuple[Item, ...]
    skipped: dict[str, int] = Field(default_factory=dict)
    """Entries that became no item, by reason."""
    fresh_s: int = 0
    fault: str = ""


def read_document(
    body: bytes, content_type: str, url: str, *, source: str, form: str, limits: Limits, min_confidence: float
) -> Reading:
    """Parse, clean, identify.

    Raises:
        FeedError: the document is not a feed.
    """
    return read_entries(parse(body, content_type, url, form, limits), source, limits, min_confidence)


def read_entries(document: FeedDocument, source: str, limits: Limits, min_confidence: float) -> Reading:
    """Items of a parsed document; an item that stands in it twice is kept once."""
    cleaned = [words_of(entry, limits.text) for entry in document.entries]
    ids = identify(document.entries, source, ["\n".join(words) for words in cleaned], document.home)
    items: dict[str, Item] = {}
    skipped = {"unread": document.dropped} if document.dropped else {}
    for entry, (title, text), key in zip(document.entries, cleaned, ids, strict=True):
        if not title:
            skipped["empty"] = skipped.get("empty", 0) + 1
            continue
        if key in items:
            skipped["repeated"] = skipped.get("repeated", 0) + 1
            continue
        declared = entry.language or document.language
        items[key] = Item(
            id=key,
            content=content_id(title, text)[:16],
            url=page_of(entry),
            title=title,
            text=text,
            language=detect(title, text, declared=declared, min_confidence=min_confidence),
            published_at=entry.published,
        )
    return Reading(
        version=document.version,
        items=tuple(items.values()),
        skipped=skipped,
        fresh_s=document.fresh_s,
        fault=document.fault,
    )


def words_of(entry: Entry, most: int) -> tuple[str, str]:
    """Clean title and text of an entry; both empty where it says nothing."""
    title = clean_title(entry.title, entry.outlet)
    text = max((clean_text(body, most) for body in entry.bodies), key=len, default="")
    if not title:
        return title_from(text)
    return title, without_title(text, title, entry.outlet) or _with_tickers(title, entry.tickers)


def _with_tickers(title: str, tickers: tuple[str, ...]) -> str:
    """A sitemap's tickers, as wires write them: `Chip maker sinks (NASDAQ: INTC)`; the text of an item without one."""
    named = [ticker.replace(":", ": ") for ticker in tickers if _TICKER.fullmatch(ticker)]
    return " ".join([title, *(f"({each})" for each in named)]) if named else ""
