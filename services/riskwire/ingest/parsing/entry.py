"""What every format is parsed into: the entries of a document as the publisher wrote them, HTML and all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, nothing cleaned or judged yet; what the publisher left out is empty."""

    guid: str = ""
    link: str = ""
    origin: str = ""
    """The publisher's own address, where `link` is a redirector's (FeedBurner)."""
    title: str = ""
    bodies: tuple[str, ...] = ()
    """Summary and contents, HTML or not; the longest is the text."""
    published: datetime | None = None
    outlet: str = ""
    """Who wrote it, where the feed gathers from several."""
    language: str = ""
    tickers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FeedDocument:
    """A parsed document."""

    version: str
    entries: tuple[Entry, ...]
    language: str = ""
    home: str = ""
    """The page the feed belongs to: no entry's own address."""
    fresh_s: int = 0
    """How long the document says it stays fresh (RSS ttl)."""
    dropped: int = 0
    """Entries beyond the limit, and entries that could not be read."""
    fault: str = ""
    """What is wrong with a document of which entries could be read all the same."""
