"""The watchlist as commanded, for who answers questions rather than reads the log: the API's `analyse`."""

from __future__ import annotations

import asyncio

import structlog

from riskwire.bus import Bus
from riskwire.errors import BusError, SettingsError
from riskwire.inference.linking import Linker, LinkerCache
from riskwire.pipeline import Topic
from riskwire.watching.editor import PUBLISHER, commanded_entries

log = structlog.get_logger(__name__)

LOOK_S = 2.0
"""How often it looks whether there are new commands."""


class Follower:
    """Keeps `linker` up to date with the list."""

    def __init__(self, bus: Bus, base: Linker) -> None:
        self.linker = base
        self._bus = bus
        self._linkers = LinkerCache(base, 1)
        self._ends: list[int] = []

    async def run(self) -> None:
        """Look every `LOOK_S` seconds, until cancelled; while the bus does not answer the last list stands."""
        while True:
            try:
                await self.look()
            except (BusError, SettingsError) as error:
                log.warning("the watchlist cannot be looked at; the last one stands", error=str(error))
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Take over what has been commanded.

        Raises:
            BusError: the bus does not answer.
            SettingsError: an entry of the list cannot be read.
        """
        ends = await self._bus.ends(Topic.COMMANDS)
        if ends == self._ends:
            return
        entries = commanded_entries(await self._bus.publisher_state(PUBLISHER))
        self.linker = await asyncio.to_thread(self._linkers.get, entries)
        self._ends = ends
