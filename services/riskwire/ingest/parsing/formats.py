"""Detects the format of a feed document and parses it. Pure; runs in the parser process."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

from riskwire.errors import FeedError
from riskwire.ingest.parsing import jsonfeed, rss_atom, sitemap
from riskwire.ingest.parsing.feed_document import FeedDocument

VERSIONS_OF = {"rss": "rss", "rdf": "rss", "atom": "atom", "json": "json", "sitemap": "sitemap"}
"""For each `format` of a feed, how the version of its documents begins."""

_GZIP = b"\x1f\x8b"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_DETECTED_BYTES = 65_536
"""Bytes of a document in which its root element is searched."""
_ROOT = re.compile(r"<(?:[\w.-]+:)?(urlset|sitemapindex|rss|feed|rdf|channel|html)\b", re.I)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a document.

    Attributes:
        entries: the most entries that are parsed.
        text: the most characters of an item's text.
        bytes: the most bytes of a decompressed document.
    """

    entries: int = 2_000
    text: int = 20_000
    bytes: int = 10_000_000


def parse(
    body: bytes, content_type: str, url: str, feed_format: str = "auto", limits: Limits = Limits()
) -> FeedDocument:
    """Returns the entries of a document of any format: JSON feed, news sitemap, RSS or Atom, also as a gzip file.

    If the document is truncated, returns the entries before the end.

    Args:
        feed_format: the `format` of the feed record; a document of another format is an error. `auto` accepts any.

    Raises:
        FeedError: the document is empty, not a feed, not of `feed_format`, or a damaged or too large gzip file.
    """
    body = _decompressed(body, url, limits.bytes)
    if not body.strip():
        raise FeedError("the document is empty", where=url)
    root = _detect_root(body)
    if root == "json":
        document = jsonfeed.parse(body, url, limits.entries)
    elif root == "urlset":
        document = sitemap.parse(body, url, limits.entries)
    elif root == "sitemapindex":
        raise FeedError("an index of sitemaps, not a sitemap", where=url, do="Poll one of the sitemaps it lists")
    else:
        document = rss_atom.parse(body, content_type, url, limits.entries, is_html=root == "html")
    if feed_format != "auto" and not document.version.startswith(VERSIONS_OF[feed_format]):
        raise FeedError(
            f"the feed list says {feed_format}, the document is {document.version}",
            where=url,
            do="Set `format: auto`",
        )
    return document


def _decompressed(body: bytes, url: str, max_bytes: int) -> bytes:
    """Returns the content of a document that is a gzip file (`sitemap.xml.gz`), or the document itself.

    Raises:
        FeedError: the gzip file is damaged, or its content has more than `max_bytes`.
    """
    if not body.startswith(_GZIP):
        return body
    try:
        content = zlib.decompressobj(wbits=31).decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise FeedError("a damaged gzip file", where=url) from error
    if len(content) > max_bytes:
        raise FeedError(f"a gzip file of more than {max_bytes} bytes", where=url)
    return content


def _detect_root(body: bytes) -> str:
    """Returns the kind of a document: the name of its root element in lower case, `json`, or an empty string.

    The root element is the first of a few known names in the beginning of the document.
    """
    beginning = body[:_DETECTED_BYTES]
    if beginning.startswith(_UTF16):
        text = beginning.decode("utf-16", "replace")
    else:
        text = beginning.decode("latin-1").removeprefix("\xef\xbb\xbf")
    if text.lstrip()[:1] == "{":
        return "json"
    match = _ROOT.search(text)
    return match[1].lower() if match else ""
