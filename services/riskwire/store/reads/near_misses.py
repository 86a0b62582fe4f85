"""Reads near misses: stories that came near an event alert of a target and did not notify."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from riskwire.records import NearMiss, to_ms
from riskwire.store import tables


@dataclass(frozen=True, slots=True)
class NearMissQuery:
    """Which near misses of a target to read.

    Attributes:
        since, until: those decided from `since` until before `until`; None for no limit.
        min_novelty, min_relevance: those of at least this novelty and relevance, 0 to 1.
        limit: the most that are read.
    """

    since: datetime | None = None
    until: datetime | None = None
    min_novelty: float = 0.0
    min_relevance: float = 0.0
    limit: int = 100


def list_near_misses(connection: Connection, target: str, query: NearMissQuery) -> list[NearMiss]:
    """Returns the near misses of a target that a query asks for, newest first."""
    miss = tables.near_misses.c
    rows = select(miss.body).where(
        miss.target == target, miss.novelty >= query.min_novelty, miss.relevance >= query.min_relevance
    )
    if query.since is not None:
        rows = rows.where(miss.at_ms >= to_ms(query.since))
    if query.until is not None:
        rows = rows.where(miss.at_ms < to_ms(query.until))
    rows = rows.order_by(miss.at_ms.desc(), miss.id.desc()).limit(query.limit)
    return [NearMiss.model_validate_json(body) for body in connection.execute(rows).scalars()]
