"""`riskwire …`: the command line. Each command loads only what it needs."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from riskwire import __version__
from riskwire.errors import RiskwireError, SettingsError
from riskwire.settings import Settings, described, load_settings

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

Data = Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Data directory.", show_default=False)]
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
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="Settings file; `riskwire.yaml` here if there is one.", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Limit = Annotated[int, typer.Option("--limit", help="Most rows.", min=1)]


def _settings(config: Path | None, **flat: Any) -> Settings:
    """Settings with what the command line gave laid over them; `web__port` stands for `web.port`."""
    overrides: dict[str, Any] = {}
    for name, value in flat.items():
        if value is None:
            continue
        section, _, key = name.partition("__")
        if key:
            overrides.setdefault(section, {})[key] = value
        else:
            overrides[section] = value
    return load_settings(config, overrides)


def _run(main: Coroutine[Any, Any, int], *, serves: bool = False) -> None:
    """Run a coroutine on uvloop; SIGTERM ends it as Ctrl-C does, in good order.

    Args:
        serves: it runs until it is stopped, so being stopped is its good end; anything else has then been cut short.
    """
    import uvloop

    signals: list[signal.Signals] = []

    async def stoppable() -> int:
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()

        def stop(told: signal.Signals) -> None:
            signals.append(told)
            task.cancel()

        for one in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(one, stop, one)
        return await main

    try:
        code = uvloop.run(stoppable())
    except (KeyboardInterrupt, asyncio.CancelledError):
        code = 0 if serves else 128 + (signals[0] if signals else signal.SIGINT)
        if not serves:
            typer.echo("riskwire: interrupted before the end; nothing is lost, run it again to go on.", err=True)
    raise typer.Exit(code)


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
    from riskwire.commands.run import run as main

    _run(main(_settings(config, data=data, feeds=feeds, watchlist=watchlist, web__port=port)), serves=True)


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
    from riskwire.commands.demo import demo as main

    _run(main(_settings(config, data=data, web__port=port), data is None, _speed(speed), once), serves=True)


@app.command()
def replay(
    archive: Annotated[Path, typer.Argument(metavar="ARCHIVE", help="JSON lines: plain, .gz or .zst.")],
    data: Data = None,
    speed: Annotated[
        str, typer.Option("--speed", metavar="N|max", help="Archive seconds per real second, or `max`.")
    ] = "max",
    limit: Annotated[int | None, typer.Option("--limit", help="Only the first N stories.", min=1)] = None,
    publish_only: Annotated[
        bool, typer.Option("--publish-only", help="Only write the articles; run no other stage.")
    ] = False,
    watchlist: WatchlistFile = None,
    config: ConfigFile = None,
) -> None:
    """Replay an archive through all stages until everything is read; goes on where an earlier run was cut."""
    from riskwire.commands.replay import replay as main

    settings = _settings(config, data=data, watchlist=watchlist)
    _run(main(settings, archive, speed=_speed(speed), limit=limit, publish_only=publish_only))


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
    from riskwire.commands.score import score as main

    _run(main(_settings(config, watchlist=watchlist), file))


@app.command()
def alerts(json: Json = False, limit: Limit = 1_000, data: Data = None, config: ConfigFile = None) -> None:
    """The newest record of each alert, newest first."""
    from riskwire.commands.show import alerts as main

    main(_settings(config, data=data), json, limit)


@app.command()
def targets(json: Json = False, limit: Limit = 100_000, data: Data = None, config: ConfigFile = None) -> None:
    """The targets followed, with their mood and surprise."""
    from riskwire.commands.show import targets as main

    main(_settings(config, data=data), json, limit)


@app.command()
def stories(
    target: Annotated[str, typer.Option("--target", metavar="TARGET", help="For example `entity:aapl` or `market`.")],
    json: Json = False,
    limit: Limit = 100_000,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """The stories that speak of a target, newest first."""
    from riskwire.commands.show import stories as main

    main(_settings(config, data=data), target, json, limit)


@app.command()
def status(json: Json = False, data: Data = None, config: ConfigFile = None) -> None:
    """How far every stage is: records per topic, lag per group, bundle, version."""
    from riskwire.commands.show import status as main

    _run(main(_settings(config, data=data), json))


def _service(name: Any, settings: Settings) -> None:
    from riskwire.commands.service import service as main

    _run(main(settings, name), serves=True)


@app.command(rich_help_panel="Services on Kafka")
def ingest(feeds: FeedsFile = None, port: Port = None, config: ConfigFile = None) -> None:
    """Poll the feeds this worker is given and publish the articles."""
    _service("ingest", _settings(config, feeds=feeds, web__port=port))


@app.command(rich_help_panel="Services on Kafka")
def infer(watchlist: WatchlistFile = None, port: Port = None, config: ConfigFile = None) -> None:
    """Read articles: sentiment, names, topics."""
    _service("infer", _settings(config, watchlist=watchlist, web__port=port))


@app.command(rich_help_panel="Services on Kafka")
def alert(port: Port = None, config: ConfigFile = None) -> None:
    """Follow the targets and raise alerts."""
    _service("alert", _settings(config, web__port=port))


@app.command(rich_help_panel="Services on Kafka")
def sink(data: Data = None, port: Port = None, config: ConfigFile = None) -> None:
    """Write what the page shows into the store."""
    _service("sink", _settings(config, data=data, web__port=port))


@app.command(rich_help_panel="Services on Kafka")
def notify(port: Port = None, config: ConfigFile = None) -> None:
    """Send the alerts out."""
    _service("notify", _settings(config, web__port=port))


@app.command(rich_help_panel="Services on Kafka")
def serve(data: Data = None, watchlist: WatchlistFile = None, port: Port = None, config: ConfigFile = None) -> None:
    """Serve the page and the API over the store."""
    _service("serve", _settings(config, data=data, watchlist=watchlist, web__port=port))


@topics_app.command("create")
def topics_create(config: ConfigFile = None) -> None:
    """Make the topics that are missing; 1 where those that were there differ from what riskwire needs."""
    from riskwire.commands.topics import create as main

    _run(main(_settings(config)))


@topics_app.command("check")
def topics_check(config: ConfigFile = None) -> None:
    """Say what differs from what riskwire needs; 1 where something does."""
    from riskwire.commands.topics import check as main

    _run(main(_settings(config)))


@config_app.command("show")
def config_show(config: ConfigFile = None) -> None:
    """Every setting with its value and what it is for; secrets are masked."""
    for key, value, purpose in described(_settings(config)):
        typer.echo(f"{key} = {value}\n    {purpose}")


@config_app.command("check")
def config_check(config: ConfigFile = None) -> None:
    """Check the settings, and the feed list, watchlist, bundle and receivers they name."""
    from riskwire.commands.check import check

    check(_settings(config))
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
    if len(sys.argv) > 1 and sys.argv[1] in ("model", "--help"):
        _mount_model_commands()
    try:
        app()
    except* RiskwireError as group:
        for error in _flat(group):
            typer.echo(f"riskwire: {error}", err=True)
        sys.exit(2)


def _flat(group: BaseExceptionGroup[RiskwireError]) -> list[RiskwireError]:
    found: list[RiskwireError] = []
    for error in group.exceptions:
        found += _flat(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
