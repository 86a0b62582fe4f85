"""Writes analyses: the newest version of each article, its mentions, and earlier versions that history needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, delete, select

from riskwire.records import Analysis, to_ms
from riskwire.store import tables
from riskwire.store.changes import record_changes
from riskwire.store.database.postgresql.partitions import make_partitions
from riskwire.store.risk_columns import risk_values
from riskwire.store.upsert import chunks, upsert
from riskwire.store.writes.counted import counted_ms
from riskwire.store.writes.mentions import mention_rows, replace_mentions
from riskwire.store.writes.replaced_versions import keep_if_replaced, keep_replaced
from riskwire.worst_mention import MentionRisk, strongest_events, worst_mention

_MAX_TOPICS = 5
"""Most topics of an article that are kept, by score."""


def write_analyses(connection: Connection, analyses: Iterable[Analysis], max_mentions: int) -> None:
    """Writes the newest version of each article and its mentions, and the newest time of each source.

    A version that a newer one replaces, in the store or in `analyses`, moves to `replaced_versions` if it was read
    with an earlier watchlist. The analyses may come in any order and repeatedly; of two with the same version, the
    later one counts. If any row changes, a change of the status is recorded for live readers.

    Args:
        max_mentions: most names kept per article.
    """
    newest: dict[str, Analysis] = {}
    replaced: list[Analysis] = []
    source_times: dict[str, int] = {}
    for analysis in analyses:
        article = analysis.article
        previous = newest.get(article.id)
        if previous is None or previous.article.version <= article.version:
            newest[article.id] = analysis
            replaced += [previous] if previous else []
        else:
            replaced.append(analysis)
        source_times[article.source] = max(source_times.get(article.source, 0), to_ms(article.seen_at))
    rows = [_article_row(analysis) for analysis in newest.values()]
    keep_replaced(connection, rows)
    written = _replace_articles(connection, rows)
    replace_mentions(connection, [newest[article] for article in newest if article in written], max_mentions)
    replaced += [analysis for article, analysis in newest.items() if article not in written]
    if replaced:
        versions = [(_article_row(analysis), list(mention_rows(analysis, max_mentions))) for analysis in replaced]
        keep_if_replaced(connection, versions)
    upsert(
        connection,
        tables.sources,
        [{"source": source, "seen_ms": seen_ms} for source, seen_ms in source_times.items()],
        newer=lambda new: new.seen_ms > tables.sources.c.seen_ms,
    )
    if written:
        record_changes(connection, [("status", "")])


def _replace_articles(connection: Connection, rows: Sequence[dict[str, Any]]) -> set[str]:
    """Writes rows of the table `articles`, unless a later version is stored. Returns the articles that changed.

    A later version has another time, hence on PostgreSQL perhaps another partition, and no unique key of the id alone
    can exist there. So the stored row is looked up by its id, and deleted if the new one has another time.
    """
    article = tables.articles.c
    stored: dict[str, tuple[int, int]] = {}
    for chunk in chunks([row["id"] for row in rows]):
        query = select(article.id, article.version, article.seen_ms).where(article.id.in_(chunk))
        stored.update({row.id: (row.version, row.seen_ms) for row in connection.execute(query)})
    newer = [row for row in rows if row["id"] not in stored or row["version"] >= stored[row["id"]][0]]
    moved = [row["id"] for row in newer if row["id"] in stored and row["seen_ms"] != stored[row["id"]][1]]
    for chunk in chunks(moved):
        connection.execute(delete(tables.articles).where(article.id.in_(chunk)))
    make_partitions(connection, tables.articles, [row["seen_ms"] for row in newer])
    return {key[0] for key in upsert(connection, tables.articles, newer)}


def _article_row(analysis: Analysis) -> dict[str, Any]:
    """Returns the row of the table `articles` for an analysis. Times are milliseconds since 1970.

    Keeps the labels of the `_MAX_TOPICS` most probable topics, as a JSON array. The sentiment columns are None if the
    model did not read the article (empty, or in an unsupported language). `read_with` is the offset of the last command
    that had changed the watchlist before. The level is that of the worst mention; the event types include those of
    sentences that belong to no party.
    """
    article, sentiment = analysis.article, analysis.sentiment
    risk = worst_mention(
        [MentionRisk(mention.level, mention.events) for mention in analysis.mentions], analysis.adverse_from
    )
    events = strongest_events([risk.events, *(sentence.events for sentence in analysis.sentences)])
    topics = sorted(analysis.topics, key=lambda topic: -topic.score)[:_MAX_TOPICS]
    return {
        "id": article.id,
        "version": article.version,
        "status": analysis.status,
        "source": article.source,
        "publisher": article.publisher,
        "url": article.url,
        "title": article.title,
        "language": article.language,
        "bundle": analysis.bundle,
        "story": analysis.story,
        "topics": orjson.dumps([topic.label for topic in topics]).decode(),
        "published_ms": to_ms(article.published_at),
        "seen_ms": to_ms(article.seen_at),
        "backfill": article.backfill,
        "counted_ms": counted_ms(article.published_at, article.seen_at, backfill=article.backfill),
        "negative": sentiment.negative if sentiment else None,
        "neutral": sentiment.neutral if sentiment else None,
        "positive": sentiment.positive if sentiment else None,
        **risk_values(risk.level, events),
        "adverse_from": analysis.adverse_from,
        "read_with": analysis.read_with,
    }
