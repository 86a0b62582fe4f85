"""Google-News sitemaps (https://developers.google.com/search/docs/crawling-indexing/sitemaps/news-sitemap).

Read with expat as a stream, so that what stands before a break is kept. Entities of the document's own are refused,
as defusedxml does: no expansion, no files.
"""

from __future__ import annotations

from typing import Any
from xml.parsers import expat

from riskwire.errors import FeedError
from riskwire.ingest.parsing.entry import Entry, FeedDocument
from riskwire.ingest.parsing.times import from_text

NEWS = "http://www.google.com/schemas/sitemap-news/"
_MAX_FIELD = 10_000


class _EnoughError(Exception):
    """There are as many entries as are wanted."""


class _RefusedError(Exception):
    """The document declares entities."""


class _Sitemap:
    """Collects the fields of each `url` element, by local name (`loc`, `title`, `publication_date`, …)."""

    def __init__(self, most: int) -> None:
        self.entries: list[Entry] = []
        self.others = 0
        self._most = most
        self._fields: dict[str, str] = {}
        self._open: list[str] = []
        self._text: list[str] = []
        self._is_news = False

    def start(self, name: str, _attributes: dict[str, str]) -> None:
        space, _, local = name.rpartition(" ")
        if local == "url":
            self._fields, self._is_news = {}, False
        self._is_news = self._is_news or (local == "news" and space.startswith(NEWS))
        wanted = space.startswith(NEWS) or local == "loc"
        self._open.append(local if wanted and "image" not in space else "")
        self._text = []

    def data(self, text: str) -> None:
        if self._open and self._open[-1]:
            self._text.append(text)

    def end(self, name: str) -> None:
        local = self._open.pop() if self._open else ""
        if local:
            self._fields.setdefault(local, "".join(self._text).strip()[:_MAX_FIELD])
        self._text = []
        if name.rpartition(" ")[2] == "url":
            self._finish()

    def _finish(self) -> None:
        if not self._is_news:
            self.others += 1
            return
        fields = self._fields
        tickers = (ticker.strip() for ticker in fields.get("stock_tickers", "").split(","))
        self.entries.append(
            Entry(
                link=fields.get("loc", ""),
                title=fields.get("title", ""),
                published=from_text(fields.get("publication_date", "")),
                outlet=fields.get("name", ""),
                language=fields.get("language", ""),
                tickers=tuple(ticker for ticker in tickers if ticker)[:10],
            )
        )
        if len(self.entries) >= self._most:
            raise _EnoughError


def _refuse(*_: Any) -> None:
    raise _RefusedError


def parse(body: bytes, url: str, most: int) -> FeedDocument:
    """Parse a sitemap; `url` elements without news in them are counted as dropped.

    Raises:
        FeedError: broken before its first item, without any news, or declaring entities.
    """
    collected = _Sitemap(most)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = collected.start
    parser.EndElementHandler = collected.end
    parser.CharacterDataHandler = collected.data
    parser.EntityDeclHandler = _refuse
    fault = ""
    try:
        parser.Parse(body, True)
    except _EnoughError:
        fault = f"only the first {most} items were read"
    except _RefusedError:
        raise FeedError("the sitemap declares entities of its own, which are not expanded", where=url) from None
    except expat.ExpatError as error:
        fault = str(error)
        if not collected.entries:
            raise FeedError("the sitemap is broken before its first item", where=url) from error
    if not collected.entries and collected.others:
        raise FeedError("a sitemap without news in it", where=url, do="Poll the site's news sitemap")
    return FeedDocument("sitemap", tuple(collected.entries), dropped=collected.others, fault=fault)
