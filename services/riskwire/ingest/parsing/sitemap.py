"""Parses Google News sitemaps (https://developers.google.com/search/docs/crawling-indexing/sitemaps/news-sitemap).

The document is parsed as a stream with expat, so that the entries before an error are kept. Entity declarations are
refused, as defusedxml does: entities are not expanded and files are not opened.
"""

from __future__ import annotations

from typing import Any
from xml.parsers import expat

from riskwire.errors import FeedError
from riskwire.ingest.parsing.feed_document import FeedDocument, FeedEntry

_NEWS_NAMESPACE = "http://www.google.com/schemas/sitemap-news/"
_MAX_FIELD = 10_000
_MAX_TICKERS = 10


class _LimitReachedError(Exception):
    """The sitemap has reached its most entries."""


class _EntityDeclaredError(Exception):
    """The document declares an entity."""


class _SitemapHandler:
    """Handles the events of the XML parser; collects the fields of each `url` element by their local names.

    Attributes:
        urls_without_news: the number of `url` elements without a news element.
    """

    def __init__(self, max_entries: int) -> None:
        """Prepares the collection of at most `max_entries` entries of a news sitemap."""
        self.entries: list[FeedEntry] = []
        self.urls_without_news = 0
        self._max_entries = max_entries
        self._fields: dict[str, str] = {}
        self._open_fields: list[str] = []
        """For each open element, its local name if it is a field, otherwise an empty string."""
        self._text: list[str] = []
        self._has_news = False

    def start_element(self, name: str, _attributes: dict[str, str]) -> None:
        """Begins an element of a news sitemap. The parser calls it with the name as "namespace name".

        A `url` element begins a new entry. Only `loc` and elements of the news extension become fields of the entry.
        """
        namespace, _, local_name = name.rpartition(" ")
        is_news = namespace.startswith(_NEWS_NAMESPACE)
        if local_name == "url":
            self._fields, self._has_news = {}, False
        self._has_news = self._has_news or (local_name == "news" and is_news)
        # The image extension of sitemaps has a `loc` too, which is not the address of the page.
        is_field = (is_news or local_name == "loc") and "image" not in namespace
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
        if len(self.entries) >= self._max_entries:
            raise _LimitReachedError


def _refuse_entity(*_: Any) -> None:
    raise _EntityDeclaredError


def parse(body: bytes, url: str, max_entries: int) -> FeedDocument:
    """Returns the entries of a news sitemap. `url` elements without news are counted as dropped.

    Parsing ends at `max_entries` entries or at the first error; the entries before it are returned, and `fault` says
    why it ended.

    Raises:
        FeedError: the sitemap is malformed before its first entry, has no news, or declares entities.
    """
    handler = _SitemapHandler(max_entries)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = handler.start_element
    parser.EndElementHandler = handler.end_element
    parser.CharacterDataHandler = handler.character_data
    parser.EntityDeclHandler = _refuse_entity
    fault = ""
    try:
        parser.Parse(body, True)
    except _LimitReachedError:
        fault = f"only the first {max_entries} items were read"
    except _EntityDeclaredError:
        raise FeedError("the sitemap declares entities, which are not expanded", where=url) from None
    except expat.ExpatError as error:
        fault = str(error)
        if not handler.entries:
            raise FeedError("the sitemap is broken before its first item", where=url) from error
    if not handler.entries and handler.urls_without_news:
        raise FeedError("a sitemap without news", where=url, do="Poll the site's news sitemap")
    return FeedDocument("sitemap", tuple(handler.entries), dropped=handler.urls_without_news, fault=fault)
