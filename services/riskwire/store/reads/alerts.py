"""Reading alerts, and what people have decided about them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import orjson
from sqlalchemy import Connection, and_, or_, select

from riskwire.records import Alert, AlertStatus, Command
from riskwire.store import tables
from riskwire.store.rows import AlertHistory, AlertRow, CommandRow, Cursor, Handling, to_ms
from riskwire.store.upsert import chunks

StatusFilter = AlertStatus | Literal["open"]

_HANDLING: dict[str, Handling] = {
    "acknowledge": "acknowledged",
    "snooze": "snoozed",
    "false_alarm": "false_alarm",
}


def list_alerts(
    connection: Connection,
    status: StatusFilter | None,
    target: str | None,
    limit: int,
    before: Cursor | None,
) -> list[AlertRow]:
    """The newest record of each alert, newest first; status `open` is all that are not resolved."""
    head = tables.alert_heads.c
    query = select(head.body).order_by(head.at_ms.desc(), head.id.desc()).limit(limit)
    if status == "open":
        query = query.where(head.status != "resolved")
    elif status is not None:
        query = query.where(head.status == status)
    if target is not None:
        query = query.where(head.target == target)
    if before is not None:
        at = to_ms(before.at)
        query = query.where(or_(head.at_ms < at, and_(head.at_ms == at, head.id < before.key)))
    newest = [Alert.model_validate_json(body) for body in connection.execute(query).scalars()]
    return _with_handling(connection, newest)


def alerts_by_id(connection: Connection, ids: Iterable[str]) -> list[AlertRow]:
    """The newest record of each of these alerts that there is, oldest first."""
    head = tables.alert_heads.c
    newest = [
        Alert.model_validate_json(body)
        for chunk in chunks(ids)
        for body in connection.execute(select(head.body).where(head.id.in_(chunk))).scalars()
    ]
    return _with_handling(connection, sorted(newest, key=lambda alert: (alert.at, alert.id)))


def alert_history(connection: Connection, alert: str) -> AlertHistory | None:
    """An alert with all its records and commands, or None."""
    found = alerts_by_id(connection, [alert])
    if not found:
        return None
    table = tables.alerts.c
    bodies = connection.execute(select(table.body).where(table.id == alert).order_by(table.at_ms)).scalars()
    records = [Alert.model_validate_json(body) for body in bodies]
    order = ("firing", "escalated", "resolved")
    records.sort(key=lambda record: (record.at, order.index(record.status)))
    commands = _commands(connection, [alert]).get(alert, [])
    return AlertHistory(**_fields(found[0]), records=tuple(records), commands=tuple(commands))


def _fields(row: AlertRow) -> dict[str, object]:
    return {name: getattr(row, name) for name in type(row).model_fields}


def _with_handling(connection: Connection, alerts: list[Alert]) -> list[AlertRow]:
    commands = _commands(connection, [alert.id for alert in alerts])
    rows = []
    for alert in alerts:
        last = next((c for c in reversed(commands.get(alert.id, [])) if c.kind in _HANDLING), None)
        fields: dict[str, object] = {name: getattr(alert, name) for name in Alert.model_fields}
        if last is not None:
            fields |= {"handling": _HANDLING[last.kind], "handled_by": last.by, "snoozed_until": last.until}
        rows.append(AlertRow.model_construct(**fields))  # type: ignore[arg-type]
    return rows


def _commands(connection: Connection, alerts: list[str]) -> dict[str, list[Command]]:
    table = tables.commands.c
    found: dict[str, list[Command]] = {}
    for chunk in chunks(alerts):
        query = select(table.alert, table.body).where(table.alert.in_(chunk)).order_by(table.at_ms, table.id)
        for row in connection.execute(query):
            found.setdefault(row.alert, []).append(Command.model_validate_json(row.body))
    return found


def watchlist_commands(connection: Connection, limit: int, before: Cursor | None) -> list[CommandRow]:
    """What was decided of the watchlist, newest first."""
    table = tables.commands.c
    query = select(table.id, table.body).where(table.kind.in_(("watchlist_set", "watchlist_remove")))
    if before is not None:
        at = to_ms(before.at)
        query = query.where(or_(table.at_ms < at, and_(table.at_ms == at, table.id < before.key)))
    query = query.order_by(table.at_ms.desc(), table.id.desc()).limit(limit)
    return [CommandRow(id=row.id, **orjson.loads(row.body)) for row in connection.execute(query)]
