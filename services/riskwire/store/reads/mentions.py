"""Reading the past of a target that is new: the articles that mention it and never spoke of it as one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, exists, func, select

from riskwire.records import Evidence, Sentiment, from_ms
from riskwire.store import tables
from riskwire.store.rows import to_ms
from riskwire.store.upsert import chunks

Row = Mapping[str, Any]


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
    before: int,
) -> list[PastArticle]:
    """The newest articles, at most `most`, that mention one of these names (`joined(name_key(…))`) or entities and
    have no signal of `target`; newest first. Beside what their signals said of who is so mentioned, `also` names
    targets whose signals are read.

    What was read with the command at offset `before` or a later one is not there: not the article, nor its later
    version, nor what that said. So the answer is the same whenever it is asked for, once what was read before it is
    in the store.
    """
    rows = {row["id"]: row for row in _read_before(connection, target, keys, entities, most, before)}
    mentions = _mentions(connection, rows)
    for row, mentioned in _replaced_since(connection, target, before):
        if any(one.key in keys or one.entity in entities for one in mentioned):
            rows[row["id"]], mentions[row["id"]] = row, mentioned
    newest = sorted(rows.values(), key=lambda row: (row["seen_ms"], row["id"]), reverse=True)[:most]
    asked = {(target, row["id"]) for row in newest for target in also}
    asked |= {
        (f"entity:{one.entity}", row["id"])
        for row in newest
        for one in mentions[row["id"]]
        if one.key in keys or one.entity in entities
    }
    spoken = _spoken(connection, sorted(asked), {row["id"]: row["version"] for row in newest})
    return [
        PastArticle(
            id=row["id"],
            version=row["version"],
            title=row["title"],
            url=row["url"],
            source=row["source"],
            published_at=from_ms(row["published_ms"]),
            seen_at=from_ms(row["seen_ms"]),
            backfill=row["backfill"],
            bundle=row["bundle"],
            story=row["story"] or row["id"],
            mentions=tuple(mentions[row["id"]]),
            spoken=tuple(spoken.get(row["id"], ())),
        )
        for row in newest
    ]


def stories_told(connection: Connection, target: str, since: datetime, before: int) -> list[tuple[str, datetime]]:
    """The fingerprints of a target's stories that were read before the command at this offset and told since a time,
    and when each was last told."""
    signal, article = tables.signals.c, tables.articles.c
    told_since = (signal.target == target) & (signal.seen_ms >= to_ms(since))
    current = (
        select(signal.story, signal.seen_ms)
        .join(tables.articles, article.id == signal.article)
        .where(told_since, signal.version <= article.version, _was_read_before(article, before))
    )
    told: dict[str, int] = {}
    for story, seen_ms in connection.execute(current):
        told[story] = max(seen_ms, told.get(story, seen_ms))
    version = tables.replaced.c
    last = (
        select(version.article, func.max(version.version).label("version"))
        .join(tables.articles, article.id == version.article)
        .where(_was_read_before(version, before), ~_was_read_before(article, before))
        .group_by(version.article)
    )
    versions = {row.article: row.version for row in connection.execute(last)}
    for chunk in chunks(versions):  # few articles: to look for them among a group's signals would read all of those
        query = select(signal.article, signal.version, signal.story, signal.seen_ms)
        rows = connection.execute(query.where(told_since, signal.article.in_(chunk)))
        for one, number, story, seen_ms in rows:
            if number <= versions[one]:
                told[story] = max(seen_ms, told.get(story, seen_ms))
    return [(story, from_ms(seen_ms)) for story, seen_ms in told.items()]


def _was_read_before(columns: Any, command: int) -> ColumnElement[bool]:
    """Whether a version was read with the watchlist of before the command at this offset."""
    return func.coalesce(columns.read_with, -1) < command


def _read_before(
    connection: Connection, target: str, keys: Sequence[str], entities: Sequence[str], most: int, before: int
) -> list[Row]:
    """The newest articles in their newest version that mention one of these, and have no signal of `target`."""
    mention, signal, article = tables.mentions.c, tables.signals.c, tables.articles.c
    told = exists().where(signal.target == target, signal.article == mention.article, signal.version <= article.version)
    newest: dict[str, int] = {}
    for column, values in ((mention.key, keys), (mention.entity, entities)):
        for chunk in chunks(values):
            query = (
                select(mention.article, func.max(mention.seen_ms).label("seen_ms"))
                .join(tables.articles, article.id == mention.article)
                .where(column.in_(chunk), article.status == "ok", _was_read_before(article, before), ~told)
                .group_by(mention.article)
                .order_by(func.max(mention.seen_ms).desc(), mention.article.desc())
                .limit(most)
            )
            newest.update({row.article: row.seen_ms for row in connection.execute(query)})
    ids = sorted(newest, key=lambda one: (newest[one], one), reverse=True)[:most]
    found: list[Row] = []
    for chunk in chunks(ids):
        rows = connection.execute(select(tables.articles).where(article.id.in_(chunk))).mappings()
        found += [dict(row) for row in rows]
    return found


def _replaced_since(connection: Connection, target: str, before: int) -> Iterator[tuple[Row, list[Mentioned]]]:
    """Articles in the version that was the newest before the command, where it is not any more, and whom it mentions;
    without those that had a signal of `target`."""
    version, article, signal = tables.replaced.c, tables.articles.c, tables.signals.c
    query = (
        select(version.article, version.version, version.body)
        .join(tables.articles, article.id == version.article)
        .where(_was_read_before(version, before), ~_was_read_before(article, before))
        .order_by(version.article, version.version)
    )
    bodies = {row.article: (row.version, row.body) for row in connection.execute(query)}
    told: dict[str, int] = {}
    for chunk in chunks(bodies):
        spoke = select(signal.article, func.min(signal.version).label("version")).group_by(signal.article)
        rows = connection.execute(spoke.where(signal.target == target, signal.article.in_(chunk)))
        told.update({row.article: row.version for row in rows})
    for one, (number, raw) in bodies.items():
        if told.get(one, number + 1) > number:
            body = orjson.loads(raw)
            mentions = sorted(body["mentions"], key=lambda row: (row["sentence"], row["entity"], row["key"]))
            yield body["article"], [_mentioned(row) for row in mentions]


def _mentions(connection: Connection, articles: Iterable[str]) -> dict[str, list[Mentioned]]:
    table = tables.mentions
    found: dict[str, list[Mentioned]] = {article: [] for article in articles}
    for chunk in chunks(found):
        query = select(table).where(table.c.article.in_(chunk)).order_by(table.c.sentence, table.c.entity, table.c.key)
        for row in connection.execute(query).mappings():
            found[row["article"]].append(_mentioned(dict(row)))
    return found


def _mentioned(row: Row) -> Mentioned:
    return Mentioned(
        entity=row["entity"],
        key=row["key"],
        text=row["text"],
        sentence=row["sentence"],
        span=(row["start"], row["end"]) if row["start"] >= 0 else None,
        weight=row["weight"],
        relevance=row["relevance"],
        negative=row["negative"],
        neutral=row["neutral"],
        positive=row["positive"],
    )


def _spoken(
    connection: Connection, pairs: Iterable[tuple[str, str]], versions: Mapping[str, int]
) -> dict[str, list[Spoken]]:
    """By article, what its signals said last of each target, up to this version of it."""
    signal = tables.signals.c
    asked: dict[str, list[str]] = {}
    for target, article in pairs:
        asked.setdefault(target, []).append(article)
    last: dict[tuple[str, str], Any] = {}
    for target, articles in asked.items():  # SQLite would scan all signals for a list of pairs
        for chunk in chunks(articles):
            query = select(tables.signals).where(signal.target == target, signal.article.in_(chunk))
            for row in connection.execute(query.order_by(signal.article, signal.version)):
                if row.version <= versions[row.article]:
                    last[target, row.article] = row
    found: dict[str, list[Spoken]] = {}
    for row in last.values():
        found.setdefault(row.article, []).append(
            Spoken(
                target=row.target,
                sentiment=Sentiment(negative=row.negative, neutral=row.neutral, positive=row.positive),
                relevance=row.relevance,
                evidence=Evidence(text=row.text, start=row.start, end=row.end),
            )
        )
    return found
