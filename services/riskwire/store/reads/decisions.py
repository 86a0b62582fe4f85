"""Reads what people decided: every decision, and the mutes in force."""

from __future__ import annotations

from datetime import datetime
from typing import get_args

import orjson
from sqlalchemy import ColumnElement, Connection, and_, exists, or_, select

from riskwire.records import Command, DecisionKind, mute_key, to_ms
from riskwire.store import tables
from riskwire.store.rows import CommandRow, Cursor


def list_decisions(
    connection: Connection, limit: int, before: Cursor | None = None, kinds: tuple[str, ...] = get_args(DecisionKind)
) -> list[CommandRow]:
    """Returns the decisions of people, newest first, at most `limit`. They are kept when their alerts are deleted.

    Args:
        before: only rows older than this cursor, for the next page; None for the first page.
    """
    table = tables.commands.c
    query = select(table.id, table.body).where(table.kind.in_(kinds))
    if before is not None:
        at = to_ms(before.at)
        query = query.where(or_(table.at_ms < at, and_(table.at_ms == at, table.id < before.key)))
    query = query.order_by(table.at_ms.desc(), table.id.desc()).limit(limit)
    return [CommandRow(id=row.id, **orjson.loads(row.body)) for row in connection.execute(query)]


def mutes_in_force(connection: Connection, now: datetime) -> dict[str, Command]:
    """Returns the mutes that have not ended, by key of their subject, the newest first."""
    table = tables.commands.c
    query = select(table.body).where(table.kind.in_(("mute", "unmute"))).order_by(table.at_ms.desc(), table.id.desc())
    newest: dict[str, Command] = {}
    for body in connection.execute(query).scalars():
        command = Command.model_validate_json(body)
        newest.setdefault(mute_key(str(command.value.get("subject"))), command)
    return {
        key: command
        for key, command in newest.items()
        if command.kind == "mute" and (command.until is None or command.until > now)
    }


def is_open() -> ColumnElement[bool]:
    """Returns the condition that an alert (`alert_heads`) has not ended and is no false alarm."""
    head, command = tables.alert_heads.c, tables.commands.c
    return and_(head.status != "resolved", ~exists().where(command.alert == head.id, command.kind == "false_alarm"))
