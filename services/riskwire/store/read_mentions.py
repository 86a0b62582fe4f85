"""Reading the past of a target that is new: the articles that mention it and never spoke of it as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, exists, func, select, tuple_

from riskwire.schemas import Evidence, Sentiment
from riskwire.store import tables
from riskwire.store.rows import from_ms
from riskwire.store.upsert import chunks


@dataclass(frozen=True, slots=True)
class Mentioned:
    """One name in one article, over all its mentions there; weights as in `riskwire.weights`.

    `span` is where it stands in the title, if it does.
    """

    entity: str
    key: str
    text: str
    sentence: int
    span: tuple[int, int] | None
    weight: float
    relevance: float
    negative: float
    neutral: float
    positive: float


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a signal of an article said of a target."""

    target: str
    sentiment: Sentiment
    relevance: float
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class PastArticle:
    """An article of the store, everyone it mentions, and what those of its signals said that were asked for."""

    id: str
    version: int
    title: str
    url: str
    source: str
    published_at: datetime
    seen_at: datetime
    backfill: bool
    bundle: str
    story: str
    mentions: tuple[Mentioned, ...]
    spoken: tuple[Spoken, ...]


def articles_mentioning(
    connection: Connection,
    target: str,
    keys: Sequence[str],
    entities: Sequence[str],
    also: Sequence[str],
    most: int,
) -> list[PastArticle]:
    """The newest articles, at most `most`, that mention one of these names (`joined(name_key(…))`) or entities and
    have no signal of `target`; newest first. Beside what their signals said of who is so mentioned, `also` names
    targets whose signals are read."""
    mention, signal = tables.mentions.c, tables.signals.c
    told = exists().where(signal.target == target, signal.article == mention.article)
    newest: dict[str, int] = {}
    for column, values in ((mention.key, keys), (mention.entity, entities)):
        for chunk in chunks(values):
            query = (
                select(mention.article, func.max(mention.seen_ms).label("seen_ms"))
                .where(column.in_(chunk), ~told)
                .group_by(mention.article)
                .order_by(func.max(mention.seen_ms).desc(), mention.article.desc())
                .limit(most)
            )
            newest.update({row.article: row.seen_ms for row in connection.execute(query)})
    ids = sorted(newest, key=lambda article: (newest[article], article), reverse=True)[:most]
    mentions = _mentions(connection, ids)
    asked = {(target, article) for article in ids for target in also}
    asked |= {
        (f"entity:{one.entity}", article)
        for article, several in mentions.items()
        for one in several
        if one.key in keys or one.entity in entities
    }
    spoken = _spoken(connection, sorted(asked))
    table = tables.articles
    found: dict[str, PastArticle] = {}
    for chunk in chunks(ids):
        for row in connection.execute(select(table).where(table.c.id.in_(chunk), table.c.status == "ok")):
            found[row.id] = PastArticle(
                id=row.id,
                version=row.version,
                title=row.title,
                url=row.url,
                source=row.source,
                published_at=from_ms(row.published_ms),
                seen_at=from_ms(row.seen_ms),
                backfill=row.backfill,
                bundle=row.bundle,
                story=row.story or row.id,
                mentions=tuple(mentions.get(row.id, ())),
                spoken=tuple(spoken.get(row.id, ())),
            )
    return [found[article] for article in ids if article in found]


def stories_told(connection: Connection, target: str) -> list[tuple[str, datetime]]:
    """The fingerprints of a target's stories, and when each was last told."""
    story = tables.stories.c
    query = select(story.story, story.seen_ms).where(story.target == target)
    return [(row.story, from_ms(row.seen_ms)) for row in connection.execute(query)]


def _mentions(connection: Connection, articles: Iterable[str]) -> dict[str, list[Mentioned]]:
    table = tables.mentions
    found: dict[str, list[Mentioned]] = {}
    for chunk in chunks(articles):
        query = select(table).where(table.c.article.in_(chunk)).order_by(table.c.sentence, table.c.entity, table.c.key)
        for row in connection.execute(query):
            found.setdefault(row.article, []).append(
                Mentioned(
                    entity=row.entity,
                    key=row.key,
                    text=row.text,
                    sentence=row.sentence,
                    span=(row.start, row.end) if row.start >= 0 else None,
                    weight=row.weight,
                    relevance=row.relevance,
                    negative=row.negative,
                    neutral=row.neutral,
                    positive=row.positive,
                )
            )
    return found


def _spoken(connection: Connection, pairs: Iterable[tuple[str, str]]) -> dict[str, list[Spoken]]:
    signal = tables.signals
    found: dict[str, list[Spoken]] = {}
    for chunk in chunks(pairs):
        query = (
            select(signal)
            .where(tuple_(signal.c.target, signal.c.article).in_(chunk), signal.c.superseded.is_(False))
            .order_by(signal.c.target)
        )
        for row in connection.execute(query):
            found.setdefault(row.article, []).append(
                Spoken(
                    target=row.target,
                    sentiment=Sentiment(negative=row.negative, neutral=row.neutral, positive=row.positive),
                    relevance=row.relevance,
                    evidence=Evidence(text=row.text, start=row.start, end=row.end),
                )
            )
    return found
