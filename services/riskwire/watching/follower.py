"""Keeps a linker up to date with the watchlist, for the API's `analyse`, which does not read the log of articles."""

from __future__ import annotations

import asyncio

import structlog

from riskwire.bus import Bus
from riskwire.errors import BusError, SettingsError
from riskwire.inference.linking import Linker, LinkerCache
from riskwire.pipeline import Topic
from riskwire.watching.editor import PUBLISHER, commanded_entries

log = structlog.get_logger(__name__)

POLL_S = 2.0


class Follower:
    """Polls the watchlist and provides a linker for it.

    Attributes:
        linker: the linker for the watchlist of the last successful poll.
    """

    def __init__(self, bus: Bus, base: Linker) -> None:
        """Begins with a base linker; `poll` replaces it.

        Args:
            base: the linker for the watchlist that the process was started with. A linker maps names in a text to
                entries of the watchlist and to companies.
        """
        self.linker = base
        self._bus = bus
        self._linkers = LinkerCache(base, 1)
        self._ends: list[int] = []
        """The end offsets of the commands that `linker` includes."""

    async def run(self) -> None:
        """Polls the watchlist every `POLL_S` seconds, until cancelled. An error is logged and the linker stays."""
        while True:
            try:
                await self.poll()
            except (BusError, SettingsError) as error:
                log.warning("watchlist cannot be read, keeping the last one", error=str(error))
            await asyncio.sleep(POLL_S)

    async def poll(self) -> None:
        """Replaces the linker by one for the current watchlist, if commands were added since the last poll.

        A linker maps names in a text to entries of the watchlist. It is built in a thread.

        Raises:
            BusError: the bus does not answer.
            SettingsError: an entry of the watchlist cannot be read.
        """
        ends = await self._bus.ends(Topic.COMMANDS)
        if ends == self._ends:
            return
        entries = commanded_entries(await self._bus.publisher_state(PUBLISHER))
        self.linker = await asyncio.to_thread(self._linkers.get, entries)
        self._ends = ends
