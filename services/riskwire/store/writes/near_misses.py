"""Writes near misses."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, delete, select

from riskwire.records import NearMiss, to_ms
from riskwire.store import tables
from riskwire.store.database.postgresql.partitions import make_partitions
from riskwire.store.upsert import chunks, upsert


def write_near_misses(connection: Connection, near_misses: Iterable[NearMiss]) -> None:
    """Writes stories that came near an event alert, one for each id; a stored one is replaced.

    The key contains the time, by which PostgreSQL partitions. So a stored row is looked up by its id, and deleted if
    the new one has another time.
    """
    records = {miss.id: miss for miss in near_misses}
    stored = tables.near_misses.c
    moved: list[str] = []
    for chunk in chunks(records):
        query = select(stored.id, stored.at_ms).where(stored.id.in_(chunk))
        moved += [row.id for row in connection.execute(query) if row.at_ms != to_ms(records[row.id].at)]
    for chunk in chunks(moved):
        connection.execute(delete(tables.near_misses).where(stored.id.in_(chunk)))
    make_partitions(connection, tables.near_misses, [to_ms(miss.at) for miss in records.values()])
    upsert(
        connection,
        tables.near_misses,
        [
            {
                "id": miss.id,
                "target": miss.target,
                "at_ms": to_ms(miss.at),
                "novelty": miss.novelty,
                "relevance": miss.relevance,
                "body": miss.to_bytes().decode(),
            }
            for miss in records.values()
        ],
    )
