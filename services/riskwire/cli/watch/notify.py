"""`riskwire notify`: the service that delivers alerts, and `riskwire notify test`."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from riskwire.cli import run as services
from riskwire.cli.options import ConfigFile, settings_of

notify_app = typer.Typer(invoke_without_command=True)


@notify_app.callback()
def notify(context: typer.Context, port: services.ProbePort = None, config: ConfigFile = None) -> None:
    """Deliver alerts to the receivers. `riskwire notify test` tries the receivers."""
    if context.invoked_subcommand is None:
        services.notify(port=port, config=config)


@notify_app.command("test")
def try_out(
    receiver: Annotated[
        str | None, typer.Argument(help="A name in notify.receivers, or a setting such as notify.webhooks[0].")
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Send a test message to every receiver, or to one. Exits with code 1 if one does not take it."""
    from riskwire.notify.trial import try_receivers

    results = asyncio.run(try_receivers(settings_of(config), receiver))
    for result in results:
        typer.echo(f"{result.label}: {'delivered' if result.error is None else f'failed: {result.error.what}'}")
    if any(result.error is not None for result in results):
        raise typer.Exit(1)
