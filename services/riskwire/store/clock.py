"""The time of the store: the newest time of its data. It is never the wall clock, so that an archive reads as news."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from riskwire.store import tables

_TIMES = (tables.articles.c.seen_ms, tables.signals.c.seen_ms, tables.trends.c.start_ms, tables.alert_heads.c.at_ms)


def newest_ms(connection: Connection) -> int | None:
    """Returns the newest time of any article, signal, trend point or alert, or None for an empty store."""
    times = [connection.execute(select(func.max(column))).scalar() for column in _TIMES]
    return max((time for time in times if time is not None), default=None)


def oldest_ms(connection: Connection) -> int | None:
    """Returns the oldest time of any article, signal or trend point, or None for an empty store."""
    times = [connection.execute(select(func.min(column))).scalar() for column in _TIMES[:3]]
    return min((time for time in times if time is not None), default=None)
