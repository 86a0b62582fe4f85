"""Reads the commands that changed the watchlist."""

from __future__ import annotations

import orjson
from sqlalchemy import Connection, and_, or_, select

from riskwire.records import to_ms
from riskwire.store import tables
from riskwire.store.rows import CommandRow, Cursor


def watchlist_commands(connection: Connection, limit: int, before: Cursor | None) -> list[CommandRow]:
    """Returns the commands that changed the watchlist, newest first, at most `limit`.

    Args:
        before: only rows older than this cursor, for the next page; None for the first page.
    """
    table = tables.commands.c
    query = select(table.id, table.body).where(table.kind.in_(("watchlist_set", "watchlist_remove")))
    if before is not None:
        at = to_ms(before.at)
        query = query.where(or_(table.at_ms < at, and_(table.at_ms == at, table.id < before.key)))
    query = query.order_by(table.at_ms.desc(), table.id.desc()).limit(limit)
    return [CommandRow(id=row.id, **orjson.loads(row.body)) for row in connection.execute(query)]
