"""Commands of the watchlist, read from their messages."""

from __future__ import annotations

import re

from pydantic import TypeAdapter

from riskwire.bus import Message
from riskwire.entities.watchlist import ENTRY_ID, entry_fields, read_recorded_entry
from riskwire.errors import SchemaError, SettingsError
from riskwire.records import Command, WatchlistChange, read_record

COMMANDS: TypeAdapter[Command] = TypeAdapter(Command)
_MAX_ID = 100


def watchlist_change_of(message: Message) -> WatchlistChange | None:
    """Returns the change of the watchlist that a command orders, or None for a command of another kind.

    The change has the entry to set, or None to remove it, and the offset of the command in its log.

    Raises:
        SchemaError: the command cannot be read, its target is not `entity:ID`, or its entry is not valid or has another
            id.
    """
    where = message.where
    command = read_record(COMMANDS, message.value, where)
    if command.kind not in ("watchlist_set", "watchlist_remove"):
        return None
    kind, _, entry_id = (command.target or "").partition(":")
    if kind != "entity" or not re.fullmatch(ENTRY_ID, entry_id) or len(entry_id) > _MAX_ID:
        raise SchemaError("target: must be `entity:` and the id of an entry", value=command.target, where=where)
    if command.kind == "watchlist_remove":
        return WatchlistChange(id=entry_id, entry=None, at=command.at, command=message.offset)
    try:
        entity = read_recorded_entry(command.value, where)
    except SettingsError as error:
        raise SchemaError(f"value.{error.what}", value=error.value, where=where) from None
    if entity.id != entry_id:
        raise SchemaError(f"value.id: not the id {entry_id!r} of the target", value=entity.id, where=where)
    return WatchlistChange(id=entry_id, entry=entry_fields(entity), at=command.at, command=message.offset)
