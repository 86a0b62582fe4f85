"""Whether the dates of a document have the day or the month first."""

from __future__ import annotations

from collections.abc import Iterable

from riskwire.ingest.dates.text import shows_day_first


def day_first_in(texts: Iterable[str]) -> bool | None:
    """Returns whether the dates of one document have the day before the month; None if they do not show it.

    A date such as 16/07/2026 shows it, one such as 07/11/2026 does not. Dates that disagree show nothing.
    """
    orders = {order for text in texts if (order := shows_day_first(text)) is not None}
    return orders.pop() if len(orders) == 1 else None
