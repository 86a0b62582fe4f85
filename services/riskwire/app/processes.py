"""Assembles one process: opens what its stages need, runs the stages, and serves the page or the probes.

`riskwire run` is a process with every stage, a service on Kafka one with the stages of that service. Replay and demo
run every stage but ingest.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import structlog
from fastapi import FastAPI

from riskwire import metrics
from riskwire.alerting import AlertStage
from riskwire.app.data_files import DataFiles
from riskwire.app.health import Health, HealthLimits
from riskwire.app.inputs import configured_watchlist
from riskwire.app.measurements import Measurements
from riskwire.app.silences import ShownSilences
from riskwire.bus import Bus
from riskwire.bus.drain import wait_until_drained
from riskwire.bus.embedded.bus import FILE as BUS_FILE
from riskwire.bus.embedded.lock import lock_data_dir
from riskwire.bus.open import open_bus
from riskwire.deciding import Decider, DecisionsStage
from riskwire.entities.watchlist import Watchlist
from riskwire.errors import RiskwireError, SettingsError, StoreError
from riskwire.inference.linking import Linker
from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.engine import Engine
from riskwire.inference.score import score
from riskwire.inference.stage import InferStage
from riskwire.ingest.stage import IngestStage
from riskwire.notify import NotifyStage, SilenceList, has_alertmanager, wants_charts
from riskwire.pipeline import ALERT, HISTORY, INFER, INGEST, NOTIFY, SINKS, StageSpec, Topic
from riskwire.records import ScoreRequest, ScoreResult
from riskwire.settings import Settings
from riskwire.stage import Stage, run_stage
from riskwire.store import Store, Trend, WatchedTarget, sink_stages
from riskwire.store.database.engine import store_url
from riskwire.watching import Follower, HistoryStage, WatchlistEditor, WatchlistStage
from riskwire.watching.base import publish_base, read_base
from riskwire.web import (
    AppServices,
    BusState,
    Readiness,
    create_app,
    create_open_probes,
    create_probes,
    serve,
    serve_probes,
)

log = structlog.get_logger(__name__)

_MAX_AHEAD = timedelta(hours=1)
"""Live news is not added to a store whose newest article is further ahead of the wall clock than this."""


@dataclass(frozen=True, slots=True)
class _Model:
    """The model and the linker, for the infer stage and for the API."""

    engine: Engine
    linker: Linker


@dataclass(frozen=True, slots=True)
class _Page:
    """What the page and the API need besides the bus."""

    store: Store
    model: _Model
    follower: Follower
    """Keeps the linker of the API up to date with the watchlist."""
    silences: ShownSilences | None
    """Reads the silences of Alertmanager; None without one."""


class Process:
    """The opened stages of one process. Obtained from `open_process`.

    Attributes:
        stages: the stages of this process, in the order of their specs.
        health: the health of the bus and of these stages.
    """

    def __init__(
        self, settings: Settings, bus: Bus, stages: Sequence[Stage], page: _Page | None, files: DataFiles
    ) -> None:
        """Takes the opened bus and stages. `page` has the needs of the page, or is None if there are only probes."""
        self.settings = settings
        self.bus = bus
        self.stages = tuple(stages)
        self.health = Health(bus, self.groups, HealthLimits.from_settings(settings))
        self._page = page
        self._files = files
        for stage in self.stages:
            metrics.show_stage(stage.spec.name, stage.spec.reads)
        self._measurements = Measurements(bus, self.groups, page.store if page else None, self._watched)

    @property
    def groups(self) -> list[str]:
        """The consumer groups of the stages."""
        return [stage.spec.name for stage in self.stages]

    async def run(
        self, listener: socket.socket, on_started: Callable[[str], None], *, probes: socket.socket | None = None
    ) -> None:
        """Runs the stages and serves, until cancelled.

        Args:
            listener: the bound socket of the page or the probes.
            probes: the bound socket of `web.probe_port`, if there is one.
            on_started: called with the URL as soon as requests are answered.

        Raises:
            ExceptionGroup: of RiskwireError, when a stage cannot continue, when other workers own every partition, or
                when the process makes no progress.
        """
        async with asyncio.TaskGroup() as group:
            if self.stages:
                group.create_task(self._run_stages_for_ever(), name="stages")
            group.create_task(self._files.watch(), name="data-files")
            group.create_task(self.serve(listener, on_started, probes=probes), name="serve")

    async def run_stages(self) -> None:
        """Runs every stage until the bus is closed or other workers own the partitions.

        Raises:
            ExceptionGroup: of RiskwireError, when a stage cannot continue; the other stages are stopped.
        """
        async with asyncio.TaskGroup() as group:
            for stage in self.stages:
                group.create_task(run_stage(self.bus, stage, batch=self.settings.bus.batch), name=stage.spec.name)

    async def serve(
        self, listener: socket.socket, on_started: Callable[[str], None], *, probes: socket.socket | None = None
    ) -> None:
        """Serves the page and the API, or only the probes, on a bound socket; watches the health. Until cancelled.

        Args:
            probes: the bound socket of `web.probe_port`, if there is one.
            on_started: called with the URL as soon as requests are answered.
        """
        app = create_probes(self.settings, self.readiness) if self._page is None else self._app(self._page)
        async with asyncio.TaskGroup() as group:
            if self._page is not None:
                group.create_task(self._page.follower.run(), name="follow-watchlist")
            group.create_task(self.health.watch(), name="health")
            group.create_task(self._measurements.run(), name="measurements")
            group.create_task(serve(app, self.settings, on_started, listener=listener), name="web")
            if probes is not None:
                open_probes = create_open_probes(self.settings, self.readiness)
                group.create_task(serve_probes(open_probes, self.settings, probes), name="probes")

    def readiness(self) -> Readiness:
        """Returns the state of the bus and of each stage, and of the database files if one has vanished."""
        return Readiness(stages=(*self._files.states(), *self.health.readiness().stages))

    async def wait_until_drained(self) -> None:
        """Waits until the stages have read every published record."""
        await wait_until_drained(self.bus, self.groups)

    def _watched(self) -> list[str]:
        """Returns the targets of the watchlist that the page follows: its entities, then its groups."""
        entities = self._page.follower.linker.watchlist.entities if self._page else ()
        groups = dict.fromkeys(entity.group for entity in entities if entity.group)
        return [*(entity.target for entity in entities), *(f"group:{group}" for group in groups)]

    async def _run_stages_for_ever(self) -> None:
        await self.run_stages()
        raise RiskwireError(f"{', '.join(self.groups)}: nothing left to do, because other workers own the partitions")

    def _app(self, page: _Page) -> FastAPI:
        """Returns the web app of the page. It scores texts, publishes commands and shows the state of this process.

        Texts are scored with the linker of `page.follower`, which follows changes of the watchlist.
        """

        async def answer(requests: Sequence[ScoreRequest]) -> list[ScoreResult]:
            limit = self.settings.web.max_sentences
            return await score(requests, page.model.engine, page.follower.linker, max_sentences=limit)

        async def bus_state() -> BusState:
            return BusState.of(await self.bus.records(), await self.bus.lag())

        services = AppServices(
            score=answer,
            publish_command=Decider(self.bus).publish,
            watchlist=WatchlistEditor(self.bus, page.model.linker.watchlist),
            ready=self.readiness,
            bus=bus_state,
            silences=None if page.silences is None else page.silences.rows,
            bundle=page.model.engine.bundle.label,
        )
        return create_app(self.settings, page.store, services)


@asynccontextmanager
async def open_process(
    settings: Settings, specs: Collection[StageSpec], *, page: bool, live: bool
) -> AsyncIterator[Process]:
    """Opens what the given stages need, and only that. Writes nothing before every input has been checked.

    Args:
        specs: the stages of the process.
        page: whether it serves the page and the API; otherwise only the probes.
        live: whether notifications are delivered; a replay only logs them.

    Raises:
        RiskwireError: a setting, the watchlist, the bundle, the data directory, the bus or the store cannot be used.
    """
    needs_model = page or INFER in specs
    needs_store = page or HISTORY in specs or any(sink in specs for sink in SINKS.values())
    needs_store = needs_store or (NOTIFY in specs and wants_charts(settings.notify))
    async with AsyncExitStack() as stack:
        watchlist = configured_watchlist(settings) if needs_model else None
        bundle = await asyncio.to_thread(Bundle.load, settings.inference.bundle) if needs_model else None
        silences = SilenceList(settings.notify) if page and has_alertmanager(settings.notify) else None
        if silences is not None:
            stack.push_async_callback(silences.close)
        notify = NotifyStage(settings.notify, live=live, zone=settings.zone) if NOTIFY in specs else None
        model = None
        if watchlist is not None and bundle is not None:
            linker = await asyncio.to_thread(Linker, watchlist)
            model = _Model(await stack.enter_async_context(Engine(bundle, settings.inference)), linker)
        if needs_store:
            Store.check(settings)  # before the bus is created beside a store that cannot be used
        if settings.bus.url == "embedded":
            stack.enter_context(lock_data_dir(settings.data))
        bus = await open_bus(settings)
        stack.push_async_callback(bus.close)
        store = stack.enter_context(Store.open(settings)) if needs_store else None
        if notify is not None:
            notify.attach(bus, None if store is None else partial(_read_trend, store))
        if model is not None and INFER in specs:
            await publish_base(bus, model.linker.watchlist)
        if store is not None and INGEST in specs:
            _refuse_news_of_the_future(store, settings.data)
        if store is not None and any(sink in specs for sink in SINKS.values()):
            await _list_holdings(bus, store)
        stages = _stages(settings, specs, bus, model, store, notify)
        shown = None if silences is None else ShownSilences(silences)
        served = _Page(store, model, Follower(bus, model.linker), shown) if page and store and model else None
        yield Process(settings, bus, stages, served, DataFiles(_database_files(settings)))


async def _read_trend(store: Store, target: str, since: datetime, until: datetime, step_s: int) -> Trend | None:
    """Returns the trend of a target, read off the event loop."""
    return await store.off_loop(store.trend, target, since=since, until=until, step_s=step_s)


async def _list_holdings(bus: Bus, store: Store) -> None:
    """Lists every watched entity as a target, so that one without news is seen from the start."""
    try:
        entries = await WatchlistEditor(bus, await read_base(bus) or Watchlist()).entries()
    except SettingsError as error:
        log.warning("watchlist cannot be read, entities without news are not listed", error=str(error))
        return
    watched = [WatchedTarget(entry.target, entry.name, (entry.group,) if entry.group else ()) for entry in entries]
    await store.write_off_loop(store.list_watched, watched)


def _database_files(settings: Settings) -> list[Path]:
    """Returns the files of the embedded bus and of a store on SQLite, whether they exist or not."""
    files = [settings.data / BUS_FILE, settings.data / f"{BUS_FILE}-wal"] if settings.bus.url == "embedded" else []
    store = store_url(settings)
    if store.get_backend_name() == "sqlite" and store.database:
        files.append(Path(store.database))
    return files


def _stages(
    settings: Settings,
    specs: Collection[StageSpec],
    bus: Bus,
    model: _Model | None,
    store: Store | None,
    notify: NotifyStage | None,
) -> list[Stage]:
    """Returns the stages of the given specs, in their order.

    It makes every stage for which it has what the stage needs, and leaves out those that no spec names.

    Args:
        model: None if no spec needs a model; likewise `store` and `notify`.
    """
    article_partitions = bus.partitions(Topic.ARTICLES)
    stages: list[Stage] = [WatchlistStage(article_partitions), DecisionsStage(bus.partitions(Topic.ALERTS))]
    if ALERT in specs:
        stages.append(AlertStage(settings.alerting, article_partitions))
    if INGEST in specs:
        stages.append(IngestStage(settings, article_partitions))
    if model is not None:
        signal_partitions = bus.partitions(Topic.SIGNALS)
        stages.append(InferStage(model.engine, model.linker, settings, signal_partitions=signal_partitions))
    if store is not None:
        stages += [*sink_stages(store), HistoryStage(store, bus, settings.store)]
    if notify is not None:
        stages.append(notify)
    by_spec = {stage.spec: stage for stage in stages}
    return [by_spec[spec] for spec in specs]


def _refuse_news_of_the_future(store: Store, data: Path) -> None:
    """Raises a `StoreError` if the store has news of the future, such as from a demo or a replay.

    Stages decide by the newest record, so they would wait until live news reaches that time. News up to `_MAX_AHEAD`
    ahead of the wall clock is accepted.

    Args:
        data: the data directory, for the error.
    """
    newest = store.newest()
    if newest is not None and newest > datetime.now(UTC) + _MAX_AHEAD:
        raise StoreError(
            "this data directory holds news of the future (a demo or a replay, or the time of this machine was wrong)",
            value=newest.isoformat(),
            where=str(data),
            do="Give live news another directory with --data; if the time was wrong, `riskwire repair` mends this one",
        )
