"""Forgetting: what is older than `store.keep_days` before the newest data goes, and the derived rows follow."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, select, update

from riskwire.store import tables
from riskwire.store.clock import newest_ms, oldest_ms

DAY_MS = 86_400_000


def due(connection: Connection, keep_days: int) -> int | None:
    """The time before which data goes; None while the oldest is not a day overdue."""
    newest, oldest = newest_ms(connection), oldest_ms(connection)
    if newest is None or oldest is None or oldest >= newest - (keep_days + 1) * DAY_MS:
        return None
    return newest - keep_days * DAY_MS


def forget_before(connection: Connection, cutoff: int) -> None:
    """Delete what is older than `cutoff` (milliseconds) and recount what was derived from it."""
    signal, story, target = tables.signals.c, tables.stories.c, tables.targets.c
    article = tables.articles.c
    old = select(article.id).where(article.seen_ms < cutoff)
    connection.execute(delete(tables.mentions).where(tables.mentions.c.article.in_(old)))
    connection.execute(delete(tables.replaced).where(tables.replaced.c.seen_ms < cutoff))
    connection.execute(delete(tables.articles).where(article.seen_ms < cutoff))
    connection.execute(delete(tables.trends).where(tables.trends.c.start_ms < cutoff))
    connection.execute(delete(tables.signals).where(signal.seen_ms < cutoff))
    connection.execute(delete(tables.stories).where(story.seen_ms < cutoff))
    current = (signal.target == story.target, signal.story == story.story, signal.superseded.is_(False))
    left = select(func.count(signal.article)).where(*current)
    total = select(func.coalesce(func.sum(signal.score_1e4), 0)).where(*current)
    connection.execute(
        update(tables.stories).values(articles=left.scalar_subquery(), score_1e4=total.scalar_subquery())
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
        delete(tables.targets).where(target.articles == 0, ~exists().where(trend.target == target.target))
    )
    link = tables.target_sources.c
    connection.execute(delete(tables.target_sources).where(~exists().where(target.target == link.target)))
    head, record = tables.alert_heads.c, tables.alerts.c
    connection.execute(delete(tables.alert_heads).where(head.at_ms < cutoff))
    connection.execute(delete(tables.alerts).where(~exists().where(head.id == record.id)))
    connection.execute(delete(tables.commands).where(tables.commands.c.at_ms < cutoff, ~_is_of_a_watched_entry()))
    change = tables.changes.c
    connection.execute(
        delete(tables.changes).where(
            change.kind.in_(("target", "trend")), and_(~exists().where(target.target == change.key))
        )
    )
    connection.execute(delete(tables.changes).where(change.kind == "alert", ~exists().where(head.id == change.key)))


def _is_of_a_watched_entry() -> ColumnElement[bool]:
    """Whether a command is of an entry that is still on the watchlist: so long it stays known who put it there."""
    command, other = tables.commands.c, tables.commands.alias()
    last = select(func.max(other.c.at_ms)).where(other.c.target == command.target).correlate(tables.commands)
    set_at = last.where(other.c.kind == "watchlist_set").scalar_subquery()
    removed_at = last.where(other.c.kind == "watchlist_remove").scalar_subquery()
    return and_(
        command.kind.in_(("watchlist_set", "watchlist_remove")),
        func.coalesce(set_at, -1) >= func.coalesce(removed_at, 0),
    )
