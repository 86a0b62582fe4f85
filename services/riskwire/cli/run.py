"""`riskwire run`, one command for each service on Kafka, and `riskwire repair` for the data of a run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from riskwire.cli.options import ConfigFile, Data, FeedsFile, Port, WatchlistFile, run_to_end, settings_of
from riskwire.settings import Settings

ProbePort = Annotated[
    int | None,
    typer.Option(
        "--port",
        help="Port of this service: health, readiness and metrics; 0 chooses a free one.",
        min=0,
        max=65_535,
        show_default="8080",
    ),
]


def run(
    data: Data = None,
    feeds: FeedsFile = None,
    watchlist: WatchlistFile = None,
    port: Port = None,
    config: ConfigFile = None,
) -> None:
    """Run the whole monitor in this process: poll feeds, analyse news, raise alerts, serve the page."""
    from riskwire.app.serving import run_monitor

    settings = settings_of(config, data=data, feeds=feeds, watchlist=watchlist, web__port=port)
    run_to_end(run_monitor(settings), serves=True)


def ingest(feeds: FeedsFile = None, port: ProbePort = None, config: ConfigFile = None) -> None:
    """Poll the feeds assigned to this worker, and publish articles."""
    _run_service("ingest", settings_of(config, feeds=feeds, web__port=port))


def infer(watchlist: WatchlistFile = None, port: ProbePort = None, config: ConfigFile = None) -> None:
    """Analyse articles: sentiment, names, topics."""
    _run_service("infer", settings_of(config, watchlist=watchlist, web__port=port))


def alert(port: ProbePort = None, config: ConfigFile = None) -> None:
    """Follow the trends of the targets, and raise alerts."""
    _run_service("alert", settings_of(config, web__port=port))


def sink(data: Data = None, port: ProbePort = None, config: ConfigFile = None) -> None:
    """Write what the page shows into the store."""
    _run_service("sink", settings_of(config, data=data, web__port=port))


def notify(port: ProbePort = None, config: ConfigFile = None) -> None:
    """Deliver alerts to the receivers."""
    _run_service("notify", settings_of(config, web__port=port))


def serve(data: Data = None, watchlist: WatchlistFile = None, port: Port = None, config: ConfigFile = None) -> None:
    """Serve the page and the API of the store."""
    _run_service("serve", settings_of(config, data=data, watchlist=watchlist, web__port=port))


def repair(data: Data = None, config: ConfigFile = None) -> None:
    """Repair a data directory that holds news of the future, after the time of this machine was wrong.

    Stop riskwire first, and set the time right. News that is dated later than now is forgotten and read again from the
    feeds; what was learned before stays. Copies of the files as they were stay beside them.
    """
    from riskwire.app.repair import repair_future
    from riskwire.cli.terminal import counted

    now = datetime.now(UTC)
    settings = settings_of(config, data=data)
    outcome = repair_future(settings, now)
    typer.echo(f"now is {now.astimezone(settings.zone):%Y-%m-%d %H:%M} {settings.zone}")
    typer.echo(f"{counted(outcome.articles, 'article')} of the future forgotten; feeds are read again")
    for path in outcome.backups:
        typer.echo(f"before the repair: {path}")


def _run_service(name: str, settings: Settings) -> None:
    from riskwire.app.serving import run_service

    run_to_end(run_service(settings, name), serves=True)
