"""`riskwire …`: the command line. Each command loads only what it needs."""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from riskwire import __version__
from riskwire.cli.dead_letters_options import letters_app
from riskwire.cli.feeds_options import feeds_app
from riskwire.cli.options import ConfigFile, Data, Json, Limit, run_to_end, settings_of
from riskwire.cli.watchlist_options import watchlist_app
from riskwire.errors import RiskwireError, SettingsError, leaves
from riskwire.settings import Settings, described

app = typer.Typer(
    help="Reads financial news as it is published, follows the mood of each company, and explains every alert.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    epilog="New here? `riskwire demo` shows a fictional crisis in two minutes, without network.",
    pretty_exceptions_enable=False,
)
config_app = typer.Typer(help="Show the settings, or check them.", no_args_is_help=True)
app.add_typer(config_app, name="config")
topics_app = typer.Typer(help="Make the topics on Kafka, or check them.", no_args_is_help=True)
app.add_typer(topics_app, name="topics")
app.add_typer(feeds_app, name="feeds")
app.add_typer(letters_app, name="dead-letters")
app.add_typer(watchlist_app, name="watchlist")

WatchlistFile = Annotated[
    Path | None, typer.Option("--watchlist", metavar="FILE", help="Watchlist (YAML or CSV).", show_default=False)
]
FeedsFile = Annotated[
    Path | None, typer.Option("--feeds", metavar="FILE", help="Feed list (YAML).", show_default=False)
]
Port = Annotated[
    int | None,
    typer.Option("--port", help="Port of the page; 0 takes a free one.", min=0, max=65_535, show_default="8080"),
]


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    """Reads financial news as it is published, follows the mood of each company, and explains every alert."""
    if version:
        typer.echo(f"riskwire {__version__}")
        raise typer.Exit


@app.command()
def run(
    data: Data = None,
    feeds: FeedsFile = None,
    watchlist: WatchlistFile = None,
    port: Port = None,
    config: ConfigFile = None,
) -> None:
    """Run the whole monitor in this process: poll the feeds, read, alert, and serve the page."""
    from riskwire.cli.run import run as main

    run_to_end(main(settings_of(config, data=data, feeds=feeds, watchlist=watchlist, web__port=port)), serves=True)


@app.command()
def demo(
    data: Data = None,
    port: Port = None,
    speed: Annotated[
        str, typer.Option("--speed", metavar="N|max", help="Seconds of the story per second of yours, or `max`.")
    ] = "45000",
    once: Annotated[
        bool, typer.Option("--once", help="End when the story is told, rather than go on serving.")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Replay a fictional crisis through the real stages and watch it on the page. No network needed."""
    from riskwire.cli.demo import demo as main

    run_to_end(main(settings_of(config, data=data, web__port=port), data is None, _speed(speed), once), serves=True)


@app.command()
def replay(
    archive: Annotated[Path, typer.Argument(metavar="ARCHIVE", help="JSON lines: plain, .gz or .zst.")],
    data: Data = None,
    speed: Annotated[
        str, typer.Option("--speed", metavar="N|max", help="Archive seconds per real second, or `max`.")
    ] = "max",
    limit: Annotated[int | None, typer.Option("--limit", help="Only the first N stories.", min=1, max=10**12)] = None,
    publish_only: Annotated[
        bool, typer.Option("--publish-only", help="Only write the articles; run no other stage.")
    ] = False,
    watchlist: WatchlistFile = None,
    config: ConfigFile = None,
) -> None:
    """Replay an archive through all stages until everything is read; goes on where an earlier run was cut."""
    from riskwire.cli.replay import replay as main

    settings = settings_of(config, data=data, watchlist=watchlist)
    run_to_end(main(settings, archive, speed=_speed(speed), limit=limit, publish_only=publish_only))


@app.command()
def score(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="JSON lines; standard input when not given.", show_default=False),
    ] = None,
    watchlist: WatchlistFile = None,
    config: ConfigFile = None,
) -> None:
    """Score texts: JSON lines of `{"id", "text", "targets"?}` in, the readings out, in order, as they come."""
    from riskwire.cli.score import score as main

    run_to_end(main(settings_of(config, watchlist=watchlist), file))


@app.command()
def alerts(json: Json = False, limit: Limit = 1_000, data: Data = None, config: ConfigFile = None) -> None:
    """The newest record of each alert, newest first."""
    from riskwire.cli.show import alerts as main

    main(settings_of(config, data=data), json, limit)


@app.command()
def targets(json: Json = False, limit: Limit = 100_000, data: Data = None, config: ConfigFile = None) -> None:
    """The targets followed, with their mood and surprise."""
    from riskwire.cli.show import targets as main

    main(settings_of(config, data=data), json, limit)


@app.command()
def stories(
    target: Annotated[str, typer.Option("--target", metavar="TARGET", help="For example `entity:aapl` or `market`.")],
    json: Json = False,
    limit: Limit = 100_000,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """The stories that speak of a target, newest first."""
    from riskwire.cli.show import stories as main

    main(settings_of(config, data=data), target, json, limit)


@app.command()
def status(
    json: Json = False,
    partitions: Annotated[
        bool, typer.Option("--partitions", help="Every partition, also those of which all has been read.")
    ] = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """How far every stage is: records per topic, lag per group and partition, bundle, version."""
    from riskwire.cli.show import status as main

    run_to_end(main(settings_of(config, data=data), json, partitions))


def _service(name: Any, settings: Settings) -> None:
    from riskwire.app.service import service as main

    run_to_end(main(settings, name), serves=True)


@app.command(rich_help_panel="Services on Kafka")
def ingest(feeds: FeedsFile = None, port: Port = None, config: ConfigFile = None) -> None:
    """Poll the feeds this worker is given and publish the articles."""
    _service("ingest", settings_of(config, feeds=feeds, web__port=port))


@app.command(rich_help_panel="Services on Kafka")
def infer(watchlist: WatchlistFile = None, port: Port = None, config: ConfigFile = None) -> None:
    """Read articles: sentiment, names, topics."""
    _service("infer", settings_of(config, watchlist=watchlist, web__port=port))


@app.command(rich_help_panel="Services on Kafka")
def alert(port: Port = None, config: ConfigFile = None) -> None:
    """Follow the targets and raise alerts."""
    _service("alert", settings_of(config, web__port=port))


@app.command(rich_help_panel="Services on Kafka")
def sink(data: Data = None, port: Port = None, config: ConfigFile = None) -> None:
    """Write what the page shows into the store."""
    _service("sink", settings_of(config, data=data, web__port=port))


@app.command(rich_help_panel="Services on Kafka")
def notify(port: Port = None, config: ConfigFile = None) -> None:
    """Send the alerts out."""
    _service("notify", settings_of(config, web__port=port))


@app.command(rich_help_panel="Services on Kafka")
def serve(data: Data = None, watchlist: WatchlistFile = None, port: Port = None, config: ConfigFile = None) -> None:
    """Serve the page and the API over the store."""
    _service("serve", settings_of(config, data=data, watchlist=watchlist, web__port=port))


@topics_app.command("create")
def topics_create(config: ConfigFile = None) -> None:
    """Make the topics that are missing; 1 where those that were there differ from what riskwire needs."""
    from riskwire.cli.topics import create as main

    run_to_end(main(settings_of(config)))


@topics_app.command("check")
def topics_check(config: ConfigFile = None) -> None:
    """Say what differs from what riskwire needs; 1 where something does."""
    from riskwire.cli.topics import check as main

    run_to_end(main(settings_of(config)))


@config_app.command("show")
def config_show(config: ConfigFile = None) -> None:
    """Every setting with its value and what it is for; secrets are masked."""
    for key, value, purpose in described(settings_of(config)):
        typer.echo(f"{key} = {value}\n    {purpose}")


@config_app.command("check")
def config_check(config: ConfigFile = None) -> None:
    """Check the settings, and the feed list, watchlist, bundle and receivers they name."""
    from riskwire.cli.check import check

    check(settings_of(config))
    typer.echo("The settings are good.")


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise SettingsError("--speed: a number greater than 0, or `max`", value=text)
    return speed


def _mount_model_commands() -> None:
    """`riskwire model …`: the recipes; they import without torch, and say what is missing when it is needed."""
    from riskwire_models.cli import app as model_app

    app.add_typer(model_app, name="model", help="Train, evaluate and export model bundles (extra `train`).")


def main() -> None:
    """Entry point: every failure that can be acted on is one clear message and a non-zero exit."""
    _open_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):  # not every terminal has the letters that news is written in
        sys.stdout.reconfigure(errors="backslashreplace")
    if len(sys.argv) > 1 and sys.argv[1] in ("model", "--help"):
        _mount_model_commands()
    try:
        code = _code()
    finally:
        written = _write_out()
    sys.exit(code or (0 if written else 1))


def _open_streams() -> None:
    """Where we were started with a standard stream closed, nothing is read or written there; else the next file that is
    opened would get its number, and what a library prints would end up in the database."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8"))


def _code() -> int | str | None:
    """Run the command that was asked for; its exit status."""
    try:
        _run_command()
    except SystemExit as ended:
        return ended.code
    return 0


def _run_command() -> None:
    try:
        app()
    except* RiskwireError as group:
        from riskwire.cli.terminal import printable

        for error in leaves(group):
            typer.echo(f"riskwire: {printable(str(error), lines=True)}", err=True)
        sys.exit(2)
    except* OSError as group:
        full = [error for error in leaves(group) if isinstance(error, OSError) and error.errno == errno.ENOSPC]
        if not full:
            raise
        _give_up_output(full[0])
        sys.exit(1)


def _write_out() -> bool:
    """Write what has been said, here rather than at the interpreter's end: who reads it may be gone, or a disk full.

    Returns:
        whether it could be.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        _give_up_output(error)
        return False
    return True


def _give_up_output(error: OSError) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still unwritten
    if not isinstance(error, BrokenPipeError):
        typer.echo(f"riskwire: what was to be said cannot be written: {error}", err=True)
