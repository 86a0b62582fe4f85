"""Reads the feeds of an OPML file, which feed readers export."""

from __future__ import annotations

from pathlib import Path
from xml.parsers import expat

import structlog

from riskwire.errors import RefusedError, SettingsError
from riskwire.ingest.fetching.address import parse_url

log = structlog.get_logger(__name__)


def read_opml(path: Path, max_bytes: int) -> list[tuple[str, str]]:
    """Returns address and title of each feed of an OPML file, each address once, in the order of the file.

    An address that is never fetched is left out with a warning.

    Raises:
        SettingsError: the file cannot be read, is too large or not OPML, or has no feed.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(max_bytes + 1)
    except OSError as error:
        raise SettingsError("the feed list cannot be read", where=str(path)) from error
    if len(raw) > max_bytes:
        raise SettingsError(f"the feed list is larger than {max_bytes} bytes", where=str(path))
    feeds: dict[str, str] = {}
    for attributes in _outlines(raw, path):
        url = attributes.get("xmlurl", "").strip()
        if not url:
            continue
        try:
            parse_url(url)
        except RefusedError as error:
            log.warning("a feed of the OPML file is left out", file=str(path), url=url, error=str(error))
            continue
        feeds.setdefault(url, (attributes.get("title") or attributes.get("text") or "").strip())
    if not feeds:
        raise SettingsError("the OPML file has no feed", where=str(path), do="Feeds are outlines with `xmlUrl`")
    return list(feeds.items())


def _outlines(raw: bytes, path: Path) -> list[dict[str, str]]:
    """Returns the attributes of each outline, with names in lower case.

    Raises:
        SettingsError: the text is not XML, or declares entities, with which a small file can become huge.
    """
    outlines: list[dict[str, str]] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if name.lower() == "outline":
            outlines.append({key.lower(): value for key, value in attributes.items()})

    def refuse(*_: object) -> None:
        raise SettingsError("an OPML file that declares entities is not read", where=str(path))

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(raw, True)
    except expat.ExpatError as error:
        raise SettingsError("the feed list is not OPML", where=str(path)) from error
    return outlines
