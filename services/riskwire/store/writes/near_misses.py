"""Writes near misses."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from riskwire.records import NearMiss, to_ms
from riskwire.store import tables
from riskwire.store.upsert import upsert


def write_near_misses(connection: Connection, near_misses: Iterable[NearMiss]) -> None:
    """Writes stories that came near an event alert, one for each id; a stored one is replaced."""
    records = {miss.id: miss for miss in near_misses}
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
