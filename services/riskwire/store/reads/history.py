"""Reads the history of a newly watched target: past articles that mention it and have no signal of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, exists, func, select

from riskwire.records import EventScore, Evidence, Level, Sentiment, from_ms, to_ms
from riskwire.store import tables
from riskwire.store.risk_columns import events_of, level_of
from riskwire.store.upsert import Row, chunks


@dataclass(frozen=True, slots=True)
class MentionSummary:
    """All mentions of one name in one article, with weights as in `riskwire.weights`.

    Attributes:
        key: the normalised name (`join_key(name_key(name))`).
        text: the first mention.
        sentence: the sentence of the first mention.
        span: start and end of the first mention in the title, or None if it is in the text.
        level: that of the worst mention; None if it is unknown.
        events: those of the worst mentions; None if they are unknown.
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
    level: Level | None = None
    events: tuple[EventScore, ...] | None = None


@dataclass(frozen=True, slots=True)
class PastSignal:
    """The signal that a past article had of a target."""

    target: str
    sentiment: Sentiment
    level: Level | None
    events: tuple[EventScore, ...] | None
    relevance: float
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class PastArticle:
    """An article of the store with all its mentions, and with its signals of the requested targets.

    Attributes:
        adverse_from: the `adverse` from which the bundle counts a mention as adverse; None without levels.
    """

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
    mentions: tuple[MentionSummary, ...]
    signals: tuple[PastSignal, ...]
    adverse_from: float | None = None
    publisher: str = ""


def past_articles(
    connection: Connection,
    target: str,
    keys: Sequence[str],
    entities: Sequence[str],
    signals_of: Sequence[str],
    limit: int,
    before: int,
) -> list[PastArticle]:
    """Returns the newest past articles that mention a newly watched target and have no signal of it, newest first.

    A later version of an article replaces an earlier one. Each version records the newest watchlist command that was
    known when it was analysed. Only versions analysed before the command at offset `before` are returned, even if a
    later version has replaced them. So a repeated call returns the same, once the store contains all those versions.

    Args:
        target: the watched target, such as `entity:acme`.
        keys: normalised names of the target (`join_key(name_key(name))`).
        entities: ids of entities that are the same, such as `isin:…`. An article must mention a key or an entity.
        signals_of: other targets whose signals are returned with each article, such as the market and the group of
            `target`. Signals of the mentioned entities are always returned.
        limit: the largest number of articles.
        before: the offset of the command that set the target.
    """
    rows = {row["id"]: row for row in _current_versions(connection, target, keys, entities, limit, before)}
    mentions = _mentions(connection, rows)
    for row, row_mentions in _replaced_versions(connection, target, before):
        if any(mention.key in keys or mention.entity in entities for mention in row_mentions):
            rows[row["id"]], mentions[row["id"]] = row, row_mentions
    newest = sorted(rows.values(), key=lambda row: (row["seen_ms"], row["id"]), reverse=True)[:limit]
    pairs = {(signal_target, row["id"]) for row in newest for signal_target in signals_of}
    pairs |= {
        (f"entity:{mention.entity}", row["id"])
        for row in newest
        for mention in mentions[row["id"]]
        if mention.key in keys or mention.entity in entities
    }
    signals = _last_signals(connection, sorted(pairs), {row["id"]: row["version"] for row in newest})
    return [
        PastArticle(
            id=row["id"],
            version=row["version"],
            title=row["title"],
            url=row["url"],
            source=row["source"],
            publisher=row["publisher"],
            published_at=from_ms(row["published_ms"]),
            seen_at=from_ms(row["seen_ms"]),
            backfill=row["backfill"],
            bundle=row["bundle"],
            story=row["story"] or row["id"],
            mentions=tuple(mentions[row["id"]]),
            signals=tuple(signals.get(row["id"], ())),
            adverse_from=row["adverse_from"],
        )
        for row in newest
    ]


def past_stories(connection: Connection, target: str, since: datetime, before: int) -> list[tuple[str, datetime]]:
    """Returns the stories of a target as (fingerprint, time of its newest signal), in no particular order.

    Only versions of articles count that were analysed before a command took effect. A later version may have
    replaced one since; its signals are still in the store.

    Args:
        since: only signals of articles seen at this time or later count.
        before: the offset of the command; the watchlist that a version was analysed with must be older.
    """
    signal, article = tables.signals.c, tables.articles.c
    recent = (signal.target == target) & (signal.seen_ms >= to_ms(since))
    current = (
        select(signal.story, signal.seen_ms)
        .join(tables.articles, article.id == signal.article)
        .where(recent, signal.version <= article.version, _was_read_before(article, before))
    )
    last_seen: dict[str, int] = {}
    for story, seen_ms in connection.execute(current):
        last_seen[story] = max(seen_ms, last_seen.get(story, seen_ms))
    replaced = tables.replaced_versions.c
    last_versions = (
        select(replaced.article, func.max(replaced.version).label("version"))
        .join(tables.articles, article.id == replaced.article)
        .where(_was_read_before(replaced, before), ~_was_read_before(article, before))
        .group_by(replaced.article)
    )
    versions = {row.article: row.version for row in connection.execute(last_versions)}
    # There are few of these articles, but a group can have very many signals: they are looked up by article.
    for chunk in chunks(versions):
        query = select(signal.article, signal.version, signal.story, signal.seen_ms)
        rows = connection.execute(query.where(recent, signal.article.in_(chunk)))
        for article_id, version, story, seen_ms in rows:
            if version <= versions[article_id]:
                last_seen[story] = max(seen_ms, last_seen.get(story, seen_ms))
    return [(story, from_ms(seen_ms)) for story, seen_ms in last_seen.items()]


def _was_read_before(columns: Any, command: int) -> ColumnElement[bool]:
    """Returns the condition that a version was read with a watchlist from before the command at this offset.

    `read_with` is the offset of the last change of the watchlist at the time, or NULL or -1 before the first.
    """
    return func.coalesce(columns.read_with, -1) < command


def _current_versions(
    connection: Connection, target: str, keys: Sequence[str], entities: Sequence[str], limit: int, before: int
) -> list[Row]:
    """Returns the newest articles that mention one of some names and have no signal of `target`, as rows of `articles`.

    Only articles whose current version was read with a watchlist from before the command at offset `before`, and that
    the model could read. The rows, at most `limit`, are in no particular order.

    Args:
        keys: normalised names. An article must mention a key, or one of `entities` (entity ids).
    """
    mention, signal, article = tables.mentions.c, tables.signals.c, tables.articles.c
    has_signal = exists().where(
        signal.target == target, signal.article == mention.article, signal.version <= article.version
    )
    newest: dict[str, int] = {}
    for column, values in ((mention.key, keys), (mention.entity, entities)):
        for chunk in chunks(values):
            query = (
                select(mention.article, func.max(mention.seen_ms).label("seen_ms"))
                .join(tables.articles, article.id == mention.article)
                .where(column.in_(chunk), article.status == "ok", _was_read_before(article, before), ~has_signal)
                .group_by(mention.article)
                .order_by(func.max(mention.seen_ms).desc(), mention.article.desc())
                .limit(limit)
            )
            newest.update({row.article: row.seen_ms for row in connection.execute(query)})
    ids = sorted(newest, key=lambda article_id: (newest[article_id], article_id), reverse=True)[:limit]
    rows: list[Row] = []
    for chunk in chunks(ids):
        result = connection.execute(select(tables.articles).where(article.id.in_(chunk)))
        rows += [dict(row) for row in result.mappings()]
    return rows


def _replaced_versions(connection: Connection, target: str, before: int) -> Iterator[tuple[Row, list[MentionSummary]]]:
    """Yields earlier versions of articles whose current version was analysed after the command at offset `before`.

    Of each article, it yields the last version that was analysed before the command, as its row of `articles` and its
    mentions. It omits a version if that or an earlier version has a signal of `target`.
    """
    replaced, article, signal = tables.replaced_versions.c, tables.articles.c, tables.signals.c
    query = (
        select(replaced.article, replaced.version, replaced.body)
        .join(tables.articles, article.id == replaced.article)
        .where(_was_read_before(replaced, before), ~_was_read_before(article, before))
        .order_by(replaced.article, replaced.version)
    )
    bodies = {row.article: (row.version, row.body) for row in connection.execute(query)}
    first_signals: dict[str, int] = {}
    for chunk in chunks(bodies):
        first = select(signal.article, func.min(signal.version).label("version")).group_by(signal.article)
        rows = connection.execute(first.where(signal.target == target, signal.article.in_(chunk)))
        first_signals.update({row.article: row.version for row in rows})
    for article_id, (version, raw) in bodies.items():
        if first_signals.get(article_id, version + 1) > version:
            body = orjson.loads(raw)
            mentions = sorted(body["mentions"], key=lambda row: (row["sentence"], row["entity"], row["key"]))
            yield body["article"], [_mention_summary(row) for row in mentions]


def _mentions(connection: Connection, articles: Iterable[str]) -> dict[str, list[MentionSummary]]:
    """Returns the mentions stored for each article, in the order of the text; an empty list if it has none."""
    table = tables.mentions
    mentions: dict[str, list[MentionSummary]] = {article: [] for article in articles}
    for chunk in chunks(mentions):
        query = select(table).where(table.c.article.in_(chunk)).order_by(table.c.sentence, table.c.entity, table.c.key)
        for row in connection.execute(query).mappings():
            mentions[row["article"]].append(_mention_summary(dict(row)))
    return mentions


def _mention_summary(row: Row) -> MentionSummary:
    """Returns a row of the table `mentions` as an object. A span of -1 in the table means that there is no span."""
    return MentionSummary(
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
        level=level_of(row),
        events=events_of(row),
    )


def _last_signals(
    connection: Connection, pairs: Iterable[tuple[str, str]], versions: Mapping[str, int]
) -> dict[str, list[PastSignal]]:
    """Returns, by article, the last signal of each (target, article) pair. A pair without a signal is left out.

    Args:
        versions: the version of each article; signals of later versions are ignored.
    """
    signal = tables.signals.c
    articles_by_target: dict[str, list[str]] = {}
    for target, article in pairs:
        articles_by_target.setdefault(target, []).append(article)
    last: dict[tuple[str, str], Any] = {}
    for target, articles in articles_by_target.items():  # given a list of pairs, SQLite would scan all signals
        for chunk in chunks(articles):
            query = select(tables.signals).where(signal.target == target, signal.article.in_(chunk))
            for row in connection.execute(query.order_by(signal.article, signal.version)):
                if row.version <= versions[row.article]:
                    last[target, row.article] = row
    signals: dict[str, list[PastSignal]] = {}
    for row in last.values():
        signals.setdefault(row.article, []).append(
            PastSignal(
                target=row.target,
                sentiment=Sentiment(negative=row.negative, neutral=row.neutral, positive=row.positive),
                level=level_of(row._mapping),
                events=events_of(row._mapping),
                relevance=row.relevance,
                evidence=Evidence(text=row.text, start=row.start, end=row.end),
            )
        )
    return signals
