"""Reads alerts and the commands about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from sqlalchemy import Connection, and_, or_, select

from riskwire.records import Alert, Command, covering_mute, publishers_of, to_ms
from riskwire.store import tables
from riskwire.store.reads.decisions import is_open, mutes_in_force
from riskwire.store.rows import AlertHistory, AlertOrder, AlertRow, Cursor, Handling, StatusFilter
from riskwire.store.upsert import chunks

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
    order: AlertOrder = "newest",
) -> list[AlertRow]:
    """Returns the newest record of each alert, at most `limit`.

    Args:
        status: only alerts with this status; `open` means every status but `resolved`.
        target: only alerts of this target.
        before: only rows after this cursor of the order, for the next page; None for the first page.
        order: newest first, or by priority with the newest of equal ones first.
    """
    head = tables.alert_heads.c
    ranks = [head.priority] if order == "priority" else []
    query = select(head.body).order_by(*(column.desc() for column in (*ranks, head.at_ms, head.id))).limit(limit)
    if status == "open":
        query = query.where(is_open())
    elif status is not None:
        query = query.where(head.status == status)
    if target is not None:
        query = query.where(head.target == target)
    if before is not None:
        at = to_ms(before.at)
        older = or_(head.at_ms < at, and_(head.at_ms == at, head.id < before.key))
        if order == "priority":
            older = or_(head.priority < before.priority, and_(head.priority == before.priority, older))
        query = query.where(older)
    newest = [Alert.model_validate_json(body) for body in connection.execute(query).scalars()]
    return _with_handling(connection, newest)


def alerts_by_id(connection: Connection, ids: Iterable[str]) -> list[AlertRow]:
    """Returns the newest record of each existing alert of these ids, oldest first."""
    head = tables.alert_heads.c
    newest = [
        Alert.model_validate_json(body)
        for chunk in chunks(ids)
        for body in connection.execute(select(head.body).where(head.id.in_(chunk))).scalars()
    ]
    return _with_handling(connection, sorted(newest, key=lambda alert: (alert.at, alert.id)))


def alert_history(connection: Connection, alert: str) -> AlertHistory | None:
    """Returns an alert with all its records and its commands, both oldest first, or None if it does not exist.

    Records of the same time are in the order in which statuses follow each other.
    """
    rows = alerts_by_id(connection, [alert])
    if not rows:
        return None
    table = tables.alerts.c
    bodies = connection.execute(select(table.body).where(table.id == alert).order_by(table.at_ms)).scalars()
    records = [Alert.model_validate_json(body) for body in bodies]
    order = ("firing", "escalated", "resolved")
    records.sort(key=lambda record: (record.at, order.index(record.status)))
    commands = _commands_by_alert(connection, [alert]).get(alert, [])
    return AlertHistory(**_fields(rows[0]), records=tuple(records), commands=tuple(commands))


def _fields(row: AlertRow) -> dict[str, object]:
    """Returns the fields of a row by name."""
    return {name: getattr(row, name) for name in type(row).model_fields}


def _with_handling(connection: Connection, alerts: list[Alert]) -> list[AlertRow]:
    """Returns each alert with how people last handled it: acknowledged, snoozed, or marked as a false alarm.

    A false alarm is final. Other commands, such as a comment, do not count. Says as well to whom it is assigned, and
    which mute covers it now.
    """
    commands = _commands_by_alert(connection, [alert.id for alert in alerts])
    mutes = mutes_in_force(connection, datetime.now(UTC)) if alerts else {}
    return [_row(alert, commands.get(alert.id, []), mutes) for alert in alerts]


def _row(alert: Alert, commands: list[Command], mutes: Mapping[str, Command]) -> AlertRow:
    """Returns an alert with how people handled it.

    Args:
        commands: those that name it, oldest first.
        mutes: the mutes in force.
    """
    fields: dict[str, object] = {name: getattr(alert, name) for name in Alert.model_fields}
    handling = [command for command in commands if command.kind in _HANDLING]
    final = [command for command in handling if command.kind == "false_alarm"]
    if handling:
        last = (final or handling)[-1]
        fields |= {"handling": _HANDLING[last.kind], "handled_by": last.by, "handled_at": last.at}
        fields |= {"snoozed_until": last.until, "reason": last.value.get("reason")}
    assignments = [command for command in commands if command.kind == "assign"]
    fields["assigned_to"] = assignments[-1].value.get("assignee") if assignments else None
    fields["muted"] = covering_mute(
        mutes, target=alert.target, kind=alert.kind, types=alert.events, publishers=publishers_of(alert)
    )
    return AlertRow.model_construct(**fields)  # type: ignore[arg-type]


def _commands_by_alert(connection: Connection, alerts: list[str]) -> dict[str, list[Command]]:
    """Returns the commands that people gave about these alerts (such as acknowledge or comment), oldest first.

    The result is keyed by alert id; an alert without commands is absent.
    """
    table = tables.commands.c
    commands: dict[str, list[Command]] = {}
    for chunk in chunks(alerts):
        query = select(table.alert, table.body).where(table.alert.in_(chunk)).order_by(table.at_ms, table.id)
        for row in connection.execute(query):
            commands.setdefault(row.alert, []).append(Command.model_validate_json(row.body))
    return commands
