"""`riskwire watchlist …`: the command line of the watchlist."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from riskwire.cli.options import ConfigFile, Data, Json, Limit, run_to_end, settings_of

watchlist_app = typer.Typer(help="Change the watchlist while it is in use.", no_args_is_help=True)


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as containers have them
        return "unknown"


By = Annotated[
    str, typer.Option("--by", help="Who decided it.", default_factory=_login, show_default="your login name")
]


@watchlist_app.command("add")
def watchlist_add(
    entry: Annotated[str, typer.Argument(metavar="ID", help="Its target is then `entity:ID`.")],
    by: By,
    name: Annotated[str, typer.Option("--name", help="As the news writes it.")],
    alias: Annotated[list[str] | None, typer.Option("--alias", help="A further name; may be given again.")] = None,
    ticker: Annotated[list[str] | None, typer.Option("--ticker", help="A US ticker; may be given again.")] = None,
    isin: Annotated[str | None, typer.Option("--isin")] = None,
    group: Annotated[str | None, typer.Option("--group", help="Followed as a whole, too: `group:NAME`.")] = None,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Watch an entity from now on, or change what it is known by; no restart. Its past is learned from the store."""
    from riskwire.cli.watchlist import add as main

    fields = {"id": entry, "name": name, "aliases": alias, "tickers": ticker, "isin": isin, "group": group}
    run_to_end(main(settings_of(config, data=data), fields, by))


@watchlist_app.command("remove")
def watchlist_remove(
    entry: Annotated[str, typer.Argument(metavar="ID")],
    by: By,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Watch an entity no more; what a watchlist file says of it stands again."""
    from riskwire.cli.watchlist import remove as main

    run_to_end(main(settings_of(config, data=data), entry, by))


@watchlist_app.command("import")
def watchlist_import(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Watchlist (YAML or CSV).")],
    by: By,
    replace: Annotated[
        bool, typer.Option("--replace", help="Also remove every entry that was commanded and is not in the file.")
    ] = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Watch everything in a file from now on, as one step: all of it or, where something is wrong, nothing."""
    from riskwire.cli.watchlist import import_file as main

    run_to_end(main(settings_of(config, data=data), file, by, replace=replace))


@watchlist_app.command("list")
def watchlist_list(json: Json = False, data: Data = None, config: ConfigFile = None) -> None:
    """What is watched, and who put it there."""
    from riskwire.cli.watchlist import show as main

    run_to_end(main(settings_of(config, data=data), json))


@watchlist_app.command("log")
def watchlist_log(json: Json = False, limit: Limit = 1_000, data: Data = None, config: ConfigFile = None) -> None:
    """Who decided what of the watchlist, newest first."""
    from riskwire.cli.watchlist import log as main

    main(settings_of(config, data=data), json, limit)
