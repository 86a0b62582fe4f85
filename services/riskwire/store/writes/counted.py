"""The time at which an article counts on the page."""

from __future__ import annotations

from datetime import datetime

from riskwire.records import to_ms


def counted_ms(published_at: datetime, seen_at: datetime, *, backfill: bool) -> int:
    """Returns the time of publication for backfill, which was seen long after it; otherwise when it was seen.

    In milliseconds since 1970. Other news counts when it was seen, as in alerting.

    Args:
        backfill: whether the article was backfill when it arrived.
    """
    return to_ms(published_at if backfill else seen_at)
