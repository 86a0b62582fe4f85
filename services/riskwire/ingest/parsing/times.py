"""Parses the publication times of feeds."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_MAX_TEXT = 64


def parse_time(text: str) -> datetime | None:
    """Returns the UTC time that a text gives in ISO 8601 or RFC 822, or None. Without a zone the time is UTC.

    Only the first `_MAX_TEXT` characters count.
    """
    text = text.strip()[:_MAX_TEXT]
    if not text:
        return None
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = parse(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
    return None
