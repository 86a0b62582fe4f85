"""Retention: deletes months of data that end `store.keep_days` before the newest data, and updates derived rows."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, select, update

from riskwire.store import tables
from riskwire.store.clock import newest_ms, oldest_ms
from riskwire.store.database.postgresql.partitions import drop_partitions
from riskwire.store.months import month_of, month_start
from riskwire.store.writes.watched import WITHOUT_NEWS

_DAY_MS = 86_400_000


def cutoff_ms(connection: Connection, keep_days: int) -> int | None:
    """Returns the time before which data is to be deleted, in milliseconds since 1970, or None if there is none.

    It is the start of the month (UTC) of the day `keep_days` before the newest data. So a deletion, which counts all
    stories again, takes place about once a month, and PostgreSQL drops whole partitions.
    """
    newest, oldest = newest_ms(connection), oldest_ms(connection)
    if newest is None or oldest is None:
        return None
    cutoff = month_start(month_of(max(0, newest - keep_days * _DAY_MS)))
    return cutoff if oldest < cutoff else None


def delete_before(connection: Connection, cutoff: int) -> None:
    """Deletes data older than `cutoff`, and updates the rows that are derived from it.

    PostgreSQL drops partitions that end before. Rows are deleted where that cannot be done, and in SQLite.

    The age of an alert is that of its newest record; it is deleted with all its records. Stories and targets are
    counted again, and targets without data are deleted. Decisions of people, commands of watched entries, dead letters
    and sources are kept.

    Args:
        cutoff: milliseconds since 1970.
    """
    signal, story, target = tables.signals.c, tables.stories.c, tables.targets.c
    drop_partitions(connection, cutoff)
    for name, column in tables.PARTITIONED.items():
        table = tables.metadata.tables[name]
        connection.execute(delete(table).where(table.c[column] < cutoff))
    connection.execute(delete(tables.replaced_versions).where(tables.replaced_versions.c.seen_ms < cutoff))
    connection.execute(delete(tables.stories).where(story.seen_ms < cutoff))
    current = (signal.target == story.target, signal.story == story.story, signal.superseded.is_(False))
    articles = select(func.count(signal.article)).where(*current)
    total = select(func.coalesce(func.sum(signal.score_1e4), 0)).where(*current)
    connection.execute(
        update(tables.stories).values(articles=articles.scalar_subquery(), score_1e4=total.scalar_subquery())
    )
    connection.execute(
        update(tables.targets).values(
            stories=select(func.count())
            .select_from(tables.stories)
            .where(story.target == target.target)
            .scalar_subquery(),
            articles=select(func.count(signal.article.distinct()))
            .where(signal.target == target.target)
            .scalar_subquery(),
        )
    )
    trend = tables.trends.c
    connection.execute(
        delete(tables.targets).where(
            target.articles == 0, target.named_ms != WITHOUT_NEWS, ~exists().where(trend.target == target.target)
        )
    )
    link = tables.target_sources.c
    connection.execute(delete(tables.target_sources).where(~exists().where(target.target == link.target)))
    head, record = tables.alert_heads.c, tables.alerts.c
    connection.execute(delete(tables.alert_heads).where(head.at_ms < cutoff))
    connection.execute(delete(tables.alerts).where(~exists().where(head.id == record.id)))
    command = tables.commands.c
    edits = command.kind.in_(("watchlist_set", "watchlist_remove"))
    connection.execute(delete(tables.commands).where(command.at_ms < cutoff, edits, ~_concerns_watched_entry()))
    change = tables.changes.c
    connection.execute(
        delete(tables.changes).where(
            change.kind.in_(("target", "trend")), and_(~exists().where(target.target == change.key))
        )
    )
    connection.execute(delete(tables.changes).where(change.kind == "alert", ~exists().where(head.id == change.key)))


def _concerns_watched_entry() -> ColumnElement[bool]:
    """Returns the condition that a command set or removed an entry that is on the watchlist now.

    These commands are kept, because they say who put the entry there. An entry is on the watchlist if its last command
    set it; of a set and a remove command of the same time, the set command counts.
    """
    command, same_target = tables.commands.c, tables.commands.alias()
    last = select(func.max(same_target.c.at_ms)).where(same_target.c.target == command.target)
    last = last.correlate(tables.commands)
    set_at = last.where(same_target.c.kind == "watchlist_set").scalar_subquery()
    removed_at = last.where(same_target.c.kind == "watchlist_remove").scalar_subquery()
    return and_(
        command.kind.in_(("watchlist_set", "watchlist_remove")),
        func.coalesce(set_at, -1) >= func.coalesce(removed_at, 0),
    )
