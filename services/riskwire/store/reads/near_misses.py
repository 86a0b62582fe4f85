"""Reads near misses: stories that came near an event alert of a target and did not notify."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, RowMapping, Select, func, select

from riskwire.records import NearMiss, content_id, from_ms, to_ms
from riskwire.store import tables

_MIN_NAME: Final = 3
"""Characters of a name that is looked for in titles."""
_UNREAD_MS: Final = 30 * 86_400_000
"""How far back titles of other languages are looked at."""


@dataclass(frozen=True, slots=True)
class NearMissQuery:
    """Which near misses of a target to read.

    Attributes:
        since, until: those decided from `since` until before `until`; None for no limit.
        min_novelty, min_relevance: those of at least this novelty and relevance, 0 to 1.
        limit: the most that are read.
    """

    since: datetime | None = None
    until: datetime | None = None
    min_novelty: float = 0.0
    min_relevance: float = 0.0
    limit: int = 100


def list_near_misses(connection: Connection, target: str, query: NearMissQuery) -> list[NearMiss]:
    """Returns the near misses of a target that a query asks for, newest first.

    Articles in a language that the bundle does not read have no signals, so that the alert stage cannot know of them.
    Those of the last 30 days whose title has the name of the target are near misses with the reason `language`.
    """
    miss = tables.near_misses.c
    rows = select(miss.body).where(
        miss.target == target, miss.novelty >= query.min_novelty, miss.relevance >= query.min_relevance
    )
    if query.since is not None:
        rows = rows.where(miss.at_ms >= to_ms(query.since))
    if query.until is not None:
        rows = rows.where(miss.at_ms < to_ms(query.until))
    rows = rows.order_by(miss.at_ms.desc(), miss.id.desc()).limit(query.limit)
    near_misses = [NearMiss.model_validate_json(body) for body in connection.execute(rows).scalars()]
    near_misses += _in_other_languages(connection, target, query)
    return sorted(near_misses, key=lambda miss: (miss.at, miss.id), reverse=True)[: query.limit]


def _in_other_languages(connection: Connection, target: str, query: NearMissQuery) -> list[NearMiss]:
    """Returns articles that the bundle does not read and whose title has the name of a target."""
    of_target = select(tables.targets.c.name, tables.targets.c.kind).where(tables.targets.c.target == target)
    row = connection.execute(of_target).mappings().first()
    if row is None or row["kind"] != "entity" or len(row["name"]) < _MIN_NAME:
        return []
    statement = _unread(query, row["name"].casefold())
    return [_unread_near_miss(article, target, row["name"]) for article in connection.execute(statement).mappings()]


def _unread(query: NearMissQuery, name: str) -> Select[tuple[object, ...]]:
    """Returns the statement that finds unread articles with a name in the title."""
    article = tables.articles.c
    newest = select(func.max(article.seen_ms)).scalar_subquery()
    statement = select(tables.articles).where(
        article.status == "unsupported",
        article.seen_ms > newest - _UNREAD_MS,
        func.lower(article.title).contains(name, autoescape=True),
    )
    if query.since is not None:
        statement = statement.where(article.seen_ms >= to_ms(query.since))
    if query.until is not None:
        statement = statement.where(article.seen_ms < to_ms(query.until))
    return statement.order_by(article.seen_ms.desc(), article.id.desc()).limit(query.limit)


def _unread_near_miss(article: RowMapping, target: str, name: str) -> NearMiss:
    seen_at = from_ms(article["seen_ms"])
    return NearMiss(
        id=content_id("near-miss", target, article["id"], str(article["version"]), "language"),
        target=target,
        name=name,
        at=seen_at,
        reason="language",
        detail=f"The bundle does not read its language ({article['language'] or 'unknown'}).",
        story=article["story"] or "",
        article=article["id"],
        version=article["version"],
        title=article["title"],
        url=article["url"],
        source=article["source"],
        publisher=article["publisher"],
        published_at=from_ms(article["published_ms"]),
        seen_at=seen_at,
        bundle=article["bundle"],
    )
