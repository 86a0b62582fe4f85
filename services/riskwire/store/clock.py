"""The time of the store: that of its newest data, never the wall clock, so that an archive of 2009 reads as news."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from riskwire.store import tables

_TIMES = (tables.articles.c.seen_ms, tables.signals.c.seen_ms, tables.trends.c.start_ms, tables.alert_heads.c.at_ms)


def newest_ms(connection: Connection) -> int | None:
    """The newest time of any article, signal, trend point or alert."""
    times = [connection.execute(select(func.max(column))).scalar() for column in _TIMES]
    return max((time for time in times if time is not None), default=None)


def oldest_ms(connection: Connection) -> int | None:
    """The oldest time of any article, signal or trend point."""
    times = [connection.execute(select(func.min(column))).scalar() for column in _TIMES[:3]]
    return min((time for time in times if time is not None), default=None)
