"""The watchlist entries that commands have set, as a partition of `articles` has read them so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from riskwire.entities.watchlist import WatchedEntity, read_recorded_entry
from riskwire.errors import SchemaError, SettingsError
from riskwire.records import WatchlistChange
from riskwire.stage import KeyedState

log = structlog.get_logger(__name__)

_LAST = "last"


@dataclass(frozen=True, slots=True, eq=False)
class WatchlistSnapshot:
    """The watchlist at one place of the log. Compared by identity, because hashing a long list for every article costs.

    Attributes:
        entries: the entries that commands have set, the newest first: where two claim one name, the newer one gets it.
        read_with: the offset in `commands` of the newest change; None without a change, or when it had no offset.
    """

    entries: tuple[WatchedEntity, ...]
    read_with: int | None


class WatchlistState:
    """The entries in force, and the newest change that was applied.

    The state holds one key for each entry (`watch/ID`: the last change of that id) and the offset of the newest
    change (`watchlist-command/last`), which stays when that change removed an entry.

    Args:
        committed: the committed state of the stage.
    """

    def __init__(self, committed: Mapping[str, bytes]) -> None:
        """Restores the watchlist from the committed state of a partition.

        The state holds the last change of each entry (`watch/ID`) and the offset in `commands` of the newest change
        (`watchlist-command/last`). An entry that is no longer valid is logged and ignored; its key stays.
        """
        self._changes = KeyedState[WatchlistChange](
            "watch/", committed, encode=WatchlistChange.to_bytes, decode=WatchlistChange.model_validate_json
        )
        self._last_command = KeyedState[int](
            "watchlist-command/", committed, encode=lambda offset: str(offset).encode(), decode=int
        )
        self._entities: dict[str, WatchedEntity] = {}
        self._snapshot: WatchlistSnapshot | None = None
        for key, change in self._changes.entries.items():
            try:
                if (entity := _entity_of(change, f"watch/{key}")) is not None:
                    self._entities[key] = entity
            except SchemaError as error:  # the entry was valid by the rules of an older riskwire
                log.error("a watchlist entry of the state is invalid and ignored", error=str(error))

    def apply(self, change: WatchlistChange, where: str) -> None:
        """Applies a change of the watchlist: it sets an entry or, if it holds none, removes the entry with its id.

        Articles that are read from here on are linked with it. Removing an unknown entry only records the offset of the
        command, which never goes back.

        Args:
            where: the place of the change in the log, for messages.

        Raises:
            SchemaError: the entry is invalid; nothing has changed.
        """
        entity = _entity_of(change, where)
        if entity is not None:
            self._entities[change.id] = entity
            self._changes.set(change.id, change)
        elif change.id in self._changes:
            self._entities.pop(change.id, None)
            self._changes.delete(change.id)
        last = self._last_command.get(_LAST)
        if change.command is not None and (last is None or change.command > last):
            self._last_command.set(_LAST, change.command)
        self._snapshot = None

    def snapshot(self) -> WatchlistSnapshot:
        """Returns the entries in force and the offset of the newest change (`read_with`).

        The entry that was changed last is the first; entries changed at one time are in the order of their ids. It is
        the same object until the next change.
        """
        if self._snapshot is None:
            by_id = sorted(self._entities.items())
            newest_first = sorted(by_id, key=lambda item: self._changes[item[0]].at, reverse=True)
            entries = tuple(entity for _, entity in newest_first)
            self._snapshot = WatchlistSnapshot(entries, self._last_command.get(_LAST))
        return self._snapshot

    def take_changes(self) -> dict[str, bytes | None]:
        """Returns the changes of the state since the last call."""
        return self._changes.take_changes() | self._last_command.take_changes()


def _entity_of(change: WatchlistChange, where: str) -> WatchedEntity | None:
    """Returns the entry of a change, or None when it removes the entry.

    Raises:
        SchemaError: the entry is invalid, or has another id than the change.
    """
    if change.entry is None:
        return None
    try:
        entity = read_recorded_entry(change.entry, where)
    except SettingsError as error:
        raise SchemaError(error.what, value=error.value, where=error.where) from None
    if entity.id != change.id:
        raise SchemaError(f"entry.id: not the id {change.id!r} of the record", value=entity.id, where=where)
    return entity
