"""Writes commands, for display and audit."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from riskwire.records import Command, content_id, to_ms
from riskwire.store import tables
from riskwire.store.changes import record_changes
from riskwire.store.upsert import upsert
from riskwire.store.writes.watched import list_commanded


def write_commands(connection: Connection, commands: Iterable[Command]) -> None:
    """Writes commands to the store. The id of a command is a hash of its content, so a repeated one is written once.

    An entity that a new command puts on the watchlist is listed as a target.

    Records a change of the alerts that new commands name, for live readers.
    """
    rows = {}
    by_id: dict[str, Command] = {}
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
        by_id[str(row["id"])] = command
    changed = upsert(connection, tables.commands, list(rows.values()))
    new = {key for (key,) in changed}
    list_commanded(connection, [command for key, command in by_id.items() if key in new])
    alerts = {rows[key]["alert"] for (key,) in changed}
    record_changes(connection, [("alert", str(alert)) for alert in sorted(filter(None, alerts), key=str)])
