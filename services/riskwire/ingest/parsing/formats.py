"""Detects the format of a feed document and parses it. Pure; runs in the parser process."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import urljoin, urlsplit

from riskwire.errors import FeedError
from riskwire.ingest.parsing import jsonfeed, rss_atom, sitemap
from riskwire.ingest.parsing.feed_document import FeedDocument, FeedEntry
from riskwire.ingest.parsing.repair.encoding import decode
from riskwire.ingest.parsing.repair.markup import repair_xml

VERSIONS_OF = {"rss": "rss", "rdf": "rss", "atom": "atom", "json": "json", "sitemap": "sitemap"}
"""For each `format` of a feed, how the version of its documents begins."""

_GZIP = b"\x1f\x8b"
_PIECE = 512
"""Bytes of a gzip file that are decompressed at a time."""
_DETECTED = 65_536
"""Characters of a document in which its root element is searched."""
_MAX_REPAIRS = 8
_MAX_REPAIR = 120
"""Characters of a repair, since it may name a prefix of the document."""
_BLANK = " \t\r\n\v\f\0\ufeff"
_SURROGATE = re.compile("[\ud800-\udfff]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}:")
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

    If the document is truncated, returns the entries before the end. What is wrong with its bytes, characters and
    markup is repaired, and named in `repairs`. Relative links are resolved.

    Args:
        feed_format: the `format` of the feed record; a document of another format is an error. `auto` accepts any.

    Raises:
        FeedError: the document is empty, not a feed, not of `feed_format`, or a damaged or too large gzip file.
    """
    body, repairs = _decompressed(body, url, limits.bytes)
    text, decoding_repairs = decode(body, content_type)
    repairs += decoding_repairs
    if not text.strip(_BLANK):
        raise FeedError("the document is empty", where=url)
    root = _detect_root(text)
    if root == "json":
        document = jsonfeed.parse(text, url, limits.entries)
    elif root == "sitemapindex":
        raise FeedError("an index of sitemaps, not a sitemap", where=url, do="Poll one of the sitemaps it lists")
    else:
        text, markup_repairs = repair_xml(text)
        repairs += markup_repairs
        if root == "urlset":
            document = sitemap.parse(text, url, limits.entries)
        else:
            document = rss_atom.parse(text, content_type, url, limits.entries, is_html=root == "html")
    document = _with_whole_entries(document, url, repairs)
    if feed_format != "auto" and not document.version.startswith(VERSIONS_OF[feed_format]):
        raise FeedError(
            f"the feed list says {feed_format}, the document is {document.version}",
            where=url,
            do="Set `format: auto`",
        )
    return document


def _decompressed(body: bytes, url: str, max_bytes: int) -> tuple[bytes, list[str]]:
    """Returns the content of a document that is a gzip file (`sitemap.xml.gz`), or the document itself; and repairs.

    A gzip file may consist of several members. Of a damaged one the content before the damage is returned.

    Raises:
        FeedError: the gzip file is damaged from the beginning, or its content has more than `max_bytes`.
    """
    if not body.startswith(_GZIP):
        return body, []
    content = bytearray()
    position, is_whole = 0, True
    try:
        while is_whole and body.startswith(_GZIP, position):
            member = zlib.decompressobj(wbits=31)
            while not member.eof and position < len(body):
                # In small pieces: the content of the piece with the damage is lost.
                piece = body[position : position + _PIECE]
                content += member.decompress(piece, max_bytes + 1 - len(content))
                if len(content) > max_bytes:
                    raise FeedError(f"a gzip file of more than {max_bytes} bytes", where=url)
                position += len(piece) - len(member.unused_data) - len(member.unconsumed_tail)
            is_whole = member.eof
            if not content and not is_whole:
                raise FeedError("a damaged gzip file", where=url)
    except zlib.error as error:
        if not content:
            raise FeedError("a damaged gzip file", where=url) from error
        is_whole = False
    return bytes(content), [] if is_whole else ["damaged end of a gzip file"]


def _detect_root(text: str) -> str:
    """Returns the kind of a document: the name of its root element in lower case, `json`, or an empty string.

    The root element is the first of a few known names in the beginning of the document.
    """
    beginning = text[:_DETECTED]
    if jsonfeed.is_json(beginning.lstrip(_BLANK)):
        return "json"
    match = _ROOT.search(beginning)
    return match[1].lower() if match else ""


def _with_whole_entries(document: FeedDocument, url: str, repairs: list[str]) -> FeedDocument:
    """Returns a document with absolute links, without lone surrogates, and with all its repairs.

    Links are relative to the home page of the feed, or else to the document.

    Args:
        url: the address of the document.
        repairs: those before it was parsed.
    """
    home = _absolute(document.home, url)
    base = home if home.lower().startswith(("http://", "https://")) else url
    entries = tuple(_whole(entry, base) for entry in document.entries)
    language = _SURROGATE.sub("\ufffd", document.language)
    all_repairs = tuple(repair[:_MAX_REPAIR] for repair in (*repairs, *document.repairs)[:_MAX_REPAIRS])
    return replace(document, entries=entries, home=home, language=language, repairs=all_repairs)


def _whole(entry: FeedEntry, base: str) -> FeedEntry:
    """Returns an entry with absolute links and without lone surrogates, which no record can hold."""
    changes: dict[str, Any] = {}
    for field in fields(entry):
        value = getattr(entry, field.name)
        if isinstance(value, str) and _SURROGATE.search(value):
            changes[field.name] = _SURROGATE.sub("\ufffd", value)
        elif isinstance(value, tuple) and any(_SURROGATE.search(text) for text in value):
            changes[field.name] = tuple(_SURROGATE.sub("\ufffd", text) for text in value)
    for name in ("link", "original_link"):
        link = str(changes.get(name, getattr(entry, name)))
        if link and (resolved := _absolute(link, base)) != link:
            changes[name] = resolved
    return replace(entry, **changes) if changes else entry


def _absolute(link: str, base: str) -> str:
    """Returns a link as an absolute address. A link that has a scheme, or that cannot be resolved, is unchanged."""
    stripped = link.strip()
    if not stripped or _SCHEME.match(stripped):
        return link
    try:
        if stripped.lower().startswith("www.") and "." in urlsplit(f"https://{stripped}").netloc[4:]:
            return f"https://{stripped}"
        return urljoin(base, stripped)
    except ValueError:
        return link
