"""Parses JSON Feed 1 and 1.1 (https://www.jsonfeed.org/version/1.1/)."""

from __future__ import annotations

import re
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from riskwire.errors import FeedError
from riskwire.ingest.parsing.feed_document import FeedDocument, FeedEntry

_ESCAPE = re.compile(
    rb"\\(?:(?P<lone>u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})|u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|.)",
    re.DOTALL,
)
"""An escape sequence in JSON; the group `lone` matches a surrogate without its partner."""

_REPLACEMENT = rb"\ufffd"
_UTF8_BOM = b"\xef\xbb\xbf"
_VERSIONS = ("https://jsonfeed.org/version/1", "http://jsonfeed.org/version/1")


def _to_text(value: object) -> object:
    """Converts None and numbers to text; the specification allows numbers as ids. Other values stay invalid."""
    if value is None:
        return ""
    return str(value) if isinstance(value, int | float) else value


_Text = Annotated[str, BeforeValidator(_to_text)]


class _Item(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: _Text = ""
    url: _Text = ""
    external_url: _Text = ""
    title: _Text = ""
    summary: _Text = ""
    content_html: _Text = ""
    content_text: _Text = ""
    date_published: _Text = ""
    date_modified: _Text = ""
    language: _Text = ""


class _Feed(BaseModel):
    model_config = ConfigDict(extra="ignore")

    version: str
    home_page_url: _Text = ""
    language: _Text = ""
    items: list[Any]


def parse(body: bytes, url: str, max_entries: int) -> FeedDocument:
    """Returns the entries of a JSON Feed. Items that cannot be parsed or exceed `max_entries` are counted as dropped.

    Raises:
        FeedError: the document is not JSON, or not a JSON Feed.
    """
    try:
        feed = _Feed.model_validate(_loads(body.removeprefix(_UTF8_BOM)))
    except orjson.JSONDecodeError as error:
        raise FeedError("the document is broken JSON", where=url) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise FeedError(f"the document is JSON but not a JSON Feed: {field}: {first['msg']}", where=url) from None
    if not feed.version.startswith(_VERSIONS):
        raise FeedError("the document is JSON but not a JSON Feed of version 1 or 1.1", value=feed.version, where=url)
    entries = []
    dropped = max(0, len(feed.items) - max_entries)
    for item in feed.items[:max_entries]:
        try:
            entries.append(_entry(_Item.model_validate(item)))
        except ValidationError:
            dropped += 1
    return FeedDocument(
        version="json" + feed.version.rpartition("/")[2],
        entries=tuple(entries),
        language=feed.language,
        home=feed.home_page_url,
        dropped=dropped,
        fault=f"{dropped} items cannot be read or are too many" if dropped else "",
    )


def _loads(body: bytes) -> object:
    """Parses JSON. A lone surrogate, which orjson rejects, is replaced by U+FFFD, so that the document stays usable."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        repaired = _ESCAPE.sub(lambda match: _REPLACEMENT if match["lone"] else match[0], body)
        if repaired == body:
            raise
        return orjson.loads(repaired)


def _entry(item: _Item) -> FeedEntry:
    """Returns an item of a JSON feed as an entry."""
    return FeedEntry(
        guid=item.id,
        link=item.url or item.external_url,
        title=item.title,
        bodies=tuple(body for body in (item.summary, item.content_html, item.content_text) if body),
        dates=(item.date_published, item.date_modified),
        language=item.language,
    )
