"""Reading stories: those of a target, or the newest of all.

The store groups articles whose fingerprints are equal; what is read together is folded once more by likeness
(`riskwire.story.same_story`), so that a page shows a reprint with another lead only once.
"""

from __future__ import annotations

from collections.abc import Iterable

import orjson
from sqlalchemy import Connection, and_, func, or_, select

from riskwire.records import Evidence, Sentiment, from_ms
from riskwire.store import tables
from riskwire.store.rows import Cursor, StoryRow, to_ms
from riskwire.story import bands, is_fingerprint, same_story

_REPRINTS = 4
"""Rows read for one story of a page: a page may be short where its stories have more reprints."""


class _Page:
    """At most `limit` stories, the newest telling of each first met; later ones only add to its articles."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rows: dict[str, StoryRow] = {}
        self._articles: dict[str, int] = {}
        self._by_band: dict[str, list[str]] = {}

    @property
    def full(self) -> bool:
        return len(self._rows) == self._limit

    def told(self, story: str, articles: int) -> bool:
        """Whether the page has this story; its articles are then counted."""
        known = self._alike(story)
        if known is not None:
            self._articles[known] += articles
        return known is not None

    def add(self, row: StoryRow) -> None:
        self._rows[row.story] = row
        self._articles[row.story] = row.articles
        for band in _bands(row.story):
            self._by_band.setdefault(band, []).append(row.story)

    def rows(self) -> list[StoryRow]:
        return [row.model_copy(update={"articles": self._articles[story]}) for story, row in self._rows.items()]

    def _alike(self, story: str) -> str | None:
        if story in self._rows:
            return story
        candidates = (other for band in _bands(story) for other in self._by_band.get(band, ()))
        return next((other for other in candidates if same_story(story, other)), None)


def _bands(story: str) -> Iterable[str]:
    """Keys under which likeness is looked up; a story that is no fingerprint is like no other."""
    return bands(story) if is_fingerprint(story) else ()


def stories_of(connection: Connection, target: str, limit: int, before: Cursor | None) -> list[StoryRow]:
    """A target's stories, newest first, each by its newest article."""
    story, signal = tables.stories.c, tables.signals.c
    page = select(story.story, story.articles, story.seen_ms).where(story.target == target)
    if before is not None:
        at = to_ms(before.at)
        page = page.where(or_(story.seen_ms < at, and_(story.seen_ms == at, story.story < before.key)))
    page = page.order_by(story.seen_ms.desc(), story.story.desc()).limit(limit * _REPRINTS)
    chosen = page.subquery()
    place = (
        func.row_number()
        .over(partition_by=signal.story, order_by=(signal.seen_ms.desc(), signal.article.desc()))
        .label("place")
    )
    ranked = (
        select(tables.signals, chosen.c.articles, place)
        .join(chosen, chosen.c.story == signal.story)
        .where(signal.target == target, signal.superseded.is_(False))
        .subquery()
    )
    query = select(ranked).where(ranked.c.place == 1).order_by(ranked.c.seen_ms.desc(), ranked.c.story.desc())
    shown = _Page(limit)
    for row in connection.execute(query):
        if shown.full:
            break
        if shown.told(row.story, row.articles):
            continue
        shown.add(
            StoryRow(
                story=row.story,
                article=row.article,
                articles=row.articles,
                title=row.title,
                url=row.url,
                source=row.source,
                published_at=from_ms(row.published_ms),
                seen_at=from_ms(row.seen_ms),
                backfill=row.backfill,
                sentiment=Sentiment(negative=row.negative, neutral=row.neutral, positive=row.positive),
                score=row.score_1e4 / 10_000,
                relevance=row.relevance,
                evidence=Evidence(text=row.text, start=row.start, end=row.end),
            )
        )
    return shown.rows()


def newest_stories(connection: Connection, limit: int, before: Cursor | None) -> list[StoryRow]:
    """The newest stories of all, those that could not be read too, each by its newest article on this page."""
    table = tables.articles.c
    columns = [column for column in table if column is not table.read_with]  # a store of before has not got it
    query = select(*columns).order_by(table.seen_ms.desc(), table.id.desc()).limit(limit * _REPRINTS)
    if before is not None:
        query = query.where(table.seen_ms < to_ms(before.at))
    shown = _Page(limit)
    for row in connection.execute(query):
        story = row.story or row.id
        if shown.told(story, 1) or shown.full:
            continue
        read = row.negative is not None
        shown.add(
            StoryRow(
                story=story,
                article=row.id,
                articles=1,
                title=row.title,
                url=row.url,
                source=row.source,
                published_at=from_ms(row.published_ms),
                seen_at=from_ms(row.seen_ms),
                status=row.status,
                language=row.language,
                backfill=row.backfill,
                topics=tuple(orjson.loads(row.topics)),
                sentiment=Sentiment(negative=row.negative, neutral=row.neutral, positive=row.positive)
                if read
                else None,
                score=round(row.positive - row.negative, 4) if read else None,
            )
        )
    return shown.rows()
