"""Reads stories: those of one target, or the newest of all.

The store groups articles with equal fingerprints. A page of results also merges stories with similar fingerprints
(`riskwire.story.same_story`), so that a reprint with another lead is shown once.
"""

from __future__ import annotations

from collections.abc import Iterable

import orjson
from sqlalchemy import Connection, and_, func, or_, select

from riskwire.records import Evidence, Sentiment, from_ms, to_ms
from riskwire.store import tables
from riskwire.store.risk_columns import events_of, level_of
from riskwire.store.rows import Cursor, StoryRow
from riskwire.story import bands, is_fingerprint, same_story

_REPRINTS = 4
"""Rows read per story of a page. A page is shorter than its limit when its stories have more reprints than this."""


class _Page:
    """At most `limit` stories, in the order in which they are added."""

    def __init__(self, limit: int) -> None:
        """Makes an empty page. Rows and numbers of articles are kept by story, stories by band of their fingerprint."""
        self._limit = limit
        self._rows: dict[str, StoryRow] = {}
        self._articles: dict[str, int] = {}
        self._by_band: dict[str, list[str]] = {}

    @property
    def full(self) -> bool:
        """Whether the page has `limit` stories."""
        return len(self._rows) == self._limit

    def merge(self, story: str, articles: int) -> bool:
        """Adds `articles` to the count of the row that shows the same story. Returns False if the page has none.

        A story is given by its fingerprint. A near-duplicate fingerprint is the same story.
        """
        same = self._find_same(story)
        if same is not None:
            self._articles[same] += articles
        return same is not None

    def add(self, row: StoryRow) -> None:
        """Adds a story that the page does not have, and files it under its bands, by which `merge` finds it."""
        self._rows[row.story] = row
        self._articles[row.story] = row.articles
        for band in _bands(row.story):
            self._by_band.setdefault(band, []).append(row.story)

    def rows(self) -> list[StoryRow]:
        """Returns the stories with the articles of all merged ones."""
        return [row.model_copy(update={"articles": self._articles[story]}) for story, row in self._rows.items()]

    def _find_same(self, story: str) -> str | None:
        """Returns the fingerprint of the row that shows the same story, or None.

        Two fingerprints are the same story if they are equal or near-duplicates. Near-duplicates share at least one
        band (part of a fingerprint), so only the rows with a common band are compared.
        """
        if story in self._rows:
            return story
        candidates = (candidate for band in _bands(story) for candidate in self._by_band.get(band, ()))
        return next((candidate for candidate in candidates if same_story(story, candidate)), None)


def _bands(story: str) -> Iterable[str]:
    """Returns the bands of a fingerprint. A story id that is no fingerprint has none, so it is similar to no other."""
    return bands(story) if is_fingerprint(story) else ()


def stories_of(connection: Connection, target: str, limit: int, before: Cursor | None) -> list[StoryRow]:
    """Returns the stories of a target, newest first, each with its newest article. At most `limit`.

    A story is a group of articles with equal fingerprints. Of the newest `limit` * `_REPRINTS` stories, those with
    similar fingerprints are merged into one row, which has the newest article of all. So the result may have fewer rows
    than `limit` although there are more stories. Superseded signals (of replaced article versions) do not count.

    Args:
        before: only stories older than this cursor, for the next page; None for the first page.
    """
    story, signal = tables.stories.c, tables.signals.c
    newest = select(story.story, story.articles, story.counted_ms).where(story.target == target)
    if before is not None:
        at = to_ms(before.at)
        newest = newest.where(or_(story.counted_ms < at, and_(story.counted_ms == at, story.story < before.key)))
    newest = newest.order_by(story.counted_ms.desc(), story.story.desc()).limit(limit * _REPRINTS)
    chosen = newest.subquery()
    rank = (
        func.row_number()
        .over(partition_by=signal.story, order_by=(signal.counted_ms.desc(), signal.article.desc()))
        .label("rank")
    )
    ranked = (
        select(tables.signals, chosen.c.articles, rank)
        .join(chosen, chosen.c.story == signal.story)
        .where(signal.target == target, signal.superseded.is_(False))
        .subquery()
    )
    query = select(ranked).where(ranked.c.rank == 1).order_by(ranked.c.counted_ms.desc(), ranked.c.story.desc())
    page = _Page(limit)
    for row in connection.execute(query):
        if page.full:
            break
        if page.merge(row.story, row.articles):
            continue
        page.add(
            StoryRow(
                story=row.story,
                article=row.article,
                articles=row.articles,
                title=row.title,
                url=row.url,
                source=row.source,
                publisher=row.publisher,
                published_at=from_ms(row.published_ms),
                seen_at=from_ms(row.seen_ms),
                counted_at=from_ms(row.counted_ms),
                backfill=row.backfill,
                level=level_of(row._mapping),
                adverse=row.adverse,
                events=events_of(row._mapping),
                adverse_from=row.adverse_from,
                sentiment=Sentiment(negative=row.negative, neutral=row.neutral, positive=row.positive),
                score=row.score_1e4 / 10_000,
                relevance=row.relevance,
                evidence=Evidence(text=row.text, start=row.start, end=row.end),
            )
        )
    return page.rows()


def newest_stories(connection: Connection, limit: int, before: Cursor | None) -> list[StoryRow]:
    """Returns the newest stories of all targets, newest first, each with its newest article. At most `limit`.

    It reads the newest `limit` * `_REPRINTS` articles, and merges those with equal or similar fingerprints into one row
    that has their number. So the result may have fewer rows than `limit` although there are more stories. Articles that
    the model did not read, such as those in unsupported languages, have no sentiment and score.

    Args:
        before: only articles that count before the time of this cursor, for the next page; None for the first page.
    """
    table = tables.articles.c
    query = select(tables.articles).order_by(table.counted_ms.desc(), table.id.desc()).limit(limit * _REPRINTS)
    if before is not None:
        query = query.where(table.counted_ms < to_ms(before.at))
    page = _Page(limit)
    for row in connection.execute(query):
        story = row.story or row.id
        if page.merge(story, 1) or page.full:
            continue
        analysed = row.negative is not None
        page.add(
            StoryRow(
                story=story,
                article=row.id,
                articles=1,
                title=row.title,
                url=row.url,
                source=row.source,
                publisher=row.publisher,
                published_at=from_ms(row.published_ms),
                seen_at=from_ms(row.seen_ms),
                counted_at=from_ms(row.counted_ms),
                status=row.status,
                language=row.language,
                backfill=row.backfill,
                topics=tuple(orjson.loads(row.topics)),
                level=level_of(row._mapping),
                adverse=row.adverse,
                events=events_of(row._mapping),
                adverse_from=row.adverse_from,
                sentiment=Sentiment(negative=row.negative, neutral=row.neutral, positive=row.positive)
                if analysed
                else None,
                score=round(row.positive - row.negative, 4) if analysed else None,
            )
        )
    return page.rows()


def newest_titles(connection: Connection, limit: int) -> list[str]:
    """Returns the titles of the newest articles, newest first. At most `limit`."""
    table = tables.articles.c
    query = select(table.title).order_by(table.seen_ms.desc(), table.id.desc()).limit(limit)
    return [title for (title,) in connection.execute(query)]
