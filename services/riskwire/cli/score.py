"""`riskwire score`: scores texts with the model."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from riskwire.cli.options import ConfigFile, WatchlistFile, run_to_end, settings_of
from riskwire.errors import SettingsError
from riskwire.settings import Settings


def score(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="JSON lines; by default standard input.", show_default=False),
    ] = None,
    watchlist: WatchlistFile = None,
    config: ConfigFile = None,
) -> None:
    """Score texts: reads JSON lines of `{"id", "text", "targets"?}` and writes one result for each, in order."""
    run_to_end(score_file(settings_of(config, watchlist=watchlist), file))


async def score_file(settings: Settings, file: Path | None) -> int:
    """Scores each line of a file, or of standard input, and writes the results to standard output.

    A bad line is reported on standard error. None or `-` is standard input.

    Returns:
        the exit code: 1 if any line is bad, or if the reader of the output has gone, else 0.

    Raises:
        SettingsError: the file, the watchlist or the bundle cannot be read.
    """
    from riskwire.app.inputs import configured_watchlist
    from riskwire.inference.linking import Linker
    from riskwire.inference.model.bundle import Bundle
    from riskwire.inference.model.engine import Engine
    from riskwire.inference.score import score_lines

    watchlist = configured_watchlist(settings)
    bundle = await asyncio.to_thread(Bundle.load, settings.inference.bundle)
    linker = await asyncio.to_thread(Linker, watchlist)
    try:
        lines = sys.stdin.buffer if file is None or str(file) == "-" else file.open("rb")
    except OSError as error:
        raise SettingsError("the file cannot be read", where=str(file)) from error
    with lines:
        async with Engine(bundle, settings.inference) as engine:
            return await score_lines(lines, sys.stdout.buffer, sys.stderr, engine, linker)
