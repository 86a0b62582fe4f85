"""Records of the topic `articles`: articles, ticks and watchlist changes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from riskwire.records.codec import Record, Utc


class Article(Record):
    """A normalised news item."""

    v: int = 1
    kind: Literal["article"] = "article"
    id: str
    version: int = Field(ge=1)
    url: str
    source: str
    """The id of the feed, or the source of the archive line."""
    publisher: str = ""
    """The news publisher, such as "Reuters" or the host of the page; empty in records of riskwire 0.1."""
    title: str
    text: str = ""
    language: str | None = None
    published_at: Utc
    seen_at: Utc
    backfill: bool = False
    cut: bool = False
    """Whether `text` is shortened, because the record would have been too large."""


class Tick(Record):
    """The present time of ingest or of a replay. It is on every partition of `articles`."""

    v: int = 1
    kind: Literal["tick"] = "tick"
    seen_at: Utc


class WatchlistChange(Record):
    """A change of an entry of the watchlist. It applies to the articles after it on the same partition.

    It is on every partition of `articles`.

    Attributes:
        entry: the fields of the entry, as in a watchlist file, or None if `id` is no longer watched.
        command: offset of the command in `commands`. It gives the changes the same order on every partition.
    """

    v: int = 1
    kind: Literal["watch"] = "watch"
    id: str
    entry: dict[str, Any] | None
    at: Utc
    command: int | None = Field(default=None, ge=0)


ArticleRecord = Annotated[Article | Tick | WatchlistChange, Field(discriminator="kind")]
ARTICLES: TypeAdapter[Article | Tick | WatchlistChange] = TypeAdapter(ArticleRecord)
