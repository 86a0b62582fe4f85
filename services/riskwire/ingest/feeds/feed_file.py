"""Reads a feed list from a YAML file. The whole file is checked before any feed is polled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import structlog
from pydantic import ValidationError

from riskwire.errors import RefusedError, SettingsError, raise_faults
from riskwire.ingest.feeds.feed_id import id_of
from riskwire.ingest.feeds.opml import read_opml
from riskwire.ingest.fetching.address import parse_url
from riskwire.ingest.fetching.headers import read_headers
from riskwire.records import Feed, content_id, schema_error
from riskwire.settings.yaml_file import describe_type, read_yaml

log = structlog.get_logger(__name__)

DEFAULT_FEEDS = Path(__file__).with_name("feeds.yaml")
"""The list that ships with riskwire."""

MAX_BYTES = 5_000_000
MAX_FEEDS = 10_000
_ID_HASH = 6
_MAX_NOTE = 200


def read_feeds(path: Path) -> list[Feed]:
    """Returns the feeds of a file (YAML, or OPML if its name ends in `.opml` or `.xml`), in the order of the file.

    Raises:
        SettingsError: the file cannot be read, or an entry is wrong. The message names the file, the number of the
            entry (from 1), the field and the value.
        ExceptionGroup: of SettingsError, if several entries are wrong.
    """
    if path.suffix.lower() in (".opml", ".xml"):
        return _read_opml_feeds(path)
    feeds: dict[str, tuple[int, Feed]] = {}
    faults: list[SettingsError] = []
    for number, entry in enumerate(_read_entries(path), start=1):
        where = f"{path}, entry {number}"
        try:
            feed = _parse_entry(entry, where, path.parent)
            if feed.id in feeds:
                raise SettingsError(
                    f"id: this entry and entry {feeds[feed.id][0]} have the same id",
                    value=feed.id,
                    where=where,
                    do="Give each feed a different id",
                )
            feeds[feed.id] = (number, feed)
        except SettingsError as error:
            faults.append(error)
    raise_faults(faults, "the feed list cannot be used")
    return [feed for _, feed in feeds.values()]


def _read_opml_feeds(path: Path) -> list[Feed]:
    """Returns the feeds of an OPML file. Their ids are made from their addresses."""
    entries = read_opml(path, MAX_BYTES)
    if len(entries) > MAX_FEEDS:
        raise SettingsError(f"more than {MAX_FEEDS} feeds", value=len(entries), where=str(path))
    feeds: dict[str, Feed] = {}
    for url, title in entries:
        feed_id = id_of(url)
        if feed_id in feeds:
            feed_id = f"{feed_id[:90]}-{content_id(url)[:_ID_HASH]}"
        feeds[feed_id] = Feed(id=feed_id, url=url, note=title[:_MAX_NOTE])
    return list(feeds.values())


def _read_entries(path: Path) -> list[Any]:
    """Returns the entries of a feed list file (YAML), which have not been validated.

    Raises:
        SettingsError: the file cannot be read, is no list or has more than MAX_FEEDS entries.
    """
    entries = read_yaml(path, "the feed list", MAX_BYTES)
    if not isinstance(entries, list):
        raise SettingsError(
            f"the feed list must be a list of feeds, and is {describe_type(entries)}",
            where=str(path),
            do="Each entry starts with `- id: …` and has a `url: …`",
        )
    if len(entries) > MAX_FEEDS:
        raise SettingsError(f"more than {MAX_FEEDS} feeds", value=len(entries), where=str(path))
    return entries


def _parse_entry(entry: object, where: str, directory: Path) -> Feed:
    """Returns the feed of an entry of the feed list. Logs a warning about unknown fields and ignores them.

    A `headers_file` is read once, so that a fault in it shows at start, and made absolute.

    Args:
        where: the file and the position of the entry, for messages.
        directory: the directory of the file, from which `headers_file` is found.

    Raises:
        SettingsError: the entry is not valid, or its URL is one that is never fetched.
    """
    if not isinstance(entry, dict):
        raise SettingsError("a feed must be a mapping with `id` and `url`", value=entry, where=where)
    try:
        feed = Feed.model_validate(entry)
    except ValidationError as error:
        fault = schema_error(error, where)
        raise SettingsError(fault.what, value=fault.value, where=where) from None
    try:
        parse_url(feed.url)
    except RefusedError as error:
        raise SettingsError(f"url: {error.what}", value=error.value, where=where) from None
    if feed.headers_file:
        headers_file = (directory / feed.headers_file).absolute()
        read_headers(headers_file)
        feed = feed.model_copy(update={"headers_file": str(headers_file)})
    unknown = sorted(str(key) for key in entry if key not in Feed.model_fields)
    if unknown:
        log.warning("unknown fields of a feed are ignored", where=where, fields=unknown)
    return feed
