"""`riskwire label export`: what people said about alerts, as labels to train on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from riskwire.cli.options import ConfigFile, Data, settings_of
from riskwire.errors import SettingsError

label_app = typer.Typer(help="Make training data of what people said about alerts.", no_args_is_help=True)
_MOST = 1_000_000
"""Decisions that are read."""


@label_app.callback()
def label() -> None:
    """Make training data of what people said about alerts."""


@label_app.command()
def export(
    file: Annotated[
        Path | None, typer.Argument(help="A file that ends in .jsonl; without one, standard output.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Write false alarms and corrections as labels, for `riskwire model train --from FILE`."""
    import orjson

    from riskwire.cli.data import open_existing_store
    from riskwire.deciding.labels import label_rows
    from riskwire.store.reads.decisions import list_decisions

    settings = settings_of(config, data=data)
    if file is not None and file.suffix.lower() == ".csv":
        raise SettingsError("labels are written as JSON lines", value=str(file), do="Let the name end in .jsonl")
    if file is not None and file.exists() and not force:
        raise SettingsError("this file exists", value=str(file), do="Replace it with --force")
    with open_existing_store(settings) as store:
        decisions = store.read(list_decisions, _MOST, None, ("false_alarm", "correct"))
    rows, without = label_rows(reversed(decisions))
    lines = b"".join(orjson.dumps(row) + b"\n" for row in rows)
    if file is None:
        typer.echo(lines.decode(), nl=False)
    else:
        try:
            file.write_bytes(lines)
        except OSError as error:
            raise SettingsError("the labels cannot be written", value=str(file)) from error
    note = f", {without} decisions state no label" if without else ""
    typer.echo(f"{file or 'labels'}: {len(rows)} rows{note}", err=file is None)
