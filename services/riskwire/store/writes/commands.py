"""Writes commands, for display and audit."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from riskwire.records import Command, content_id, to_ms
from riskwire.store import tables
from riskwire.store.changes import record_changes
from riskwire.store.upsert import upsert


def write_commands(connection: Connection, commands: Iterable[Command]) -> None:
    """Writes commands to the store. The id of a command is a hash of its content, so a repeated one is written once.

    Records a change of the alerts that new commands name, for live readers.
    """
    rows = {}
    for command in commands:
        body = command.to_bytes().decode()
        row = {
            "id": content_id(body),
            "kind": command.kind,
            "alert": command.alert,
            "at_ms": to_ms(command.at),
            "body": body,
            "target": command.target,
        }
        rows[row["id"]] = row
    changed = upsert(connection, tables.commands, list(rows.values()))
    alerts = {rows[key]["alert"] for (key,) in changed}
    record_changes(connection, [("alert", str(alert)) for alert in sorted(filter(None, alerts), key=str)])
