"""From items to the articles to publish: each once per version, with its times. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from riskwire.ingest.memory import ItemMemory
from riskwire.ingest.parsing.items import Item
from riskwire.records import Article


def admit(
    items: Sequence[Item],
    source: str,
    memory: ItemMemory,
    seen_at: datetime,
    backfill_after_s: float,
    *,
    first: bool = False,
) -> list[Article]:
    """Articles for the items that are new or have new content; `published_at` is never later than `seen_at`.

    Args:
        first: these items are of the first document ever read of a feed: one without a date is of unknown age, so
            backfill.
    """
    articles = []
    for item in items:
        memory.saw(item.id)
        version = memory.version_of(item.id, item.content)
        if version is None:
            continue
        published_at = min(item.published_at or seen_at, seen_at)
        articles.append(
            Article(
                id=item.id,
                version=version,
                url=item.url,
                source=source,
                title=item.title,
                text=item.text,
                language=item.language,
                published_at=published_at,
                seen_at=seen_at,
                backfill=seen_at - published_at > timedelta(seconds=backfill_after_s)
                or (first and item.published_at is None),
            )
        )
    return articles
