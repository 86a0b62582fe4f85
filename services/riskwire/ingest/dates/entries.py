"""Reads the dates of the entries of one feed document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from riskwire.ingest.dates.order import day_first_in
from riskwire.ingest.dates.text import StatedTime, read_time

EARLIEST_IN_FEEDS = datetime(1995, 1, 1, tzinfo=UTC)
"""Feeds are younger than the web; an earlier date is a default such as 1970-01-01."""
_MAX_SHOWN = 60
"""Characters of a date in reports."""


@dataclass(frozen=True, slots=True)
class EntryDate:
    """The date of an entry.

    Attributes:
        text: the date as the publisher wrote it, shortened; empty if the entry has none.
        time: None if the entry has no date, or none that can be read.
    """

    text: str = ""
    time: StatedTime | None = None


def read_dates(dates_of_entries: Sequence[Sequence[str]]) -> list[EntryDate]:
    """Returns the date of each entry: the first of its texts that can be read and is not before 1995.

    Dates such as 07/11/2026 are read in the order that the other dates of the document show.

    Args:
        dates_of_entries: for each entry the texts of its dates, by preference: published, changed, created.
    """
    day_first = day_first_in(text for dates in dates_of_entries for text in dates)
    return [_read(dates, day_first) for dates in dates_of_entries]


def _read(dates: Sequence[str], day_first: bool | None) -> EntryDate:
    texts = [text for date in dates if (text := date.encode("utf-8", "replace").decode().strip())]
    for text in texts:
        time = read_time(text, day_first=day_first)
        if time is not None and time.moment >= EARLIEST_IN_FEEDS:
            return EntryDate(text[:_MAX_SHOWN], time)
    return EntryDate(texts[0][:_MAX_SHOWN] if texts else "")
