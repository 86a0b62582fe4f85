"""`/status`: the state of the whole process in one answer."""

from __future__ import annotations

import asyncio
import time

from riskwire import __version__
from riskwire.records import Record, Utc
from riskwire.store import Counts, Store
from riskwire.web.services import AppServices, StageState

CACHE_S = 2.0
"""How long one status is served from the cache."""


class Status(Record):
    """The state of a process.

    Attributes:
        newest: time of the newest article, signal, trend point or alert in the store.
        topics: the number of records published so far, by topic.
        lag: the number of unread records, by group.
        partitions: the number of unread records, by group, topic and partition.
        blind: the number of targets whose sources are silent.
        time_zone: that of the setting `time_zone`; None for the zone of the browser.
    """

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
    time_zone: str | None = None


class StatusBoard:
    """Builds the status, and caches it for `CACHE_S` seconds for all readers."""

    def __init__(self, store: Store, services: AppServices, time_zone: str | None = None) -> None:
        """Takes what the status is read from: the store, and the services of the process (bus, readiness, model).

        `time_zone` is the setting of this name.
        `_built_at` is the `time.monotonic()` at which `_status` was built.
        """
        self._store = store
        self._services = services
        self._time_zone = time_zone
        self._lock = asyncio.Lock()
        self._built_at = 0.0
        self._status: Status | None = None

    async def read(self) -> Status:
        """Returns a status that is at most `CACHE_S` seconds old. Concurrent callers wait for one new status."""
        async with self._lock:
            if self._status is None or time.monotonic() - self._built_at > CACHE_S:
                self._status = await self._build()
                self._built_at = time.monotonic()
            return self._status

    async def _build(self) -> Status:
        """Returns the current status of the process, from the store, the bus and the readiness of the stages.

        `lag` and `partitions` are numbers of records that consumer groups have not read yet.
        """
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
            time_zone=self._time_zone,
        )
