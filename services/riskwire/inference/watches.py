"""What a partition of `articles` has been told to watch, in the order of its log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import structlog

from riskwire.entities.watchlist import WatchedEntity, recorded_entry
from riskwire.errors import SchemaError, SettingsError
from riskwire.records import WatchlistChange

log = structlog.get_logger(__name__)

_PREFIX = "watch/"
_READ_WITH = "read-with"


class Watches:
    """The entries in force, kept in the stage's state one a key (`watch/ID`: the last record of that id); and the
    newest change that was taken (`read-with`: the offset of its command), also where it took an entry away."""

    def __init__(self, state: Mapping[str, bytes]) -> None:
        self._entries: dict[str, tuple[datetime, WatchedEntity]] = {}
        self._changed: dict[str, bytes | None] = {}
        self._read_with = int(state[_READ_WITH]) if _READ_WITH in state else None
        for key, value in state.items():
            if key.startswith(_PREFIX):
                watch = WatchlistChange.model_validate_json(value)
                try:
                    self._take(watch, key)
                except SchemaError as error:  # an entry that was good once, by other rules
                    log.error("a watched entry is passed over", error=str(error))

    def take(self, watch: WatchlistChange, where: str) -> None:
        """From here on this entry is watched, or no more.

        Raises:
            SchemaError: its entry is none; nothing has changed.
        """
        self._take(watch, where)
        self._changed[_PREFIX + watch.id] = None if watch.entry is None else watch.to_bytes()
        if watch.command is not None and (self._read_with is None or watch.command > self._read_with):
            self._read_with = watch.command
            self._changed[_READ_WITH] = str(watch.command).encode()

    @property
    def read_with(self) -> int | None:
        """The offset in `commands` of the newest change that was taken; None where none was, or it did not say."""
        return self._read_with

    def entries(self) -> tuple[WatchedEntity, ...]:
        """The entries, the newest first: where two claim one name, the later command is meant."""
        newest = sorted(self._entries.values(), key=lambda one: one[1].id)
        newest.sort(key=lambda one: one[0], reverse=True)
        return tuple(entity for _, entity in newest)

    def changes(self) -> dict[str, bytes | None]:
        """What has changed since the last call, for the stage's state."""
        changed, self._changed = self._changed, {}
        return changed

    def _take(self, watch: WatchlistChange, where: str) -> None:
        if watch.entry is None:
            self._entries.pop(watch.id, None)
            return
        try:
            entity = recorded_entry(watch.entry, where)
        except SettingsError as error:
            raise SchemaError(error.what, value=error.value, where=error.where) from None
        if entity.id != watch.id:
            raise SchemaError(f"entry.id: not the id {watch.id!r} of the record", value=entity.id, where=where)
        self._entries[watch.id] = (watch.at, entity)
