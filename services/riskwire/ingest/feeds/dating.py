"""Whether the dates of a feed can be used, for `riskwire feeds list` and the metrics. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from riskwire.ingest.admission import date_fault
from riskwire.ingest.feeds.schedule import PollState
from riskwire.ingest.parsing.items import FeedItem
from riskwire.records import Article

MIN_LATE_ITEMS = 3
"""Backfill items in a row from which a feed is late. A single old item is an editor's addition."""


def with_date_counts(
    state: PollState, items: Sequence[FeedItem], articles: Collection[Article], seen_at: datetime, *, first: bool
) -> PollState:
    """Returns the state of a feed's polls, with the counts of a document's dates.

    Args:
        items: all items of the document.
        articles: the articles of new and changed items. Only new items count as late, since a change of an old item
            is old by nature.
        first: whether it is the first document read of the feed, which has old items by nature.
    """
    faulty = [item for item in items if date_fault(item, seen_at) in {"unreadable", "future"}]
    new = [article for article in articles if article.version == 1 and not first]
    late_items = state.late_items + len(new) if all(article.backfill for article in new) else 0
    return state.model_copy(
        update={
            "items": len(items),
            "unreadable_dates": len(faulty),
            "date_example": faulty[0].stated_date if faulty else "",
            "late_items": late_items,
        }
    )


def has_unreadable_dates(state: PollState) -> bool:
    """Returns whether at least half the items of a feed's last document have a date that cannot be used."""
    return 0 < state.items <= 2 * state.unreadable_dates


def is_late(state: PollState) -> bool:
    """Returns whether all new items of a feed come out as backfill, which cannot fire an alert."""
    return state.late_items >= MIN_LATE_ITEMS
