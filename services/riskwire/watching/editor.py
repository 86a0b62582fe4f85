"""Changing the watchlist: what is asked for is checked against the list as commanded, then written as one step.

The list as commanded is the state of the publisher `watchlist`, one key an entry: the command that set it. Two who
change it at once take turns; so what is checked is what is changed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from riskwire.bus import StateUpdate, Bus, Outgoing, update_state
from riskwire.entities.watchlist import WatchedEntity, Watchlist, has_control, recorded_entry, written_entry
from riskwire.errors import SchemaError, SettingsError
from riskwire.pipeline import Topic
from riskwire.records import Command, Utc, read_record
from riskwire.watching.stage import COMMANDS

PUBLISHER = "watchlist"


class Listed(WatchedEntity):
    """An entry of the list, and who put it there; `by` and `at` are None where a file did."""

    by: str | None = None
    at: Utc | None = None


@dataclass(frozen=True, slots=True)
class Edit(StateUpdate):
    """A change of the list as commanded.

    Attributes:
        set, removed: ids of entries that were set (new or changed) and removed.
        unknown: ids that were to be removed and are not on the list; then nothing was done.
        first: nothing had been on the list before, and something is now.
        emptied: something had been on the list before, and nothing is now.
    """

    set: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    first: bool = False
    emptied: bool = False

    @property
    def changes(self) -> int:
        """How many entries were set or removed."""
        return len(self.set) + len(self.removed)


class WatchlistEditor:
    """Reads and changes the list of a bus.

    Args:
        base: the watchlist that the readers are started with, as far as this process knows it.
    """

    def __init__(self, bus: Bus, base: Watchlist) -> None:
        self._bus = bus
        self._base = base

    async def listed(self) -> list[Listed]:
        """The entries by id: those commanded, and those of the base that no command of the same id replaces.

        Raises:
            BusError: the list cannot be read.
            SettingsError: an entry of it cannot be read.
        """
        commanded = _commanded(await self._bus.publisher_state(PUBLISHER))
        ids = {entity.id.casefold() for entity, _ in commanded.values()}
        rows = [
            Listed.model_construct(**dict(entity), by=command.by, at=command.at)
            for entity, command in commanded.values()
        ]
        rows += [
            Listed.model_construct(**dict(entity)) for entity in self._base.entities if entity.id.casefold() not in ids
        ]
        return sorted(rows, key=lambda row: (row.id.casefold(), row.id))

    async def put(
        self, entities: Sequence[WatchedEntity], by: str, *, replace: bool = False, comment: str = ""
    ) -> Edit:
        """Set entries; with `replace` also remove all others that were commanded. All of it or nothing.

        Raises:
            SettingsError: two entries of the list would claim one id, name, ticker or ISIN; `by` is not a name; or an
                entry of the list cannot be read.
            BusError: it cannot be written; nothing has changed.
        """
        at = datetime.now(UTC)
        wanted = {entity.id: entity for entity in entities}

        def decide(state: Mapping[str, bytes]) -> Edit:
            held = {key: entity for key, (entity, _) in _commanded(state).items()}
            gone = [key for key in held if replace and key not in wanted]
            kept = {key: entity for key, entity in held.items() if key not in gone}
            Watchlist(tuple((kept | wanted).values()), "the watchlist")
            new = [entity for key, entity in wanted.items() if held.get(key) != entity]
            return self._edit(held, new, gone, Decided(by, at, comment))

        return await update_state(self._bus, PUBLISHER, decide)

    async def remove(self, entry: str, by: str, *, comment: str = "") -> Edit:
        """Remove an entry that was commanded.

        Raises:
            SettingsError: `by` is not a name.
            BusError: it cannot be written; nothing has changed.
        """
        at = datetime.now(UTC)

        def decide(state: Mapping[str, bytes]) -> Edit:
            if entry not in state:
                return Edit(unknown=(entry,))
            return self._edit(state, [], [entry], Decided(by, at, comment))

        return await update_state(self._bus, PUBLISHER, decide)

    def _edit(self, held: Collection[str], new: Sequence[WatchedEntity], gone: Sequence[str], decided: Decided) -> Edit:
        _check_written("by", decided.by, 1, 100)
        _check_written("comment", decided.comment, 0, 2_000, but="\t\r\n")
        removals = {key: decided.remove(key) for key in gone}
        settings = {one.id: decided.set(one) for one in new}
        commands = (*removals.values(), *settings.values())
        left = (set(held) - set(gone)) | settings.keys()
        return Edit(
            results=tuple(Outgoing(Topic.COMMANDS, str(one.target), one.to_bytes()) for one in commands),
            state=dict.fromkeys(removals) | {key: one.to_bytes() for key, one in settings.items()},
            set=tuple(settings),
            removed=tuple(removals),
            first=bool(left) and not held and not self._base,
            emptied=bool(held) and not left and not self._base,
        )


def commanded_entries(state: Mapping[str, bytes]) -> tuple[WatchedEntity, ...]:
    """The list as commanded, from the publisher's state; the newest first."""
    newest = sorted(_commanded(state).values(), key=lambda one: one[0].id)
    newest.sort(key=lambda one: one[1].at, reverse=True)
    return tuple(entity for entity, _ in newest)


def _commanded(state: Mapping[str, bytes]) -> dict[str, tuple[WatchedEntity, Command]]:
    """By key, what is on the list and the command that set it.

    Raises:
        SettingsError: an entry cannot be read.
    """
    found = {}
    for key, raw in state.items():
        where = f"the watchlist: {key}"
        try:
            command = read_record(COMMANDS, raw, where)
            found[key] = (recorded_entry(command.value, where), command)
        except (SchemaError, SettingsError) as error:
            raise SettingsError(
                error.what,
                value=error.value,
                where=where,
                do=f"If a newer riskwire wrote it, use that one; else `riskwire watchlist remove {key}`",
            ) from None
    return found


@dataclass(frozen=True, slots=True)
class Decided:
    """Who decided when, and why."""

    by: str
    at: datetime
    comment: str

    def set(self, entity: WatchedEntity) -> Command:
        """The command that sets an entry."""
        return Command(
            kind="watchlist_set",
            target=entity.target,
            by=self.by,
            at=self.at,
            comment=self.comment,
            value=written_entry(entity),
        )

    def remove(self, entry: str) -> Command:
        """The command that removes an entry."""
        return Command(kind="watchlist_remove", target=f"entity:{entry}", by=self.by, at=self.at, comment=self.comment)


def _check_written(what: str, text: str, least: int, most: int, *, but: str = "") -> None:
    """What a person writes must be of a bounded length, without control characters (`but` these), and Unicode: a
    command line can hold other bytes."""
    if not least <= len(text.strip()) <= len(text) <= most:
        raise SettingsError(f"{what}: {least} to {most} characters", value=text)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise SettingsError(f"{what}: not Unicode", value=text) from None
    if has_control(text, but=but):
        raise SettingsError(f"{what}: has a control character", value=text)
