"""`riskwire score`: texts in, readings out."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from riskwire.app.monitor import watchlist_of
from riskwire.errors import SettingsError
from riskwire.inference.linking import Linker
from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.engine import Engine
from riskwire.inference.score import score_lines
from riskwire.settings import Settings


async def score(settings: Settings, file: Path | None) -> int:
    """Score each line; 1 when some line was bad."""
    watchlist = watchlist_of(settings.watchlist)
    bundle = await asyncio.to_thread(Bundle.load, settings.inference.bundle)
    linker = await asyncio.to_thread(Linker, watchlist)
    try:
        lines = sys.stdin.buffer if file is None or str(file) == "-" else file.open("rb")
    except OSError as error:
        raise SettingsError("the file cannot be read", where=str(file)) from error
    with lines:
        async with Engine(bundle, settings.inference) as engine:
            return await score_lines(lines, sys.stdout.buffer, sys.stderr, engine, linker)
