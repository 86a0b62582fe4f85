"""Parses, cleans and identifies the items in the lines of an archive. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from riskwire.errors import SchemaError
from riskwire.ingest.parsing.feed_document import FeedDocument, FeedEntry
from riskwire.ingest.parsing.formats import Limits
from riskwire.ingest.parsing.items import FeedItem, items_of
from riskwire.ingest.parsing.publisher import host_of, publisher_name
from riskwire.ingest.replay.archive import Archive
from riskwire.ingest.replay.archive_item import ArchiveItem, ArchiveLine, ItemReader
from riskwire.settings import IngestSettings

_CHECKED_LINES = 100
"""Lines that decide whether an archive begins in the future."""
_MAX_FUTURE = timedelta(days=1)
_MAX_SOURCE = 100


@dataclass(slots=True)
class ParsedLine:
    """A line and its item, or the error of a line without a valid item."""

    line: ArchiveLine
    item: FeedItem | None
    source: str = ""
    error: SchemaError | None = None


def parse_lines(
    lines: Sequence[ArchiveLine], reader: ItemReader, settings: IngestSettings, latest: datetime | None = None
) -> list[ParsedLine]:
    """Returns each line with its cleaned item, or with the error that makes it unusable.

    Args:
        reader: reads the item of a line.
        latest: the latest valid publication time (`latest_valid_time`); None for no bound.
    """
    return [_parse(line, reader, settings, latest) for line in lines]


def latest_valid_time(
    archive: Archive, settings: IngestSettings, now: datetime, stopped: Callable[[], bool] = lambda: False
) -> datetime | None:
    """Returns the latest publication time that the items of an archive may have: a day after `now`.

    One wrong date would advance the clock of every stage past all other news. An archive whose first valid line is in
    the future, such as that of the demo, has no bound; then the result is None.

    Args:
        stopped: whether the replay ends, so that the result is not needed any more.
    """
    latest = now + _MAX_FUTURE
    for line in islice(archive.lines(settings.max_line, stopped), _CHECKED_LINES):
        try:
            return None if archive.reader.read(line).published_at > latest else latest
        except SchemaError:
            continue
    return latest


def _parse(line: ArchiveLine, reader: ItemReader, settings: IngestSettings, latest: datetime | None) -> ParsedLine:
    """Returns a line of an archive as a feed item with its source, or with the error that makes it unusable.

    Args:
        reader: reads the item; its name is also the source of a line without source and URL.
        latest: the latest valid publication time; None for no bound.
    """
    where = f"{reader.name}, line {line.number}"
    try:
        archive_item = reader.read(line)
        if latest is not None and archive_item.published_at > latest:
            raise SchemaError("published_at: is in the future", value=str(archive_item.published_at), where=where)
        source = archive_item.source.strip()[:_MAX_SOURCE] or host_of(archive_item.url) or reader.name
        items = _clean(archive_item, source, settings)
        if not items:
            raise SchemaError("title: cleaning leaves neither title nor text", value=archive_item.title, where=where)
    except SchemaError as error:
        return ParsedLine(line, None, error=error)
    return ParsedLine(line, items[0], source)


def _clean(archive_item: ArchiveItem, source: str, settings: IngestSettings) -> tuple[FeedItem, ...]:
    """Returns the item of an archive line, cleaned like the items of feeds; empty if neither title nor text remains."""
    bodies = tuple(body for body in (archive_item.summary, archive_item.text) if body)
    entry = FeedEntry(link=archive_item.url, title=archive_item.title, bodies=bodies)
    document = FeedDocument("archive", (entry,), language=archive_item.language)
    limits = Limits(text=settings.max_text)
    items = items_of(document, source, limits, settings.min_language_confidence).items
    archived_fields: dict[str, object] = {"published_at": archive_item.published_at}
    if publisher := publisher_name(archive_item.publisher) or publisher_name(archive_item.source):
        archived_fields["publisher"] = publisher
    return tuple(item.model_copy(update=archived_fields) for item in items)
