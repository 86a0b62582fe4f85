"""Parses JSON Feed 1 and 1.1 (https://www.jsonfeed.org/version/1.1/)."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from riskwire.errors import FeedError
from riskwire.ingest.parsing.feed_document import FeedDocument, FeedEntry

_ESCAPE = re.compile(r"\\(?:[\"\\/bfnrt]|u[0-9a-fA-F]{4}|(?P<unknown>))", re.DOTALL)
"""A backslash and what it escapes in JSON; the group `unknown` matches where it escapes nothing that JSON knows."""

_GUARD = re.compile(r"\)\]\}',?\s*(?=\{)")
"""What some servers write before JSON, so that a script element does not run it."""
_DECODER = json.JSONDecoder(strict=False)
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


def is_json(beginning: str) -> bool:
    """Returns whether a document that begins so, after blank characters, is JSON."""
    return beginning.startswith("{") or _GUARD.match(beginning) is not None


def parse(text: str, url: str, max_entries: int) -> FeedDocument:
    """Returns the entries of a JSON Feed. Items that cannot be parsed or exceed `max_entries` are counted as dropped.

    Raises:
        FeedError: the document is not JSON, or not a JSON Feed.
    """
    try:
        content, repairs = _loads(text)
        feed = _Feed.model_validate(content)
    except (RecursionError, json.JSONDecodeError) as error:
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
        entry = _entry_of(item)
        if entry is None:
            dropped += 1
        else:
            entries.append(entry)
    return FeedDocument(
        version="json" + feed.version.rpartition("/")[2],
        entries=tuple(entries),
        language=feed.language,
        home=feed.home_page_url,
        dropped=dropped,
        fault=f"{dropped} items cannot be read or are too many" if dropped else "",
        repairs=tuple(repairs),
    )


def _entry_of(item: object) -> FeedEntry | None:
    """Returns an item as an entry without its invalid fields; None if neither title nor text is valid."""
    try:
        return _entry(_Item.model_validate(item))
    except ValidationError as error:
        if not isinstance(item, dict):
            return None
        invalid = {fault["loc"][0] for fault in error.errors(include_url=False) if fault["loc"]}
    entry = _entry(_Item.model_validate({name: value for name, value in item.items() if name not in invalid}))
    return entry if entry.title or entry.bodies else None


def _loads(text: str) -> tuple[object, list[str]]:
    """Parses JSON, and returns its content and the repairs.

    Blank characters, a byte order mark or a guard against scripts before it, text after it, control characters in
    strings, and a backslash before a character that needs none are repaired. A lone surrogate passes.

    Raises:
        json.JSONDecodeError: the text is not JSON, or truncated.
        RecursionError: it is nested too deeply.
    """
    start = text.find("{")
    repairs = ["text before the document"] if text[:start].strip() else []
    text = text[start:]
    try:
        return orjson.loads(text), repairs
    except orjson.JSONDecodeError:
        pass
    try:
        content, end = _DECODER.raw_decode(text)
    except json.JSONDecodeError:
        unescaped = _ESCAPE.sub(lambda match: "" if match["unknown"] is not None else match[0], text)
        content, end = _DECODER.raw_decode(unescaped)
        repairs.append("escape sequence that JSON does not know")
        return content, repairs
    except ValueError as error:  # a number of too many digits
        raise json.JSONDecodeError(str(error), text, 0) from None
    if text[end:].strip():
        repairs.append("text after the document")
    else:
        repairs.append("control character or lone surrogate")
    return content, repairs


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
