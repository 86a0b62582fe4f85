"""The linkers of the watchlists in force: built on first use, shared, and only the last few cached."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

import structlog

from riskwire.entities.watchlist import WatchedEntity, merge_entries
from riskwire.inference.linking.linker import Linker

log = structlog.get_logger(__name__)

_MAX_LOGGED_CLAIMS = 1_000
"""Lost claims that are remembered, so that each is logged once."""


class LinkerCache:
    """Linkers for entries that commands have set over a base watchlist. Thread-safe.

    Args:
        base: the linker of the watchlist that the process was started with.
        max_linkers: the linkers to cache besides the base; the least recently used is evicted.
    """

    def __init__(self, base: Linker, max_linkers: int) -> None:
        """Begins without cached linkers.

        Args:
            base: the linker of the watchlist that the process was started with; it is never evicted.
            max_linkers: the linkers to cache besides the base; the least recently used is evicted.
        """
        self._base = base
        self._max_linkers = max_linkers
        self._cached: OrderedDict[tuple[WatchedEntity, ...], Linker] = OrderedDict()
        self._lock = Lock()
        self._logged_claims: set[str] = set()

    @property
    def base(self) -> Linker:
        """The linker of the base watchlist alone."""
        return self._base

    def get(self, entries: tuple[WatchedEntity, ...]) -> Linker:
        """Returns the linker of these entries over the base watchlist; without entries, the base linker.

        Builds and caches it if needed, which takes a while and lets other threads wait. May evict the least recently
        used one.

        Args:
            entries: the entries that commands have set; an earlier one takes precedence.
        """
        if not entries:
            return self._base
        with self._lock:
            linker = self._cached.get(entries)
            if linker is None:
                linker = self._cached[entries] = self._build(entries)
                if len(self._cached) > self._max_linkers:
                    self._cached.popitem(last=False)
            self._cached.move_to_end(entries)
            return linker

    def _build(self, entries: tuple[WatchedEntity, ...]) -> Linker:
        """Returns a linker for the base watchlist with these entries on top, which take precedence.

        Logs each claim (a name, alias or ticker of an entry) that an entry lost to another one, once.
        """
        base = self._base.watchlist
        watchlist, lost_claims = merge_entries((*entries, *base.entities), base.where)
        for claim in lost_claims:
            if claim not in self._logged_claims and len(self._logged_claims) < _MAX_LOGGED_CLAIMS:
                self._logged_claims.add(claim)
                log.warning("watchlist entries claim the same", lost=claim)
        return Linker(watchlist, self._base.companies)
