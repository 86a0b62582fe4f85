"""What can be exported: for each kind its columns, and the queries that read its rows by time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Select, Table, exists, select

from riskwire.records import Alert, NearMiss
from riskwire.store import tables
from riskwire.store.exports.columns import ColumnType, ExportColumn, Row, parsed, record_columns, stored, time
from riskwire.store.upsert import chunks

_FETCHED = 1_000
"""Rows that are fetched at once."""


class ExportKind(StrEnum):
    """The kinds of rows that can be exported."""

    ARTICLES = "articles"
    ANALYSES = "analyses"
    MENTIONS = "mentions"
    SIGNALS = "signals"
    TRENDS = "trends"
    ALERTS = "alerts"
    NEAR_MISSES = "near-misses"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows to export.

    Attributes:
        since: only rows from this time on, in milliseconds since 1970; `until` is the end, exclusive.
        target: only rows about this target; articles, analyses and mentions of articles with a signal of it.
    """

    since: int | None = None
    until: int | None = None
    target: str | None = None

    def times(self, column: ColumnElement[int]) -> list[ColumnElement[bool]]:
        """Returns the conditions on a column with times."""
        conditions = [] if self.since is None else [column >= self.since]
        return conditions if self.until is None else [*conditions, column < self.until]


_TEXT, _INTEGER, _NUMBER, _FLAG = ColumnType.TEXT, ColumnType.INTEGER, ColumnType.NUMBER, ColumnType.FLAG
_LEVELS = tuple(
    stored(name, _NUMBER) for name in ("level_neutral", "level_mild", "level_material", "level_favourable", "adverse")
)
_SENTIMENT = tuple(stored(name, _NUMBER) for name in ("negative", "neutral", "positive"))
_EVENTS = stored("events", ColumnType.JSON)

COLUMNS: dict[ExportKind, tuple[ExportColumn, ...]] = {
    ExportKind.ARTICLES: (
        stored("article", _TEXT, "id"),
        stored("version", _INTEGER),
        *(stored(name, _TEXT) for name in ("source", "publisher", "url", "title", "language", "status", "story")),
        time("published_at", "published_ms"),
        time("seen_at", "seen_ms"),
        stored("backfill", _FLAG),
    ),
    ExportKind.ANALYSES: (
        stored("article", _TEXT, "id"),
        stored("version", _INTEGER),
        time("seen_at", "seen_ms"),
        stored("bundle", _TEXT),
        stored("status", _TEXT),
        *_SENTIMENT,
        *_LEVELS,
        stored("adverse_from", _NUMBER),
        _EVENTS,
        stored("topics", ColumnType.JSON),
    ),
    ExportKind.MENTIONS: (
        stored("article", _TEXT),
        stored("n", _INTEGER),
        time("seen_at", "seen_ms"),
        *(stored(name, _TEXT) for name in ("entity", "key", "text")),
        stored("sentence", _INTEGER),
        stored("relevance", _NUMBER),
        *_SENTIMENT,
        *_LEVELS,
        _EVENTS,
    ),
    ExportKind.SIGNALS: (
        stored("target", _TEXT),
        stored("article", _TEXT),
        stored("version", _INTEGER),
        stored("superseded", _FLAG),
        *(stored(name, _TEXT) for name in ("story", "source", "publisher", "url", "title")),
        time("published_at", "published_ms"),
        time("seen_at", "seen_ms"),
        time("counted_at", "counted_ms"),
        stored("backfill", _FLAG),
        *_SENTIMENT,
        ExportColumn("score", _NUMBER, lambda row: row["score_1e4"] / 10_000),
        *_LEVELS,
        stored("adverse_from", _NUMBER),
        _EVENTS,
        stored("relevance", _NUMBER),
        stored("text", _TEXT),
        stored("start", _INTEGER),
        stored("end", _INTEGER),
        stored("bundle", _TEXT),
    ),
    ExportKind.TRENDS: (
        stored("target", _TEXT),
        time("start", "start_ms"),
        stored("length_s", _INTEGER),
        stored("stories", _INTEGER),
        stored("articles", _INTEGER),
        *_SENTIMENT,
        stored("surprise", _NUMBER),
    ),
    ExportKind.ALERTS: record_columns(Alert),
    ExportKind.NEAR_MISSES: record_columns(NearMiss),
}
"""The columns of each kind."""


def rows(connection: Connection, kind: ExportKind, selection: Selection) -> Iterator[Row]:
    """Yields the rows of a kind by time, then by key. Holds few rows in memory at once."""
    yield from _READERS[kind](connection, selection)


def _articles(connection: Connection, selection: Selection) -> Iterator[Row]:
    article = tables.articles.c
    query = select(tables.articles).where(*_of_articles(selection, article.id))
    return _by_time(connection, query, article.seen_ms, selection, ("id",))


def _mentions(connection: Connection, selection: Selection) -> Iterator[Row]:
    """Reads the articles by time, and the mentions of some at once, since mentions have no index by time alone."""
    article, mention = tables.articles.c, tables.mentions.c
    query = select(article.id, article.seen_ms).where(*_of_articles(selection, article.id))
    for chunk in chunks(_by_time(connection, query, article.seen_ms, selection, ("id",))):
        of_articles = select(tables.mentions).where(mention.article.in_([row["id"] for row in chunk]))
        mention_rows = (
            connection.execute(of_articles.order_by(mention.seen_ms, mention.article, mention.n)).mappings().all()
        )
        yield from (dict(row) for row in mention_rows)


def _signals(connection: Connection, selection: Selection) -> Iterator[Row]:
    signal = tables.signals.c
    return _by_time(
        connection,
        _of_target(select(tables.signals), signal.target, selection),
        signal.seen_ms,
        selection,
        ("target", "article", "version"),
    )


def _trends(connection: Connection, selection: Selection) -> Iterator[Row]:
    trend = tables.trends.c
    query = _of_target(select(tables.trends), trend.target, selection)
    return _by_time(connection, query, trend.start_ms, selection, ("target", "length_s"))


def _alerts(connection: Connection, selection: Selection) -> Iterator[Row]:
    """Sorts the keys first, since alerts have no index by time."""
    alert, head = tables.alerts.c, tables.alert_heads.c
    query = select(alert.at_ms, alert.id, alert.status).where(*selection.times(alert.at_ms))
    if selection.target is not None:
        query = query.join(tables.alert_heads, head.id == alert.id).where(head.target == selection.target)
    keys = sorted(map(tuple, connection.execute(query)))
    for at_ms, alert_id, status in keys:
        body = select(alert.body).where(alert.id == alert_id, alert.at_ms == at_ms, alert.status == status)
        yield parsed({"body": connection.execute(body).scalar_one()}, Alert)


def _near_misses(connection: Connection, selection: Selection) -> Iterator[Row]:
    miss = tables.near_misses.c
    query = _of_target(select(tables.near_misses), miss.target, selection)
    near_miss_rows = _by_time(connection, query, miss.at_ms, selection, ("id",))
    return (parsed(row, NearMiss) for row in near_miss_rows)


_READERS: dict[ExportKind, Callable[[Connection, Selection], Iterator[Row]]] = {
    ExportKind.ARTICLES: _articles,
    ExportKind.ANALYSES: _articles,
    ExportKind.MENTIONS: _mentions,
    ExportKind.SIGNALS: _signals,
    ExportKind.TRENDS: _trends,
    ExportKind.ALERTS: _alerts,
    ExportKind.NEAR_MISSES: _near_misses,
}


def _of_target(query: Select[Any], column: ColumnElement[str], selection: Selection) -> Select[Any]:
    return query if selection.target is None else query.where(column == selection.target)


def _of_articles(selection: Selection, article: ColumnElement[str]) -> list[ColumnElement[bool]]:
    signal = tables.signals.c
    if selection.target is None:
        return []
    return [exists().where(signal.target == selection.target, signal.article == article)]


def _by_time(
    connection: Connection, query: Select[Any], time_column: Column[int], selection: Selection, keys: Sequence[str]
) -> Iterator[Row]:
    """Yields the rows of a query by time, and those of one moment by `keys`.

    The database sorts by time alone, for which it has an index; sorting by more would need memory for all rows.
    """
    table = time_column.table
    assert isinstance(table, Table)
    ordered = query.where(*selection.times(time_column)).order_by(time_column)
    result = connection.execute(ordered, execution_options={"yield_per": _FETCHED}).mappings()
    for _, moment in groupby(result, key=lambda row: row[time_column.name]):
        yield from sorted((dict(row) for row in moment), key=lambda row: tuple(row[key] for key in keys))
