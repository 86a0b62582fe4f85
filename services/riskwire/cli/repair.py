"""`riskwire repair`: takes news of the future out of a data directory."""

from __future__ import annotations

from datetime import UTC, datetime

import typer

from riskwire.cli.options import ConfigFile, Data, settings_of


def repair(data: Data = None, config: ConfigFile = None) -> None:
    """Repair a data directory that holds news of the future, after the time of this machine was wrong.

    Stop riskwire first, and set the time right. News that is dated later than now is forgotten and read again from the
    feeds; what was learned before stays. Copies of the files as they were stay beside them.
    """
    from riskwire.app.repair import repair_future

    now = datetime.now(UTC)
    done = repair_future(settings_of(config, data=data), now)
    typer.echo(f"now is {now:%Y-%m-%d %H:%M} UTC")
    if done.articles or done.values:
        typer.echo(f"{done.articles} articles of the future forgotten; feeds are read again")
    for path in done.backups:
        typer.echo(f"before the repair: {path}")
