"""`riskwire export`: writes what the store holds as CSV or Parquet."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from riskwire.cli.options import ConfigFile, Data, settings_of

Kind = Literal["articles", "analyses", "mentions", "signals", "trends", "alerts", "near-misses"]
"""The values of `ExportKind`, repeated so that no other command loads the store."""
_TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]


def export(
    kind: Annotated[Kind, typer.Argument(help="What to export.")],
    file: Annotated[
        Path | None, typer.Argument(help="A file that ends in .csv or .parquet; without one, CSV on standard output.")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option("--from", formats=_TIMES, help="Only rows from this time (UTC) on.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--to", formats=_TIMES, help="Only rows before this time (UTC).")
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", metavar="TARGET", help="Only rows about a target, such as `entity:aapl`.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Export articles, analyses, mentions, signals, trends, alerts or near misses, by time.

    The time of articles, analyses, mentions and signals is when they were seen, that of a trend point its start. In
    CSV, a text that a spreadsheet would run as a formula gets an apostrophe before it.
    """
    from datetime import UTC

    from riskwire.cli.terminal import counted
    from riskwire.store.exports import ExportKind, export_rows

    settings = settings_of(config, data=data)
    count = export_rows(
        settings,
        ExportKind(kind),
        file,
        since=since and since.replace(tzinfo=UTC),
        until=until and until.replace(tzinfo=UTC),
        target=target,
        replace=force,
    )
    if file is not None:
        typer.echo(f"{file}: {counted(count, 'row')}")
