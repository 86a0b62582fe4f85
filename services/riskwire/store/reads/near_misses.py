"""Reads near misses: stories that came near an event alert of a target and did not notify."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from riskwire.records import NearMiss, to_ms
from riskwire.store import tables


def list_near_misses(
    connection: Connection, target: str, since: datetime | None, until: datetime | None, limit: int
) -> list[NearMiss]:
    """Returns the near misses of a target, newest first, at most `limit`.

    Args:
        since, until: only those decided from `since` until before `until`.
    """
    miss = tables.near_misses.c
    query = select(miss.body).where(miss.target == target).order_by(miss.at_ms.desc(), miss.id.desc()).limit(limit)
    if since is not None:
        query = query.where(miss.at_ms >= to_ms(since))
    if until is not None:
        query = query.where(miss.at_ms < to_ms(until))
    return [NearMiss.model_validate_json(body) for body in connection.execute(query).scalars()]
