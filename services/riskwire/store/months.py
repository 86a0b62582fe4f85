"""Calendar months in UTC, as numbers: 12 times the year, plus 0 for January. The store deletes old data by month."""

from __future__ import annotations

from datetime import UTC, datetime

from riskwire.records import from_ms, to_ms

_DAY_MS = 86_400_000
_LAST_YEAR = 9_999


def month_of(time_ms: int) -> int:
    """Returns the month of a time in milliseconds since 1970."""
    time = from_ms(time_ms)
    return time.year * 12 + time.month - 1


def month_start(month: int) -> int:
    """Returns the first moment of a month, in milliseconds since 1970. The month may be the one after 9999."""
    year, index = divmod(month, 12)
    if year > _LAST_YEAR:
        return to_ms(datetime(_LAST_YEAR, 12, 1, tzinfo=UTC)) + 31 * _DAY_MS
    return to_ms(datetime(year, index + 1, 1, tzinfo=UTC))
