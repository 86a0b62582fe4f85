"""The watchlist stage: commands in; records that say from where on an entry is watched, on every partition of articles.

Its state: `entry/ID` for each entry that is watched (the last record of it), and `told`, how many partitions have been
told. Where there are more partitions than that, the new ones are told the whole list first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from pydantic import TypeAdapter

from riskwire.bus import Message, Outgoing
from riskwire.bus.protocol import broadcast
from riskwire.entities.watchlist import ENTRY_ID, recorded_entry, written_entry
from riskwire.errors import SchemaError, SettingsError
from riskwire.pipeline import WATCHLIST, Topic
from riskwire.records import Command, WatchlistChange, read_record
from riskwire.stage import Step, dead_letter

COMMANDS: TypeAdapter[Command] = TypeAdapter(Command)
_ENTRY = "entry/"
_TOLD = "told"


class WatchlistStage:
    """Tells the readers of articles what to watch."""

    spec = WATCHLIST

    def __init__(self, article_partitions: int) -> None:
        self._article_partitions = article_partitions

    def open(self, partition: int, state: Mapping[str, bytes]) -> WatchlistTask:
        """Continue from a committed state."""
        return WatchlistTask(self._article_partitions, state)


class WatchlistTask:
    """The work on the one partition of commands."""

    def __init__(self, article_partitions: int, state: Mapping[str, bytes]) -> None:
        self._partitions = article_partitions
        self._told = int(state.get(_TOLD, b"0"))
        self._entries = {key.removeprefix(_ENTRY): value for key, value in state.items() if key.startswith(_ENTRY)}

    async def first_step(self) -> Step:
        """Tell partitions that are new the whole list."""
        return Step(list(self._whole_list()), self._now_told()) if self._entries else Step()

    async def process(self, batch: Sequence[Message]) -> Step:
        """Pass on what the commands of a batch say of the watchlist, in order."""
        step = Step()
        for message in batch:
            try:
                watch = watch_of(message)
            except SchemaError as error:
                step.results.append(dead_letter(WATCHLIST.name, message, error))
                continue
            if watch is None:
                continue
            raw = watch.to_bytes()
            step.results.extend(broadcast(Topic.ARTICLES, raw, self._partitions))
            if watch.entry is None:
                self._entries.pop(watch.id, None)
            else:
                self._entries[watch.id] = raw
            step.state[_ENTRY + watch.id] = None if watch.entry is None else raw
        if step.state:
            step.state |= self._now_told()
        return step

    def _whole_list(self) -> Iterator[Outgoing]:
        for raw in self._entries.values():
            for partition in range(self._told, self._partitions):
                yield Outgoing(Topic.ARTICLES, None, raw, partition)

    def _now_told(self) -> dict[str, bytes | None]:
        if self._told == self._partitions:
            return {}
        self._told = self._partitions
        return {_TOLD: str(self._told).encode()}


def watch_of(message: Message) -> WatchlistChange | None:
    """What a command says of the watchlist; None where it speaks of something else.

    Raises:
        SchemaError: it cannot be read; or it speaks of the watchlist and cannot be carried out.
    """
    where = message.where
    command = read_record(COMMANDS, message.value, where)
    if command.kind not in ("watchlist_set", "watchlist_remove"):
        return None
    kind, _, entry = (command.target or "").partition(":")
    if kind != "entity" or not re.fullmatch(ENTRY_ID, entry) or len(entry) > 100:
        raise SchemaError("target: must be `entity:` and the id of an entry", value=command.target, where=where)
    if command.kind == "watchlist_remove":
        return WatchlistChange(id=entry, entry=None, at=command.at, command=message.offset)
    try:
        entity = recorded_entry(command.value, where)
    except SettingsError as error:
        raise SchemaError(f"value.{error.what}", value=error.value, where=where) from None
    if entity.id != entry:
        raise SchemaError(f"value.id: not the id {entry!r} of the target", value=entity.id, where=where)
    return WatchlistChange(id=entry, entry=written_entry(entity), at=command.at, command=message.offset)
