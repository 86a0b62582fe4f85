"""`riskwire watchlist add|remove|import|list|log`: the watchlist, changed while it is in use."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from riskwire.app.monitor import watchlist_of
from riskwire.cli.show import opened_bus, opened_store, print_lines
from riskwire.cli.terminal import print_table, printable
from riskwire.entities.watchlist import WatchedEntity, read_entry, read_watchlist
from riskwire.errors import SettingsError
from riskwire.records import Command
from riskwire.settings import Settings
from riskwire.watching import Edit, WatchlistEditor


async def add(settings: Settings, entry: Mapping[str, Any], by: str) -> int:
    """Put an entry on the list, or change it."""
    entity = read_entry({key: value for key, value in entry.items() if value}, "riskwire watchlist add")
    edit = await _put(settings, [entity], by, replace=False)
    print(printable(f"{'set' if edit.set else 'is on the list already:'} {entity.id}: {entity.name}"))
    _tell_what_is_followed(edit)
    return 0


async def remove(settings: Settings, entry: str, by: str) -> int:
    """Take an entry off the list."""
    base = watchlist_of(settings.watchlist)
    async with opened_bus(settings) as bus:
        edit = await WatchlistEditor(bus, base).remove(entry, by)
    if edit.unknown:
        in_file = any(entity.id == entry for entity in base.entities)
        raise SettingsError(
            "no such entry was put on the list by command",
            value=entry,
            do=f"It is in {base.where}: take it out there and start again"
            if in_file
            else "`riskwire watchlist list` shows what is on it",
        )
    print(printable(f"removed {entry}"))
    _tell_what_is_followed(edit)
    return 0


async def import_file(settings: Settings, file: Path, by: str, *, replace: bool) -> int:
    """Put every entry of a file on the list as one step; with `replace` take the others off it."""
    entities = read_watchlist(file).entities
    edit = await _put(settings, entities, by, replace=replace)
    print(f"{len(edit.set)} set, {len(edit.removed)} removed, {len(entities) - len(edit.set)} as they were")
    _tell_what_is_followed(edit)
    return 0


async def show(settings: Settings, json: bool) -> int:
    """What is on the list, and who put it there."""
    async with opened_bus(settings) as bus:
        rows = await WatchlistEditor(bus, watchlist_of(settings.watchlist)).listed()
    if json:
        print_lines([row.model_dump(mode="json") for row in rows])
        return 0
    print_table(
        ("id", "name", "aliases", "tickers", "isin", "group", "by"),
        [
            (
                row.id,
                row.name,
                ", ".join(row.aliases),
                ", ".join(row.tickers),
                row.isin or "",
                row.group or "",
                row.by or "the file",
            )
            for row in rows
        ],
        empty="Nothing is watched by name: riskwire follows the entities it finds.",
    )
    return 0


def log(settings: Settings, json: bool, limit: int) -> None:
    """What was decided of the list, newest first."""
    with opened_store(settings) as store:
        rows = store.watchlist_log(limit=limit)
    if json:
        print_lines(rows)
        return
    print_table(
        ("at", "by", "what", "entry"),
        [(f"{row.at:%Y-%m-%d %H:%M:%S}", row.by, row.kind.partition("_")[2], _told(row)) for row in rows],
        empty="The watchlist was never changed by command.",
    )


async def _put(settings: Settings, entities: Sequence[WatchedEntity], by: str, *, replace: bool) -> Edit:
    async with opened_bus(settings) as bus:
        return await WatchlistEditor(bus, watchlist_of(settings.watchlist)).put(entities, by, replace=replace)


def _tell_what_is_followed(edit: Edit) -> None:
    if edit.first:
        print("From now on only what is on the watchlist is followed.", file=sys.stderr)
    if edit.emptied:
        print("The watchlist is empty: from now on every entity that is found is followed.", file=sys.stderr)


def _told(row: Command) -> str:
    entry = (row.target or "").partition(":")[2]
    name = row.value.get("name")
    return f"{entry}: {name}" if name else entry
