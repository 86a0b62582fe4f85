"""Records of the topic `articles`: articles, ticks and changes of the watchlist."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from riskwire.records.codec import Record, Utc


class Article(Record):
    """One news item, normalised."""

    v: int = 1
    kind: Literal["article"] = "article"
    id: str
    version: int = Field(ge=1)
    url: str
    source: str
    title: str
    text: str = ""
    language: str | None = None
    published_at: Utc
    seen_at: Utc
    backfill: bool = False
    cut: bool = False
    """`text` is only the beginning: with all of it the record would have been too large."""


class Tick(Record):
    """The newest time a source has reached; on every partition of `articles`."""

    v: int = 1
    kind: Literal["tick"] = "tick"
    seen_at: Utc


class WatchlistChange(Record):
    """A change of the watchlist, on every partition of `articles`: what follows it is read with it.

    `entry` is the entry as a watchlist file has it; None where `id` is watched no more. `command` is the offset in
    `commands` of what was decided: it tells which change is the later one on every partition alike.
    """

    v: int = 1
    kind: Literal["watch"] = "watch"
    id: str
    entry: dict[str, Any] | None
    at: Utc
    command: int | None = Field(default=None, ge=0)


ArticleRecord = Annotated[Article | Tick | WatchlistChange, Field(discriminator="kind")]
ARTICLES: TypeAdapter[Article | Tick | WatchlistChange] = TypeAdapter(ArticleRecord)
