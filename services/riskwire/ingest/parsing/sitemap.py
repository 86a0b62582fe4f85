"""Parses Google News sitemaps (https://developers.google.com/search/docs/crawling-indexing/sitemaps/news-sitemap).

The document is parsed as a stream with expat, so that the entries before an error are kept. Entity declarations are
refused, as defusedxml does: entities are not expanded and files are not opened.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Any
from xml.parsers import expat

from riskwire.errors import FeedError
from riskwire.ingest.parsing.feed_document import FeedDocument, FeedEntry

_NEWS_NAMESPACE = "google.com/schemas/sitemap-news"
_MAX_FIELD = 10_000
_MAX_TICKERS = 10
_MAX_URLS = 50_000
"""The most `url` elements of a sitemap, by its specification."""
_URL = re.compile(r"<(?:[\w.-]{1,40}:)?url[\s>]")
_URL_END = re.compile(r"</(?:[\w.-]{1,40}:)?url\s*>")
_TITLE = re.compile(r"<[\w.-]{1,40}:title>")
_TITLE_END = re.compile(r"</[\w.-]{1,40}:title\s*>")
_ROOT = re.compile(r"<(?:[\w.-]{1,40}:)?urlset\b[^>]{0,10000}>")


class _LimitReachedError(Exception):
    """The sitemap has reached its most entries."""


class _EntityDeclaredError(Exception):
    """The document declares an entity."""


class _SitemapHandler:
    """Handles the events of the XML parser; collects the fields of each `url` element by their local names.

    Attributes:
        urls_without_news: the number of `url` elements without a news element.
        max_entries: the most entries that are collected.
    """

    def __init__(self, max_entries: int) -> None:
        """Prepares the collection of at most `max_entries` entries of a news sitemap."""
        self.entries: list[FeedEntry] = []
        self.urls_without_news = 0
        self.max_entries = max_entries
        self._fields: dict[str, str] = {}
        self._open_fields: list[str] = []
        """For each open element, its local name if it is a field, otherwise an empty string."""
        self._text: list[str] = []
        self._has_news = False

    def reset(self) -> None:
        """Forgets the elements that a malformed document has left open."""
        self._open_fields, self._text = [], []

    def start_element(self, name: str, _attributes: dict[str, str]) -> None:
        """Begins an element of a news sitemap. The parser calls it with the name as "namespace name".

        A `url` element begins a new entry. Only `loc` and elements of the news extension become fields of the entry.
        """
        namespace, _, local_name = name.rpartition(" ")
        is_news = _NEWS_NAMESPACE in namespace
        if local_name == "url":
            self._fields, self._has_news = {}, False
        self._has_news = self._has_news or (local_name == "news" and is_news)
        # The image extension of sitemaps has a `loc` too, which is not the address of the page.
        is_field = (is_news or local_name == "loc") and "image" not in namespace
        if "title" in self._open_fields and not is_field:  # HTML that is not escaped: its text belongs to the title
            self._open_fields.append("title")
            return
        self._open_fields.append(local_name if is_field else "")
        self._text = []

    def character_data(self, text: str) -> None:
        if self._open_fields and self._open_fields[-1]:
            self._text.append(text)

    def end_element(self, name: str) -> None:
        """Ends an element of a news sitemap: stores its text if it is a field, and adds the entry if it is a `url`.

        Of a field that occurs twice in an entry, the first text is kept.
        """
        field = self._open_fields.pop() if self._open_fields else ""
        if field == "title" and "title" in self._open_fields:
            return
        if field:
            self._fields.setdefault(field, "".join(self._text).strip()[:_MAX_FIELD])
        self._text = []
        if name.rpartition(" ")[2] == "url":
            self._end_url()

    def _end_url(self) -> None:
        """Adds the entry of a `url` element that has ended, or counts it if it has no news extension.

        Raises:
            _LimitReachedError: the limit of entries is reached, so parsing ends.
        """
        if not self._has_news:
            self.urls_without_news += 1
            return
        fields = self._fields
        tickers = (ticker.strip() for ticker in fields.get("stock_tickers", "").split(","))
        self.entries.append(
            FeedEntry(
                link=fields.get("loc", ""),
                title=fields.get("title", ""),
                dates=(fields.get("publication_date", ""),),
                outlet=fields.get("name", ""),
                language=fields.get("language", ""),
                tickers=tuple(ticker for ticker in tickers if ticker)[:_MAX_TICKERS],
            )
        )
        if len(self.entries) >= self.max_entries:
            raise _LimitReachedError


def _refuse_entity(*_: Any) -> None:
    raise _EntityDeclaredError


def parse(text: str, url: str, max_entries: int) -> FeedDocument:
    """Returns the entries of a news sitemap. `url` elements without news are counted as dropped.

    Parsing ends at `max_entries` entries. If the document is malformed, its `url` elements are parsed one by one; those
    that are malformed themselves are counted as dropped, and `fault` says why.

    Args:
        text: the document, as `repair_xml` returns it.

    Raises:
        FeedError: the sitemap is malformed and has no entry, has no news, or declares entities.
    """
    handler = _SitemapHandler(max_entries)
    fault, dropped = "", 0
    try:
        _parse_with(handler, text)
    except _LimitReachedError:
        fault = f"only the first {max_entries} items were read"
    except _EntityDeclaredError:
        raise FeedError("the sitemap declares entities, which are not expanded", where=url) from None
    except expat.ExpatError as error:
        fault = str(error)
        handler = _SitemapHandler(max_entries)
        dropped = _parse_one_by_one(handler, text)
        if not handler.entries:
            raise FeedError("the sitemap is broken before its first item", where=url) from error
    if not handler.entries and handler.urls_without_news:
        raise FeedError("a sitemap without news", where=url, do="Poll the site's news sitemap")
    return FeedDocument("sitemap", tuple(handler.entries), dropped=handler.urls_without_news + dropped, fault=fault)


def _parse_with(handler: _SitemapHandler, text: str) -> None:
    """Parses XML, calling a handler.

    Raises:
        expat.ExpatError: the XML is malformed.
    """
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = handler.start_element
    parser.EndElementHandler = handler.end_element
    parser.CharacterDataHandler = handler.character_data
    parser.EntityDeclHandler = _refuse_entity
    parser.Parse(text.encode("utf-8", "replace"), True)


def _parse_one_by_one(handler: _SitemapHandler, text: str) -> int:
    """Parses each `url` element of a malformed sitemap as a document, and returns how many are malformed themselves.

    An element ends at its end tag, or at the beginning of the next one.
    """
    root = _ROOT.search(text)
    opening = root[0] if root else f'<urlset xmlns:news="http://www.{_NEWS_NAMESPACE}/0.9">'
    closing = f"</{opening[1:].split()[0].rstrip('>')}>"
    starts = [match.start() for match in islice(_URL.finditer(text), _MAX_URLS)]
    malformed = 0
    for start, limit in zip(starts, [*starts, len(text)][1:], strict=True):
        end = _URL_END.search(text, start, limit)
        element = text[start : end.end() if end else limit]
        count = len(handler.entries)
        for attempt in (element, _with_escaped_title(element)):
            handler.reset()
            try:
                _parse_with(handler, f"{opening}{attempt}{closing}")
                break
            except expat.ExpatError:
                if len(handler.entries) > count:
                    break
            except (_LimitReachedError, _EntityDeclaredError):
                return malformed
        else:
            malformed += 1
    return malformed


def _with_escaped_title(element: str) -> str:
    """Returns a `url` element whose title is text: HTML in it, such as `<br>`, need not be well-formed XML."""
    start, end = _TITLE.search(element), _TITLE_END.search(element)
    if start is None or end is None or end.start() < start.end():
        return element
    title = element[start.end() : end.start()].replace("<", "&lt;")
    return element[: start.end()] + title + element[end.start() :]
