"""Parses RSS 0.9x, 1.0 and 2.0, and Atom, with feedparser."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import feedparser

from riskwire.errors import FeedError
from riskwire.ingest.parsing.feed_document import FeedDocument, FeedEntry

_MAX_TTL_S = 86_400
_MAX_TTL_DIGITS = 6
_MAX_FAULT = 300
_MEDIA_TYPES = ("image/", "audio/")


def parse(text: str, content_type: str, url: str, max_entries: int, *, is_html: bool) -> FeedDocument:
    """Returns the entries of an RSS or Atom document, and the properties of its feed.

    Args:
        text: the document, as `repair_xml` returns it.
        content_type: the header `Content-Type`, for the error message.
        max_entries: the most entries that are returned; the others are counted as dropped.
        is_html: whether the document looks like HTML, for the error message.

    Raises:
        FeedError: feedparser fails, or recognises no feed.
    """
    # feedparser opens a file if it gets bytes that are the name of one; therefore it gets a stream.
    # The charset and media type are given, since feedparser would otherwise guess another encoding.
    headers = {"content-type": "application/xml; charset=utf-8", "content-location": url}
    try:
        parsed = feedparser.parse(
            io.BytesIO(text.encode("utf-8", "replace")),
            response_headers=headers,
            sanitize_html=False,
            resolve_relative_uris=False,
        )
    except Exception as error:
        raise FeedError("the document cannot be parsed", where=url) from error
    version = str(parsed.get("version") or "")
    if not version:
        kind = "an HTML page" if is_html else "not a feed"
        raise FeedError(f"the document is {kind} ({content_type or 'no content type'})", where=url)
    return FeedDocument(
        version=version,
        entries=tuple(_entry(entry) for entry in parsed.entries[:max_entries]),
        language=_text(parsed.feed, "language"),
        home=_text(parsed.feed, "link"),
        fresh_s=_ttl_s(parsed.feed),
        dropped=max(0, len(parsed.entries) - max_entries),
        fault=_fault(parsed),
    )


def _fault(parsed: Any) -> str:
    """Returns the parser's complaint, or an empty string; a wrong declaration of the charset or type is harmless.

    Args:
        parsed: the result of feedparser, which sets `bozo` if a document is not well-formed.
    """
    error = parsed.get("bozo_exception")
    if not parsed.get("bozo") or isinstance(error, feedparser.CharacterEncodingOverride | feedparser.NonXMLContentType):
        return ""
    return f"{type(error).__name__}: {error}"[:_MAX_FAULT]


def _entry(entry: Any) -> FeedEntry:
    """Returns an RSS or Atom item, as feedparser parsed it, as an entry. Missing texts are empty."""
    source = entry.get("source")
    return FeedEntry(
        guid=_text(entry, "id"),
        link=_text(entry, "link"),
        original_link=_text(entry, "feedburner_origlink"),
        title=_text(entry, "title"),
        bodies=tuple(text for text in (_text(entry, "summary"), *_contents(entry)) if text),
        dates=_dates(entry),
        outlet=_text(source, "title") if isinstance(source, Mapping) else "",
        outlet_url=_text(source, "href") or _text(source, "link") if isinstance(source, Mapping) else "",
        language=_language(entry),
    )


def _contents(entry: Any) -> list[str]:
    """Returns the texts of an item's content elements, except media such as images and audio."""
    contents = entry.get("content")
    if not isinstance(contents, list):
        return []
    texts = (
        _text(content, "value") for content in contents if not str(content.get("type", "")).startswith(_MEDIA_TYPES)
    )
    return [text for text in texts if text]


def _language(entry: Any) -> str:
    """Returns the language that an RSS or Atom item states, of its title, its summary or the item; empty if none."""
    for key in ("title_detail", "summary_detail"):
        detail = entry.get(key)
        if isinstance(detail, Mapping) and detail.get("language"):
            return str(detail["language"])
    return _text(entry, "language")


def _text(record: Any, key: str) -> str:
    value = record.get(key) if record is not None else None
    return value if isinstance(value, str) else ""


def _dates(entry: Any) -> tuple[str, ...]:
    """Returns the texts of the dates of an item. feedparser's parsed dates are not used, because it guesses."""
    # `dict.get`: feedparser's own `get` returns `published` for a missing `updated`, with a warning.
    texts = (dict.get(entry, key) for key in ("published", "updated", "created"))
    return tuple(text for text in texts if isinstance(text, str) and text)


def _ttl_s(channel: Any) -> int:
    """Returns the `ttl` of an RSS channel in seconds (the document gives minutes), at most a day; 0 without one."""
    ttl = _text(channel, "ttl").strip()
    return min(int(ttl) * 60, _MAX_TTL_S) if ttl.isdecimal() and len(ttl) <= _MAX_TTL_DIGITS else 0
