"""Removes news of the future from a store, after the wall clock was ahead."""

from __future__ import annotations

import orjson
from sqlalchemy import Connection, and_, case, delete, exists, func, insert, or_, select, update

from riskwire.records import from_ms
from riskwire.records.latest import not_after
from riskwire.store import retention, tables
from riskwire.store.database.postgresql.partitions import make_partitions


def articles_after(connection: Connection, latest_ms: int) -> dict[str, int]:
    """Returns the newest version of each article that was seen after `latest_ms` (milliseconds since 1970), by id."""
    versions: dict[str, int] = {}
    for table, article in (
        (tables.articles, tables.articles.c.id),
        (tables.replaced_versions, tables.replaced_versions.c.article),
        (tables.signals, tables.signals.c.article),
    ):
        rows = connection.execute(select(article, table.c.version).where(table.c.seen_ms > latest_ms))
        for article_id, version in rows:
            versions[article_id] = max(version, versions.get(article_id, 0))
    return versions


def remove_after(connection: Connection, latest_ms: int) -> None:
    """Deletes articles, signals and trend points after `latest_ms`, and dates alerts and times back to it.

    An alert is kept with its records, because its receivers have got it. Stories and targets are counted again.

    Args:
        latest_ms: milliseconds since 1970.
    """
    article, signal, trend = tables.articles.c, tables.signals.c, tables.trends.c
    future = select(article.id).where(article.seen_ms > latest_ms)
    connection.execute(delete(tables.mentions).where(tables.mentions.c.article.in_(future)))
    connection.execute(delete(tables.replaced_versions).where(tables.replaced_versions.c.seen_ms > latest_ms))
    connection.execute(delete(tables.articles).where(article.seen_ms > latest_ms))
    connection.execute(delete(tables.trends).where(trend.start_ms > latest_ms))
    connection.execute(delete(tables.signals).where(signal.seen_ms > latest_ms))
    later = tables.signals.alias()
    same = and_(later.c.target == signal.target, later.c.article == signal.article, later.c.version > signal.version)
    connection.execute(
        update(tables.signals)
        .where(signal.superseded.is_(True), ~exists(select(later.c.version).where(same)))
        .values(superseded=False)
    )
    _date_back(connection, latest_ms)
    retention.delete_before(connection, 0)  # counts stories and targets again, and deletes nothing by age


def _date_back(connection: Connection, latest_ms: int) -> None:
    """Leaves no time after `latest_ms` in sources, alerts, stories and targets."""
    signal, story, target = tables.signals.c, tables.stories.c, tables.targets.c
    current = and_(signal.target == story.target, signal.story == story.story, signal.superseded.is_(False))
    connection.execute(delete(tables.stories).where(~exists(select(signal.article).where(current))))
    connection.execute(
        update(tables.stories)
        .where(or_(story.seen_ms > latest_ms, story.counted_ms > latest_ms))
        .values(
            seen_ms=select(func.max(signal.seen_ms)).where(current).scalar_subquery(),
            counted_ms=select(func.max(signal.counted_ms)).where(current).scalar_subquery(),
        )
    )
    of_target = select(func.max(signal.counted_ms)).where(signal.target == target.target).scalar_subquery()
    is_future = target.surprise_ms > latest_ms
    connection.execute(
        update(tables.targets).values(
            counted_ms=of_target,
            named_ms=func.min(target.named_ms, latest_ms)
            if connection.dialect.name == "sqlite"
            else func.least(target.named_ms, latest_ms),
            surprise=case((is_future, 0.0), else_=target.surprise),
            surprise_ms=case((is_future, -1), else_=target.surprise_ms),
        )
    )
    source = tables.sources.c
    connection.execute(update(tables.sources).where(source.seen_ms > latest_ms).values(seen_ms=latest_ms))
    _date_alerts_back(connection, latest_ms)


def _date_alerts_back(connection: Connection, latest_ms: int) -> None:
    """Dates alert records and near misses back; of several records of one alert and status, the newest remains."""
    latest = from_ms(latest_ms)
    for table, key in ((tables.alerts, ("id", "status")), (tables.alert_heads, ("id",)), (tables.near_misses, ("id",))):
        rows = connection.execute(select(table).where(table.c.at_ms > latest_ms).order_by(table.c.at_ms)).mappings()
        dated = {
            tuple(row[column] for column in key): {
                **row,
                "at_ms": latest_ms,
                "body": orjson.dumps(not_after(orjson.loads(row["body"]), latest)).decode(),
            }
            for row in rows
        }
        connection.execute(delete(table).where(table.c.at_ms > latest_ms))
        if dated:
            make_partitions(connection, table, [latest_ms] if table.name in tables.PARTITIONED else [])
            connection.execute(insert(table), list(dated.values()))
