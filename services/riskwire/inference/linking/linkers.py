"""The linkers of the watchlists that are in force: built when they are first needed, shared, the last few kept."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

import structlog

from riskwire.entities.watchlist import WatchedEntity, layered
from riskwire.inference.linking.linker import Linker

log = structlog.get_logger(__name__)

_MOST_TOLD = 1_000
"""Lost claims remembered, so that each is told once."""


class Linkers:
    """Linkers for what was commanded over a base watchlist. May be called from any thread.

    Args:
        base: the linker of the watchlist that the process was started with.
        most: linkers kept beside it; the one used longest ago is let go.
    """

    def __init__(self, base: Linker, most: int) -> None:
        self._base = base
        self._most = most
        self._kept: OrderedDict[tuple[WatchedEntity, ...], Linker] = OrderedDict()
        self._lock = Lock()
        self._told: set[str] = set()

    @property
    def base(self) -> Linker:
        """The linker of the base watchlist alone."""
        return self._base

    def of(self, commanded: tuple[WatchedEntity, ...]) -> Linker:
        """The linker of these entries, the first of which goes first, over the base; building one takes a while."""
        if not commanded:
            return self._base
        with self._lock:
            linker = self._kept.get(commanded)
            if linker is None:
                linker = self._kept[commanded] = self._built(commanded)
                if len(self._kept) > self._most:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(commanded)
            return linker

    def _built(self, commanded: tuple[WatchedEntity, ...]) -> Linker:
        base = self._base.watchlist
        watchlist, lost = layered((*commanded, *base.entities), base.where)
        for one in lost:
            if one not in self._told and len(self._told) < _MOST_TOLD:
                self._told.add(one)
                log.warning("watchlist entries claim the same", lost=one)
        return Linker(watchlist, self._base.companies)
