"""`riskwire feeds …`: the command line of the list of feeds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from riskwire.cli.options import ConfigFile, Data, Json, run_to_end, settings_of

feeds_app = typer.Typer(help="Change the list of feeds while it is polled.", no_args_is_help=True)


@feeds_app.command("add")
def feeds_add(
    what: Annotated[str, typer.Argument(metavar="URL|ID", help="An address; or the id of a feed, to change it.")],
    url: Annotated[str | None, typer.Option("--url", help="The address, where an id is given.")] = None,
    named: Annotated[
        str | None,
        typer.Option("--id", help="The id, where an address is given.", show_default="made from the address"),
    ] = None,
    every: Annotated[
        int | None, typer.Option("--every", metavar="SECONDS", help="Time between polls.", show_default="300")
    ] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", help="auto, rss, atom, rdf, json or sitemap.", show_default="auto"),
    ] = None,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Poll a further feed from now on, or change one; no restart. A feed list given as a file does not undo it."""
    from riskwire.cli.feeds import add as main

    run_to_end(main(settings_of(config, data=data), what, url=url, named=named, every_s=every, form=form))


@feeds_app.command("remove")
def feeds_remove(
    feed: Annotated[str, typer.Argument(metavar="ID")], data: Data = None, config: ConfigFile = None
) -> None:
    """Poll a feed no more. If it came from a file it stays removed until its entry there changes."""
    from riskwire.cli.feeds import remove as main

    run_to_end(main(settings_of(config, data=data), feed))


@feeds_app.command("list")
def feeds_list(
    json: Json = False,
    failing: Annotated[bool, typer.Option("--failing", help="Only feeds of which news may be missed.")] = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """The feeds that are polled, how each does, and whether a file or somebody by hand had the last word on it."""
    from riskwire.cli.feeds import show as main

    run_to_end(main(settings_of(config, data=data), json, failing=failing))


@feeds_app.command("import")
def feeds_import(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Feed list (YAML).")],
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Add or change every feed of a file, as though each were added by hand; feeds that it does not have stay."""
    from riskwire.cli.feeds import import_file as main

    run_to_end(main(settings_of(config, data=data), file))
