"""The whole monitor in one process: every stage on one bus, as `run`, `demo` and `replay` use it."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prometheus_client import REGISTRY

from riskwire.alerting import AlertStage
from riskwire.bus import Bus
from riskwire.bus.drain import drained
from riskwire.bus.embedded.lock import lock_data_dir
from riskwire.bus.open import open_bus
from riskwire.entities.watchlist import Watchlist, read_watchlist
from riskwire.errors import StoreError
from riskwire.inference.linking import Linker
from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.engine import Engine
from riskwire.inference.score import score
from riskwire.inference.stage import InferStage
from riskwire.notify import Notify, run_notify
from riskwire.pipeline import Topic
from riskwire.records import ScoreRequest, ScoreResult
from riskwire.settings import Settings
from riskwire.stage import BatchStage, run_stage
from riskwire.store import Store, sink_stages
from riskwire.watching import Follower, HistoryStage, WatchlistEditor, WatchlistStage
from riskwire.web import AppServices, BusState, Readiness, StageState, create_app, decisions_to, serve

FUTURE = timedelta(hours=1)
"""News this far ahead of the wall clock is not this world's."""
STUCK_AFTER_S = 60.0
"""A stage that has not looked for records for this long makes no progress."""


class Monitor:
    """The stages of one data directory, opened; `run_stages` sets them going until the bus is closed."""

    def __init__(
        self, settings: Settings, bus: Bus, store: Store, engine: Engine, linker: Linker, notify: Notify
    ) -> None:
        self.settings = settings
        self.bus = bus
        self.store = store
        self.engine = engine
        self.notify = notify
        self.started = time.monotonic()
        self.stages: Sequence[BatchStage] = (
            InferStage(engine, linker, settings, signal_partitions=bus.partitions(Topic.SIGNALS)),
            AlertStage(settings.alerting, article_partitions=bus.partitions(Topic.ARTICLES)),
            *sink_stages(store),
            WatchlistStage(bus.partitions(Topic.ARTICLES)),
            HistoryStage(store, bus.ends, bus.lag, settings.store),
        )
        self.watchlist = WatchlistEditor(bus, linker.watchlist)
        self._follower = Follower(bus, linker)

    @property
    def groups(self) -> list[str]:
        """The groups that read the bus."""
        return [*(stage.spec.name for stage in self.stages), self.notify.spec.name]

    async def run_stages(self) -> None:
        """Run every stage until the bus is closed.

        Raises:
            RiskwireError: in a group, when a stage cannot go on; the others are stopped.
        """
        most = self.settings.bus.batch
        async with asyncio.TaskGroup() as beside:
            following = beside.create_task(self._follower.run(), name="follow-watchlist")
            async with asyncio.TaskGroup() as group:
                for stage in self.stages:
                    group.create_task(run_stage(self.bus, stage, batch=most), name=stage.spec.name)
                group.create_task(run_notify(self.bus, self.notify, batch=most), name=self.notify.spec.name)
            following.cancel()

    async def drained(self) -> None:
        """Return when everything published has been read by every stage."""
        await drained(self.bus, self.groups)

    async def score(self, requests: Sequence[ScoreRequest]) -> list[ScoreResult]:
        """What the API answers to `analyse`."""
        return await score(requests, self.engine, self._follower.linker)

    async def serve(self, listener: socket.socket, on_started: Callable[[str], None]) -> None:
        """Serve the page and the API on a bound socket until cancelled."""
        services = AppServices(
            score=self.score,
            publish_command=decisions_to(self.bus),
            watchlist=self.watchlist,
            ready=self.readiness,
            bus=self.bus_state,
            bundle=self.engine.bundle.label,
            started=self.started,
        )
        await serve(create_app(self.settings, self.store, services), self.settings, on_started, listener=listener)

    def readiness(self) -> Readiness:
        """Which stage has stopped looking for records."""
        return Readiness(stages=tuple(self._state(group) for group in self.groups))

    def _state(self, group: str) -> StageState:
        beat = REGISTRY.get_sample_value("riskwire_stage_progress_timestamp_seconds", {"stage": group})
        if not beat:
            return StageState(name=group, ok=False, detail="has not started")
        silent = time.time() - beat
        if silent > STUCK_AFTER_S:
            return StageState(name=group, ok=False, detail=f"no progress for {silent:.0f} s")
        return StageState(name=group, ok=True)

    async def bus_state(self) -> BusState:
        """Records per topic, and how far each group is behind."""
        return BusState.of(await self.bus.records(), await self.bus.lag())


@asynccontextmanager
async def open_monitor(settings: Settings, *, live: bool) -> AsyncIterator[Monitor]:
    """Open everything the stages need; nothing is written before all that can be refused has been.

    Args:
        live: whether notifications leave the house; a replay only logs them.

    Raises:
        RiskwireError: a setting, the watchlist, the bundle, the data directory, the bus or the store.
    """
    watchlist = watchlist_of(settings.watchlist)
    bundle = await asyncio.to_thread(Bundle.load, settings.inference.bundle)
    notify = Notify(settings.notify, live=live)
    linker = await asyncio.to_thread(Linker, watchlist)
    async with Engine(bundle, settings.inference) as engine:
        with lock_data_dir(settings.data):
            bus = await open_bus(settings)
            try:
                with Store.open(settings) as store:
                    if live:
                        _refuse_the_future(store, settings.data)
                    yield Monitor(settings, bus, store, engine, linker, notify)
            finally:
                await bus.close()


def _refuse_the_future(store: Store, data: Path) -> None:
    """Live news cannot follow news of the future: every stage would wait for the time to come."""
    newest = store.newest()
    if newest is not None and newest > datetime.now(UTC) + FUTURE:
        raise StoreError(
            "this data directory holds news of the future (a demo or a replay)",
            value=newest.isoformat(),
            where=str(data),
            do="Give live news another directory with --data",
        )


def watchlist_of(path: Path | None) -> Watchlist:
    """The watchlist of a file, or an empty one."""
    return read_watchlist(path) if path else Watchlist(())
