"""The watchlist file of the running process, kept on the bus, so that commands know what that process watches.

A command does not see the `--watchlist` of the process. The list is the state of the publisher `watchlist-file`.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from riskwire.bus import Bus, StateUpdate, update_state
from riskwire.entities.watchlist import Watchlist, entry_fields, read_recorded_entry

_PUBLISHER = "watchlist-file"
_WHERE = "where"
_ENTRY = "entry/"


async def publish_base(bus: Bus, watchlist: Watchlist) -> None:
    """Keeps the watchlist that a process starts with on the bus; does nothing if it is there already.

    Raises:
        BusError: the bus cannot be written.
    """
    new_state = {_ENTRY + entity.id: orjson.dumps(entry_fields(entity)) for entity in watchlist.entities}
    new_state[_WHERE] = watchlist.where.encode("utf-8", "backslashreplace")

    def decide(state: Mapping[str, bytes]) -> StateUpdate:
        changes: dict[str, bytes | None] = {key: None for key in state if key not in new_state}
        changes |= {key: value for key, value in new_state.items() if state.get(key) != value}
        return StateUpdate(state=changes)

    await update_state(bus, _PUBLISHER, decide)


async def read_base(bus: Bus) -> Watchlist | None:
    """Returns the watchlist that the last process started with, or None if none has started on this bus yet.

    Raises:
        BusError: the bus cannot be read.
        SettingsError: an entry is not valid; a newer riskwire may have written it.
    """
    state = await bus.publisher_state(_PUBLISHER)
    if _WHERE not in state:
        return None
    where = state[_WHERE].decode()
    entries = sorted(key for key in state if key.startswith(_ENTRY))
    return Watchlist(tuple(read_recorded_entry(orjson.loads(state[key]), f"{where}: {key}") for key in entries), where)
