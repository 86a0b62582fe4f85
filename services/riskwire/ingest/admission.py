"""Turns items into the articles to publish: each once per version, with its times. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from riskwire.ingest.memory import ItemMemory
from riskwire.ingest.parsing.items import FeedItem
from riskwire.records import Article

DateFault = Literal["missing", "unreadable", "future"]
"""Why the time of publication of an item is unknown. `unreadable` includes dates before 1995."""

_MAX_AHEAD = timedelta(days=1)


def date_fault(item: FeedItem, seen_at: datetime) -> DateFault | None:
    """Returns why the date of an item cannot be used; None if it can. A date beyond tomorrow is wrong.

    A date up to a day ahead is that of a clock or a zone that is a little wrong.
    """
    if item.published_at is None:
        return "unreadable" if item.stated_date else "missing"
    return "future" if item.published_at - seen_at > _MAX_AHEAD else None


def admit(
    items: Sequence[FeedItem],
    source: str,
    memory: ItemMemory,
    seen_at: datetime,
    backfill_after_s: float,
    *,
    first: bool = False,
) -> list[Article]:
    """Returns articles for the items that are new or have new content, in the order of the items.

    `published_at` is never later than `seen_at`, and equal to it for an item whose date is unknown (`date_fault`). Such
    an item is news, and so is one whose date may mean a time within the limit: a wrong date must not mute an item.

    Args:
        source: the feed or archive source of the items.
        memory: the items that were published before; the new ones are added, and all are marked as seen.
        seen_at: when the items were read.
        backfill_after_s: an article published longer than this before `seen_at` is backfill.
        first: whether the items are from the first document ever read of a feed. The age of an item without a date
            is unknown in such a document, so it is backfill; one with a date that cannot be read is news.
    """
    articles = []
    for item in items:
        item_id = memory.id_of(item)
        memory.mark_seen(item_id)
        version = memory.version_of(item_id, item.content, title=item.title, guid=item.guid)
        if version is None:
            continue
        fault = date_fault(item, seen_at)
        published_at = min(item.published_at or seen_at, seen_at) if fault is None else seen_at
        latest = max(item.published_by or published_at, published_at) if fault is None else seen_at
        articles.append(
            Article(
                id=item_id,
                version=version,
                url=item.url,
                source=source,
                publisher=item.publisher,
                title=item.title,
                text=item.text,
                language=item.language,
                published_at=published_at,
                seen_at=seen_at,
                backfill=seen_at - latest > timedelta(seconds=backfill_after_s) or (first and fault == "missing"),
            )
        )
    return articles
