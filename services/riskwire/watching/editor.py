"""Edits of the watchlist: checked against the current list, then published as one step.

The list is the state of the publisher `watchlist`: by entry id, the command that set the entry. Concurrent editors are
serialised (`bus/state.py`), so an edit is always checked against the list that it changes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from riskwire.bus import Bus, Outgoing, StateUpdate, update_state
from riskwire.entities.watchlist import (
    WatchedEntity,
    Watchlist,
    entry_fields,
    has_control_character,
    read_recorded_entry,
    shared_claim,
)
from riskwire.errors import SchemaError, SettingsError
from riskwire.pipeline import Topic
from riskwire.records import Command, Utc, read_record
from riskwire.watching.changes import COMMANDS

PUBLISHER = "watchlist"
_MAX_BY = 100
_MAX_COMMENT = 2_000


class ListedEntry(WatchedEntity):
    """An entry of the watchlist, with who set it and when; both are None for an entry of a file."""

    by: str | None = None
    at: Utc | None = None


@dataclass(frozen=True, slots=True)
class WatchlistEdit(StateUpdate):
    """An edit of the watchlist.

    Attributes:
        set, removed: ids of the entries that were set (new or changed) and removed.
        unknown: ids to remove that are not on the list. The edit then has no effect.
        first: whether the edit put the first entry on an empty list.
        emptied: whether the edit removed the last entry.
    """

    set: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    first: bool = False
    emptied: bool = False

    @property
    def changes(self) -> int:
        """The number of entries that were set or removed."""
        return len(self.set) + len(self.removed)


class WatchlistEditor:
    """Reads and edits the watchlist of a bus.

    Args:
        base: the watchlist of the configured file, as far as this process knows it. The readers start with it.
    """

    def __init__(self, bus: Bus, base: Watchlist) -> None:
        self._bus = bus
        self._base = base

    async def entries(self) -> list[ListedEntry]:
        """Returns the watchlist, sorted by id: entries set by command, and those of the file that no command has set.

        Upper and lower case of an id count as equal.

        Raises:
            BusError: the list cannot be read.
            SettingsError: an entry of the list is not valid.
        """
        commanded = _commanded(await self._bus.publisher_state(PUBLISHER))
        ids = {entity.id.casefold() for entity, _ in commanded.values()}
        entries = [
            ListedEntry.model_construct(**dict(entity), by=command.by, at=command.at)
            for entity, command in commanded.values()
        ]
        entries += [
            ListedEntry.model_construct(**dict(entity))
            for entity in self._base.entities
            if entity.id.casefold() not in ids
        ]
        return sorted(entries, key=lambda entry: (entry.id.casefold(), entry.id))

    async def put(
        self, entities: Sequence[WatchedEntity], by: str, *, replace: bool = False, comment: str = ""
    ) -> WatchlistEdit:
        """Puts entries on the watchlist, all or none, and returns the edit. An entry replaces one with its id.

        An entry that is on the list with the same values is not set again.

        Args:
            by: who edits.
            replace: whether to remove all other entries that were set by command.
            comment: why, for the log.

        Raises:
            SettingsError: two entries of the list would share an id, name, ticker or ISIN; `by` is not a name; or an
                entry of the list is not valid.
            BusError: the edit cannot be published, and has no effect.
        """
        at = datetime.now(UTC)
        new = {entity.id: entity for entity in entities}

        def decide(state: Mapping[str, bytes]) -> WatchlistEdit:
            """Returns the edit of the current entries, which `state` holds by id.

            Raises:
                SettingsError: two entries of the resulting list would conflict, or a current one is not valid.
            """
            current = {entry_id: entity for entry_id, (entity, _) in _commanded(state).items()}
            removed = [entry_id for entry_id in current if replace and entry_id not in new]
            remaining = {entry_id: entity for entry_id, entity in current.items() if entry_id not in removed}
            Watchlist(tuple((remaining | new).values()), "the watchlist")
            changed = [entity for entry_id, entity in new.items() if current.get(entry_id) != entity]
            self._refuse_taken_claims(changed, remaining.keys() | new.keys())
            return self._edit(current, changed, removed, _Signature(by, at, comment))

        return await update_state(self._bus, PUBLISHER, decide)

    async def remove(self, entry_id: str, by: str, *, comment: str = "") -> WatchlistEdit:
        """Removes an entry that was set by command, and returns the edit; for an unknown id it has no effect.

        Args:
            by: who edits.
            comment: why, for the log.

        Raises:
            SettingsError: `by` is not a name.
            BusError: the edit cannot be published, and has no effect.
        """
        at = datetime.now(UTC)

        def decide(state: Mapping[str, bytes]) -> WatchlistEdit:
            """Returns the edit that removes the entry from `state`, which has the entries set by command, by id.

            An entry that is not there gives an edit without effect that names it as unknown.
            """
            if entry_id not in state:
                return WatchlistEdit(unknown=(entry_id,))
            return self._edit(state, [], [entry_id], _Signature(by, at, comment))

        return await update_state(self._bus, PUBLISHER, decide)

    def _refuse_taken_claims(self, changed: Sequence[WatchedEntity], commanded: Collection[str]) -> None:
        """Refuses entries that would take a name, ticker or ISIN from an entry of the file.

        Args:
            changed: the entries to set.
            commanded: the ids of all entries set by command. They replace entries of the file with the same id.

        Raises:
            SettingsError: the message names both entries and what both claim.
        """
        replaced = {entry_id.casefold() for entry_id in commanded}
        for entity in changed:
            for base_entity in self._base.entities:
                if base_entity.id.casefold() not in replaced and (claim := shared_claim(entity, base_entity)):
                    raise SettingsError(
                        f"{base_entity.id!r} of the watchlist file has the {claim} already",
                        value=entity.id,
                        where=self._base.where,
                        do=f"Change the entry {base_entity.id!r}, or leave this out of the new one",
                    )

    def _edit(
        self, current: Collection[str], changed: Sequence[WatchedEntity], removed: Sequence[str], signature: _Signature
    ) -> WatchlistEdit:
        """Returns the edit that sets and removes entries: its commands, the changes of the state, and a summary.

        The state holds, by id of the entry, the command that set it. In the summary, `first` says that the edit puts
        the first entry on an empty list, and `emptied` that it removes the last; entries of the file count as well.

        Args:
            current: the ids of the entries that commands have set so far.
            changed: the entries to set.
            removed: the ids of the entries to remove.
            signature: who edits, when and why.

        Raises:
            SettingsError: the name or the comment of the signature has a wrong length or control characters.
        """
        _check_text("by", signature.by, 1, _MAX_BY)
        _check_text("comment", signature.comment, 0, _MAX_COMMENT, allowed="\t\r\n")
        removals = {entry_id: signature.remove_command(entry_id) for entry_id in removed}
        settings = {entity.id: signature.set_command(entity) for entity in changed}
        commands = (*removals.values(), *settings.values())
        remaining = (set(current) - set(removed)) | settings.keys()
        return WatchlistEdit(
            results=tuple(Outgoing(Topic.COMMANDS, str(command.target), command.to_bytes()) for command in commands),
            state=dict.fromkeys(removals) | {entry_id: command.to_bytes() for entry_id, command in settings.items()},
            set=tuple(settings),
            removed=tuple(removals),
            first=bool(remaining) and not current and not self._base,
            emptied=bool(current) and not remaining and not self._base,
        )


def commanded_entries(state: Mapping[str, bytes]) -> tuple[WatchedEntity, ...]:
    """Returns the entries set by command, newest first, those of one time by id.

    Args:
        state: the state of the publisher `watchlist`: by id of an entry, the command that set it.

    Raises:
        SettingsError: an entry is not valid.
    """
    commanded = sorted(_commanded(state).values(), key=lambda entry: entry[0].id)
    commanded.sort(key=lambda entry: entry[1].at, reverse=True)
    return tuple(entity for entity, _ in commanded)


def _commanded(state: Mapping[str, bytes]) -> dict[str, tuple[WatchedEntity, Command]]:
    """Returns the entries and the commands that set them, by id.

    Args:
        state: the state of the publisher `watchlist`: by id of an entry, the bytes of the command.

    Raises:
        SettingsError: an entry is not valid. The message proposes to remove it.
    """
    entries = {}
    for entry_id, raw in state.items():
        where = f"the watchlist: {entry_id}"
        try:
            command = read_record(COMMANDS, raw, where)
            entries[entry_id] = (read_recorded_entry(command.value, where), command)
        except (SchemaError, SettingsError) as error:
            raise SettingsError(
                error.what,
                value=error.value,
                where=where,
                do=f"If a newer riskwire wrote it, use that one; else `riskwire watchlist remove {entry_id}`",
            ) from None
    return entries


@dataclass(frozen=True, slots=True)
class _Signature:
    """Who edits, when and why."""

    by: str
    at: datetime
    comment: str

    def set_command(self, entity: WatchedEntity) -> Command:
        """Returns the command that sets an entry."""
        return Command(
            kind="watchlist_set",
            target=entity.target,
            by=self.by,
            at=self.at,
            comment=self.comment,
            value=entry_fields(entity),
        )

    def remove_command(self, entry_id: str) -> Command:
        """Returns the command that removes an entry."""
        return Command(
            kind="watchlist_remove", target=f"entity:{entry_id}", by=self.by, at=self.at, comment=self.comment
        )


def _check_text(field: str, text: str, min_length: int, max_length: int, *, allowed: str = "") -> None:
    """Refuses a text that a person wrote if its length is out of bounds or if it could harm a terminal.

    Args:
        field: name of the field that holds the text, which begins the message.
        min_length: the least number of characters without outer white space; `max_length` counts all.
        allowed: control characters that the text may contain.

    Raises:
        SettingsError: the text is refused.
    """
    if not min_length <= len(text.strip()) <= len(text) <= max_length:
        raise SettingsError(f"{field}: {min_length} to {max_length} characters", value=text)
    try:
        text.encode()  # Arguments of a command line may contain bytes that are no characters.
    except UnicodeEncodeError:
        raise SettingsError(f"{field}: not Unicode", value=text) from None
    if has_control_character(text, allowed=allowed):
        raise SettingsError(f"{field}: has a control character", value=text)
