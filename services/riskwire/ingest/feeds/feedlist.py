"""The feed list: a YAML file of `feeds` records, checked as a whole before anything is polled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import structlog
from pydantic import ValidationError

from riskwire.errors import RefusedError, SettingsError
from riskwire.ingest.fetching.address import well_formed
from riskwire.records import Feed, schema_error
from riskwire.settings.yaml_file import kind_of, read_yaml

log = structlog.get_logger(__name__)

DEFAULT_FEEDS = Path(__file__).with_name("feeds.yaml")
"""The list that ships with riskwire."""

MAX_BYTES = 5_000_000
MAX_FEEDS = 10_000


def read_feeds(path: Path) -> list[Feed]:
    """Read a feed list; entries are counted from 1.

    Raises:
        SettingsError: the file cannot be read, or an entry is wrong: names file, entry, field and value.
    """
    entries = _entries(path)
    feeds: dict[str, tuple[int, Feed]] = {}
    for number, entry in enumerate(entries, start=1):
        where = f"{path}, entry {number}"
        feed = _feed(entry, where)
        if feed.id in feeds:
            raise SettingsError(
                f"id: two feeds share one id, this and entry {feeds[feed.id][0]}",
                value=feed.id,
                where=where,
                do="Give each feed an id of its own",
            )
        feeds[feed.id] = (number, feed)
    return [feed for _, feed in feeds.values()]


def _entries(path: Path) -> list[Any]:
    entries = read_yaml(path, "the feed list", MAX_BYTES)
    if not isinstance(entries, list):
        raise SettingsError(
            f"the feed list must be a list of feeds, and is {kind_of(entries)}",
            where=str(path),
            do="Each entry starts with `- id: …` and has a `url: …`",
        )
    if len(entries) > MAX_FEEDS:
        raise SettingsError(f"more than {MAX_FEEDS} feeds", value=len(entries), where=str(path))
    return entries


def _feed(entry: object, where: str) -> Feed:
    if not isinstance(entry, dict):
        raise SettingsError("a feed must be a mapping with `id` and `url`", value=entry, where=where)
    try:
        feed = Feed.model_validate(entry)
    except ValidationError as error:
        fault = schema_error(error, where)
        raise SettingsError(fault.what, value=fault.value, where=where) from None
    try:
        well_formed(feed.url)
    except RefusedError as error:
        raise SettingsError(f"url: {error.what}", value=error.value, where=where) from None
    unknown = sorted(str(key) for key in entry if key not in Feed.model_fields)
    if unknown:
        log.warning("unknown fields of a feed are ignored", where=where, fields=unknown)
    return feed
