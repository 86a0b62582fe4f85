"""`/status`: one look at the whole process."""

from __future__ import annotations

import asyncio
import time

from riskwire import __version__
from riskwire.records import Record, Utc
from riskwire.store import Counts, Store
from riskwire.web.services import AppServices, StageState

FRESH_S = 2.0
"""For this long one status answers everybody."""


class Status(Record):
    """The process at a glance: `topics` are records ever published, `lag` is records a group has not read; `partitions`
    is the same by topic and partition."""

    version: str
    bundle: str
    uptime_s: int
    newest: Utc | None
    topics: dict[str, int]
    lag: dict[str, int]
    partitions: dict[str, dict[str, dict[int, int]]]
    stages: tuple[StageState, ...]
    ready: bool
    blind: int
    alerts_open: int
    counts: Counts


class StatusBoard:
    """Puts the status together, at most once in `FRESH_S` for all who ask."""

    def __init__(self, store: Store, services: AppServices) -> None:
        self._store = store
        self._services = services
        self._lock = asyncio.Lock()
        self._at = 0.0
        self._status: Status | None = None

    async def read(self) -> Status:
        """The status, not older than `FRESH_S`."""
        async with self._lock:
            if self._status is None or time.monotonic() - self._at > FRESH_S:
                self._status = await self._build()
                self._at = time.monotonic()
            return self._status

    async def _build(self) -> Status:
        counts = await self._store.off_loop(self._store.counts)
        bus = await self._services.bus()
        readiness = self._services.ready()
        return Status(
            version=__version__,
            bundle=self._services.bundle,
            uptime_s=int(time.monotonic() - self._services.started),
            newest=counts.newest,
            topics=bus.topics,
            lag=bus.lag,
            partitions=bus.partitions,
            stages=readiness.stages,
            ready=readiness.ready,
            blind=counts.blind,
            alerts_open=counts.open_alerts,
            counts=counts,
        )
