"""Reads dead letters."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from riskwire.records import DeadLetter, from_ms
from riskwire.store import tables


def newest_dead_letters(connection: Connection, limit: int) -> list[DeadLetter]:
    """Returns the newest dead letters (records that a stage could not process), newest first, at most `limit`."""
    table = tables.dead_letters
    rows = connection.execute(select(table).order_by(table.c.n.desc()).limit(limit)).all()
    return [
        DeadLetter(
            stage=row.stage,
            topic=row.topic,
            partition=row.partition,
            offset=row.offset,
            error=row.error,
            at=from_ms(row.at_ms),
            record=row.record,
            encoding=row.encoding,
        )
        for row in rows
    ]


def count_dead_letters(connection: Connection) -> int:
    """Returns the number of dead letters ever received, including those that are no longer kept."""
    counter = tables.counters.c
    query = select(func.coalesce(func.sum(counter.value), 0))
    return int(connection.execute(query.where(counter.name.startswith(tables.DEAD_LETTER_COUNTER))).scalar_one())
