"""From the bytes of a feed document to its items as the publisher wrote them. Pure; runs in the reader process.

feedparser reads RSS and Atom, `jsonfeed` reads JSON Feed, `sitemap` reads Google-News sitemaps.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from time import struct_time
from typing import Any

import feedparser

from riskwire.errors import FeedError
from riskwire.ingest.parsing import jsonfeed, sitemap
from riskwire.ingest.parsing.entry import Entry, FeedDocument
from riskwire.ingest.parsing.times import from_text

FORMATS_OF = {"rss": ("rss",), "rdf": ("rss",), "atom": ("atom",), "json": ("json",), "sitemap": ("sitemap",)}
"""What the version of a document starts with, for each `format` of a feed."""

_HEAD = 65_536
_ROOT = re.compile(r"<(?:[\w.-]+:)?(urlset|sitemapindex|rss|feed|rdf|channel|html)\b", re.I)
_MAX_TTL_S = 86_400


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what is read of one document."""

    entries: int = 2_000
    text: int = 20_000
    bytes: int = 10_000_000


def parse(body: bytes, content_type: str, url: str, form: str = "auto", limits: Limits = Limits()) -> FeedDocument:
    """Parse a document; of one that breaks off, the entries before the break are kept.

    Raises:
        FeedError: it is not a feed, or not of the format that the feed list says.
    """
    body = _inflated(body, url, limits.bytes)
    if not body.strip():
        raise FeedError("the document is empty", where=url)
    root = _root_of(body)
    if root == "json":
        document = jsonfeed.parse(body, url, limits.entries)
    elif root == "urlset":
        document = sitemap.parse(body, url, limits.entries)
    elif root == "sitemapindex":
        raise FeedError("an index of sitemaps, not a sitemap", where=url, do="Poll one of the sitemaps it names")
    else:
        document = _syndicated(body, content_type, url, limits.entries)
    if form != "auto" and not document.version.startswith(FORMATS_OF[form]):
        raise FeedError(
            f"the feed list says {form}, the document is {document.version}", where=url, do="Set `format: auto`"
        )
    return document


def _inflated(body: bytes, url: str, most: int) -> bytes:
    """The content of a document that is itself a gzip file (`sitemap.xml.gz`)."""
    if not body.startswith(b"\x1f\x8b"):
        return body
    inflater = zlib.decompressobj(wbits=31)
    try:
        content = inflater.decompress(body, most + 1)
    except zlib.error as error:
        raise FeedError("a damaged gzip file", where=url) from error
    if len(content) > most:
        raise FeedError(f"a gzip file of more than {most} bytes", where=url)
    return content


def _root_of(body: bytes) -> str:
    head = body[:_HEAD]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = head.decode("utf-16", "replace")
    else:
        text = head.decode("latin-1").removeprefix("\xef\xbb\xbf")
    if text.lstrip()[:1] == "{":
        return "json"
    found = _ROOT.search(text)
    return found[1].lower() if found else ""


def _syndicated(body: bytes, content_type: str, url: str, most: int) -> FeedDocument:
    # A stream, never the bytes themselves: feedparser takes those for the name of a file and opens it.
    headers = {"content-type": content_type or "application/xml", "content-location": url}
    try:
        parsed = feedparser.parse(
            io.BytesIO(body), response_headers=headers, sanitize_html=False, resolve_relative_uris=False
        )
    except Exception as error:
        raise FeedError("the document cannot be parsed", where=url) from error
    version = str(parsed.get("version") or "")
    if not version:
        kind = "an HTML page" if _root_of(body) == "html" else "not a feed"
        raise FeedError(f"the document is {kind} ({content_type or 'no content type'})", where=url)
    entries = tuple(_entry(each) for each in parsed.entries[:most])
    return FeedDocument(
        version=version,
        entries=entries,
        language=_text(parsed.feed, "language"),
        home=_text(parsed.feed, "link"),
        fresh_s=_ttl_s(parsed.feed),
        dropped=max(0, len(parsed.entries) - most),
        fault=_fault(parsed),
    )


def _fault(parsed: Any) -> str:
    error = parsed.get("bozo_exception")
    if not parsed.get("bozo") or isinstance(error, feedparser.CharacterEncodingOverride | feedparser.NonXMLContentType):
        return ""
    return f"{type(error).__name__}: {error}"[:300]


def _entry(each: Any) -> Entry:
    source = each.get("source")
    return Entry(
        guid=_text(each, "id"),
        link=_text(each, "link"),
        origin=_text(each, "feedburner_origlink"),
        title=_text(each, "title"),
        bodies=tuple(text for text in (_text(each, "summary"), *_contents(each)) if text),
        published=_moment(each, "published") or _moment(each, "updated") or _moment(each, "created"),
        outlet=_text(source, "title") if isinstance(source, Mapping) else "",
        language=_language(each),
    )


def _contents(each: Any) -> list[str]:
    contents = each.get("content")
    if not isinstance(contents, list):
        return []
    texts = (
        _text(part, "value") for part in contents if not str(part.get("type", "")).startswith(("image/", "audio/"))
    )
    return [text for text in texts if text]


def _language(each: Any) -> str:
    for part in ("title_detail", "summary_detail"):
        detail = each.get(part)
        if isinstance(detail, Mapping) and detail.get("language"):
            return str(detail["language"])
    return _text(each, "language")


def _text(record: Any, key: str) -> str:
    value = record.get(key) if record is not None else None
    return value if isinstance(value, str) else ""


def _moment(each: Any, key: str) -> datetime | None:
    # feedparser's own get() takes `published` for a missing `updated`, and warns
    parts = dict.get(each, f"{key}_parsed")
    if isinstance(parts, struct_time):
        try:
            return datetime(*parts[:5], min(parts.tm_sec, 59), tzinfo=UTC)
        except ValueError:
            return None
    written = dict.get(each, key)
    return from_text(written) if isinstance(written, str) else None


def _ttl_s(channel: Any) -> int:
    """RSS `ttl` (minutes), bounded to a day."""
    ttl = _text(channel, "ttl").strip()
    return min(int(ttl) * 60, _MAX_TTL_S) if ttl.isdecimal() and len(ttl) < 7 else 0
