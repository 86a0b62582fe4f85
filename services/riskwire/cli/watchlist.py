"""`riskwire watchlist …`: reads and changes the watchlist while it is in use."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from riskwire.cli.options import ConfigFile, Data, Json, Limit, run_to_end, settings_of
from riskwire.errors import SettingsError
from riskwire.settings import Settings

if TYPE_CHECKING:
    from riskwire.bus import Bus
    from riskwire.entities.watchlist import WatchedEntity, Watchlist
    from riskwire.records import Command
    from riskwire.watching import WatchlistEdit

watchlist_app = typer.Typer(help="Change the watchlist while it is in use.", no_args_is_help=True)


def _login() -> str:
    """Returns the name of the user, for the log of watchlist changes; "unknown" in a container without one."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in containers
        return "unknown"


By = Annotated[
    str, typer.Option("--by", help="Who decided it.", default_factory=_login, show_default="your login name")
]


@watchlist_app.command()
def add(
    entry: Annotated[str, typer.Argument(metavar="ID", help="Its target is then `entity:ID`.")],
    by: By,
    name: Annotated[str, typer.Option("--name", help="The name that news uses.")],
    alias: Annotated[list[str] | None, typer.Option("--alias", help="Another name; can be repeated.")] = None,
    ticker: Annotated[list[str] | None, typer.Option("--ticker", help="A US ticker; can be repeated.")] = None,
    isin: Annotated[str | None, typer.Option("--isin")] = None,
    group: Annotated[str | None, typer.Option("--group", help="A group to follow too: `group:NAME`.")] = None,
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", help="A phrase in which a name means something else; repeatable.")
    ] = None,
    weight: Annotated[
        float | None, typer.Option("--weight", help="How large your exposure to it is; 1 without it.")
    ] = None,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Watch an entity from now on, or change an entry. Needs no restart; the past is read from the store."""
    fields = {
        "id": entry,
        "name": name,
        "aliases": alias,
        "tickers": ticker,
        "isin": isin,
        "group": group,
        "exclude": exclude,
        "weight": weight,
    }
    run_to_end(add_entry(settings_of(config, data=data), fields, by))


@watchlist_app.command()
def remove(
    entry: Annotated[str, typer.Argument(metavar="ID")],
    by: By,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Remove an entry that was added by a command. An entry of the watchlist file with this id applies again."""
    run_to_end(remove_entry(settings_of(config, data=data), entry, by))


@watchlist_app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Watchlist (YAML or CSV).")],
    by: By,
    replace: Annotated[
        bool, typer.Option("--replace", help="Also remove every entry added by a command that is not in the file.")
    ] = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Watch every entity of a file from now on. If an entry is wrong, nothing changes."""
    run_to_end(import_entries(settings_of(config, data=data), file, by, replace=replace))


@watchlist_app.command("list")
def list_(json: Json = False, data: Data = None, config: ConfigFile = None) -> None:
    """List the entries, and who added each."""
    run_to_end(list_entries(settings_of(config, data=data), json=json))


@watchlist_app.command()
def log(json: Json = False, limit: Limit = 1_000, data: Data = None, config: ConfigFile = None) -> None:
    """List the changes of the watchlist and who made them, newest first."""
    list_changes(settings_of(config, data=data), json=json, limit=limit)


async def add_entry(settings: Settings, fields: Mapping[str, Any], by: str) -> int:
    """Adds an entry to the watchlist, or changes it, and prints whether that changed the list. Returns exit code 0.

    Args:
        fields: the fields of the entry by name; those without a value are left out.
        by: who adds it, for the log of changes.

    Raises:
        SettingsError: the entry is not valid, or has a name or id of another entry.
    """
    from riskwire.cli.terminal import printable
    from riskwire.entities.watchlist import read_entry

    entity = read_entry(
        {name: value for name, value in fields.items() if value or value == 0}, "riskwire watchlist add"
    )
    edit = await _put(settings, [entity], by, replace=False)
    print(printable(f"{'set' if edit.set else 'is on the list already:'} {entity.id}: {entity.name}"))
    _print_scope_change(edit)
    return 0


async def remove_entry(settings: Settings, entry: str, by: str) -> int:
    """Removes an entry that a command added to the watchlist, and prints that. Returns exit code 0.

    Args:
        entry: the id of the entry.
        by: who removes it, for the log of changes.

    Raises:
        SettingsError: no command added such an entry (an entry of the watchlist file must be removed there), or the
            data directory has no data.
        BusError: the bus cannot be opened, or the change cannot be written.
    """
    from riskwire.cli.data import open_existing_bus
    from riskwire.cli.terminal import printable
    from riskwire.watching import WatchlistEditor

    async with open_existing_bus(settings) as bus:
        base = await _base(bus, settings)
        edit = await WatchlistEditor(bus, base).remove(entry, by)
    in_file = any(entity.id.casefold() == entry.casefold() for entity in base.entities)
    if edit.unknown:
        raise SettingsError(
            "no command added such an entry to the list",
            value=entry,
            do=f"It is in {base.where}: remove it there and restart"
            if in_file
            else "`riskwire watchlist list` lists the entries",
        )
    print(printable(f"removed {entry}"))
    if in_file:
        print(printable(f"{entry} is watched as before: it is in {base.where}"), file=sys.stderr)
    _print_scope_change(edit)
    return 0


async def import_entries(settings: Settings, file: Path, by: str, *, replace: bool) -> int:
    """Adds or changes every entry of a file, as one step, and prints the counts. Returns exit code 0.

    Args:
        by: who changes the list, for the log of changes.
        replace: removes the entries that earlier commands added and that are not in the file.
    """
    from riskwire.entities.watchlist import read_watchlist

    entities = read_watchlist(file).entities
    edit = await _put(settings, entities, by, replace=replace)
    print(f"{len(edit.set)} set, {len(edit.removed)} removed, {len(entities) - len(edit.set)} unchanged")
    _print_scope_change(edit)
    return 0


async def list_entries(settings: Settings, *, json: bool) -> int:
    """Prints the entries of the watchlist, from the file and from commands, and who added each. Returns exit code 0."""
    from riskwire.cli.data import open_existing_bus
    from riskwire.cli.terminal import print_json_lines, print_table, printable
    from riskwire.watching import WatchlistEditor

    async with open_existing_bus(settings) as bus:
        base = await _base(bus, settings)
        rows = await WatchlistEditor(bus, base).entries()
    if json:
        print_json_lines([row.model_dump(mode="json") for row in rows])
        return 0
    print_table(
        ("id", "name", "aliases", "tickers", "isin", "group", "weight", "by"),
        [
            (
                row.id,
                row.name,
                ", ".join(row.aliases),
                ", ".join(row.tickers),
                row.isin or "",
                row.group or "",
                f"{row.weight:g}",
                row.by or "the file",
            )
            for row in rows
        ],
        empty="The watchlist is empty: riskwire follows every entity it finds.",
    )
    if any(row.by is None for row in rows):
        print(printable(f"The file is {base.where}."))
    return 0


def list_changes(settings: Settings, *, json: bool, limit: int) -> None:
    """Prints the commands that changed the watchlist, newest first, at most `limit`."""
    from riskwire.cli.data import open_existing_store
    from riskwire.cli.terminal import print_json_lines, print_table, time_text

    with open_existing_store(settings) as store:
        rows = store.watchlist_log(limit=limit)
    if json:
        print_json_lines(rows)
        return
    print_table(
        (f"at, {settings.zone}", "by", "what", "entry"),
        [
            (time_text(row.at, settings.zone, seconds=True), row.by, row.kind.partition("_")[2], _entry_text(row))
            for row in rows
        ],
        empty="No command has changed the watchlist.",
    )


async def _put(settings: Settings, entities: Sequence[WatchedEntity], by: str, *, replace: bool) -> WatchlistEdit:
    """Adds or changes entries of the watchlist in one step. Returns what has changed.

    Args:
        by: who changes the list, for the log of changes.
        replace: removes the entries that earlier commands added and that are not among `entities`.
    """
    from riskwire.cli.data import open_existing_bus
    from riskwire.watching import WatchlistEditor

    async with open_existing_bus(settings) as bus:
        return await WatchlistEditor(bus, await _base(bus, settings)).put(entities, by, replace=replace)


async def _base(bus: Bus, settings: Settings) -> Watchlist:
    """Returns the watchlist file of the running process, or of the last one; before the first, that of the settings.

    The process may have got it by an option that this command does not see.
    """
    from riskwire.app.inputs import configured_watchlist
    from riskwire.watching.base import read_base

    base = await read_base(bus)
    return configured_watchlist(settings) if base is None else base


def _print_scope_change(edit: WatchlistEdit) -> None:
    """Prints a note if the edit changes whether all entities are followed, or only those on the list."""
    if edit.first:
        print("From now on riskwire follows only what is on the watchlist.", file=sys.stderr)
    if edit.emptied:
        print("The watchlist is empty: from now on riskwire follows every entity it finds.", file=sys.stderr)


def _entry_text(command: Command) -> str:
    """Returns the id of the entry that a command changed, and its name if the command set one."""
    entry = (command.target or "").partition(":")[2]
    name = command.value.get("name")
    return f"{entry}: {name}" if name else entry
