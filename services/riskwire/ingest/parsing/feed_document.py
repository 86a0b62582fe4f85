"""The result of every format's parser: the entries of a document as the publisher wrote them, HTML included."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """One entry of a document, before cleaning and identification. A field without a value is empty.

    Attributes:
        original_link: the publisher's address, if `link` is the address of a redirector (FeedBurner).
        dates: the texts of its dates, by preference: published, changed, created.
        bodies: summary and contents, as HTML or plain text; the longest becomes the text of the item.
        outlet: the name of the publisher, if the entry gives one because its feed collects those of several.
        outlet_url: the address of that publisher.
    """

    guid: str = ""
    link: str = ""
    original_link: str = ""
    title: str = ""
    bodies: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    outlet: str = ""
    outlet_url: str = ""
    language: str = ""
    tickers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FeedDocument:
    """A parsed document.

    Attributes:
        version: format and version, such as `rss20` or `sitemap`.
        home: the address of the page that the feed belongs to.
        fresh_s: how long the document says that it stays fresh (RSS `ttl`); 0 if it does not say.
        dropped: the number of entries beyond the limit, or that could not be parsed.
        fault: what is wrong with a document of which only a part could be parsed; empty otherwise.
        repairs: what was wrong with the document and was repaired, in words.
    """

    version: str
    entries: tuple[FeedEntry, ...]
    language: str = ""
    home: str = ""
    fresh_s: int = 0
    dropped: int = 0
    fault: str = ""
    repairs: tuple[str, ...] = ()
