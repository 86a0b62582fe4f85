"""JSON Feed 1 and 1.1 (https://www.jsonfeed.org/version/1.1/)."""

from __future__ import annotations

import re
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from riskwire.errors import FeedError
from riskwire.ingest.parsing.entry import Entry, FeedDocument
from riskwire.ingest.parsing.times import from_text

_ESCAPE = re.compile(
    rb"\\(?:(?P<lone>u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})|u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|.)",
    re.DOTALL,
)
"""An escape in a JSON text; `lone` is half of a surrogate pair without its other half."""

VERSIONS = ("https://jsonfeed.org/version/1", "http://jsonfeed.org/version/1")


def _as_text(value: object) -> object:
    """Numbers are allowed as ids (and met elsewhere); nothing else is taken for a text."""
    if value is None:
        return ""
    return str(value) if isinstance(value, int | float) else value


Text = Annotated[str, BeforeValidator(_as_text)]


class _Item(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: Text = ""
    url: Text = ""
    external_url: Text = ""
    title: Text = ""
    summary: Text = ""
    content_html: Text = ""
    content_text: Text = ""
    date_published: Text = ""
    date_modified: Text = ""
    language: Text = ""


class _Feed(BaseModel):
    model_config = ConfigDict(extra="ignore")

    version: str
    home_page_url: Text = ""
    language: Text = ""
    items: list[Any]


def parse(body: bytes, url: str, most: int) -> FeedDocument:
    """Parse a JSON Feed; items that cannot be read are counted as dropped.

    Raises:
        FeedError: not JSON, or not a JSON Feed.
    """
    try:
        feed = _Feed.model_validate(_loads(body.removeprefix(b"\xef\xbb\xbf")))
    except orjson.JSONDecodeError as error:
        raise FeedError("the document is broken JSON", where=url) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise FeedError(f"the document is JSON but not a JSON Feed: {field}: {first['msg']}", where=url) from None
    if not feed.version.startswith(VERSIONS):
        raise FeedError("the document is JSON but not a JSON Feed of version 1 or 1.1", value=feed.version, where=url)
    entries = []
    dropped = max(0, len(feed.items) - most)
    for each in feed.items[:most]:
        try:
            entries.append(_entry(_Item.model_validate(each)))
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
    """Parse JSON; an escape that is half of a surrogate pair is read as U+FFFD, and costs nothing but itself."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        mended = _ESCAPE.sub(lambda found: rb"\ufffd" if found["lone"] else found[0], body)
        if mended == body:
            raise
        return orjson.loads(mended)


def _entry(item: _Item) -> Entry:
    return Entry(
        guid=item.id,
        link=item.url or item.external_url,
        title=item.title,
        bodies=tuple(body for body in (item.summary, item.content_html, item.content_text) if body),
        published=from_text(item.date_published) or from_text(item.date_modified),
        language=item.language,
    )
