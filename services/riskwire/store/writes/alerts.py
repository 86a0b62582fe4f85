"""Writes alerts."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, tuple_

from riskwire.records import Alert, to_ms
from riskwire.store import tables
from riskwire.store.changes import record_changes
from riskwire.store.upsert import upsert

_RANK = {"firing": 0, "escalated": 1, "resolved": 2}
"""The order of the records of one episode that have the same time."""


def write_alerts(connection: Connection, alerts: Iterable[Alert]) -> None:
    """Writes alert records, and for each alert its head: the newest of its records.

    The records of one alert, from firing to resolved, are its episode. A record is identified by alert id, time and
    status, and replaces a stored one that differs. A head is not replaced by an earlier record; `_RANK` orders
    statuses of the same time. Records the changed alerts for live readers.
    """
    records = {(alert.id, alert.at, alert.status): alert for alert in alerts}
    changed = upsert(
        connection,
        tables.alerts,
        [
            {
                "id": alert.id,
                "at_ms": to_ms(alert.at),
                "status": alert.status,
                "body": alert.to_bytes().decode(),
            }
            for alert in records.values()
        ],
    )
    heads: dict[str, Alert] = {}
    for alert in records.values():
        head = heads.get(alert.id)
        if head is None or (alert.at, _RANK[alert.status]) > (head.at, _RANK[head.status]):
            heads[alert.id] = alert
    stored = tables.alert_heads.c
    upsert(
        connection,
        tables.alert_heads,
        [
            {
                "id": alert.id,
                "target": alert.target,
                "status": alert.status,
                "rank": _RANK[alert.status],
                "at_ms": to_ms(alert.at),
                "priority": alert.priority,
                "body": alert.to_bytes().decode(),
            }
            for alert in heads.values()
        ],
        newer=lambda new: tuple_(new.at_ms, new["rank"]) >= tuple_(stored.at_ms, stored["rank"]),
    )
    record_changes(connection, [("alert", alert) for alert in sorted({key[0] for key in changed})])
