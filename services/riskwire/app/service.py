"""`riskwire ingest|infer|alert|sink|notify|serve`: one service on Kafka; start more of one to make it faster."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from fastapi import FastAPI

from riskwire.alerting import AlertStage
from riskwire.app.collector import settle
from riskwire.app.monitor import watchlist_of
from riskwire.bus import Bus
from riskwire.bus.open import need_kafka, open_bus
from riskwire.errors import RiskwireError, SettingsError
from riskwire.inference.linking import Linker
from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.engine import Engine
from riskwire.inference.score import score
from riskwire.inference.stage import InferStage
from riskwire.ingest.feeds.feedlist import DEFAULT_FEEDS, read_feeds
from riskwire.ingest.feeds.publication import publish_feeds
from riskwire.ingest.stage import run_ingest
from riskwire.logs import configure_logging
from riskwire.notify import Notify, run_notify
from riskwire.pipeline import HISTORY, Topic
from riskwire.records import ScoreRequest, ScoreResult
from riskwire.settings import Settings
from riskwire.stage import BatchStage, run_stage
from riskwire.store import Store, sink_stages
from riskwire.watching import Follower, HistoryStage, WatchlistEditor, WatchlistStage
from riskwire.web import AppServices, BusState, Readiness, bind, create_app, create_probes, decisions_to, serve

if TYPE_CHECKING:
    from riskwire.bus.kafka.bus import KafkaBus

ServiceName = Literal["ingest", "infer", "alert", "sink", "notify", "serve"]


@dataclass(frozen=True, slots=True)
class _Work:
    """What a service does until the bus is closed, and the groups it is in."""

    groups: tuple[str, ...]
    run: Callable[[], Awaitable[None]]
    app: Callable[[Callable[[], Readiness]], FastAPI] | None = None


async def service(settings: Settings, name: ServiceName) -> int:
    """Run one service until it is stopped (0), or cannot go on or gets nowhere (an error, so not 0).

    Raises:
        SettingsError: the bus is the embedded one.
        RiskwireError: what keeps it from going on.
    """
    configure_logging(settings.log)
    if settings.bus.url == "embedded":
        raise SettingsError(
            f"`riskwire {name}` is one service of several on Kafka, and bus.url is `embedded`",
            do="Use `riskwire run`, which runs all in one process, or set RISKWIRE_BUS__URL=kafka://host:port",
        )
    need_kafka()
    listener = bind(settings.web)
    try:
        async with _opened(settings) as bus, _work(settings, name, bus) as work:
            settle()
            await _until_it_ends(settings, name, bus, work, listener)
    finally:
        listener.close()
    return 0


async def _until_it_ends(
    settings: Settings, name: ServiceName, bus: KafkaBus, work: _Work, listener: socket.socket
) -> None:
    from riskwire.app.vigil import Vigil  # noqa: PLC0415  (aiokafka is an extra)

    vigil = Vigil(bus, work.groups, settings.kafka)
    app = create_probes(settings, vigil.readiness) if work.app is None else work.app(vigil.readiness)

    def started(url: str) -> None:
        print(f"riskwire {name} is at {url}", file=sys.stderr)

    async with asyncio.TaskGroup() as group:
        group.create_task(_must_not_end(name, work), name=name)
        group.create_task(vigil.keep(), name="vigil")
        group.create_task(serve(app, settings, started, listener=listener), name="probes")


async def _must_not_end(name: str, work: _Work) -> None:
    await work.run()
    raise RiskwireError(f"`riskwire {name}` has nothing left to do: its partitions were taken over")


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[KafkaBus]:
    from riskwire.bus.kafka.bus import KafkaBus  # noqa: PLC0415  (aiokafka is an extra)

    bus = await open_bus(settings)
    assert isinstance(bus, KafkaBus)
    try:
        yield bus
    finally:
        await bus.close()


@asynccontextmanager
async def _work(settings: Settings, name: ServiceName, bus: KafkaBus) -> AsyncIterator[_Work]:
    async with AsyncExitStack() as stack:
        if name == "ingest":
            yield await _ingest(settings, bus)
        elif name == "infer":
            engine = await stack.enter_async_context(await _engine(settings))
            linker = await asyncio.to_thread(Linker, watchlist_of(settings.watchlist))
            yield _stages(
                settings,
                bus,
                InferStage(engine, linker, settings, signal_partitions=bus.partitions(Topic.SIGNALS)),
                WatchlistStage(bus.partitions(Topic.ARTICLES)),
            )
        elif name == "alert":
            yield _stages(settings, bus, AlertStage(settings.alerting, bus.partitions(Topic.ARTICLES)))
        elif name == "sink":
            store = stack.enter_context(Store.open(settings))
            history = HistoryStage(store, bus.ends, partial(bus.lag_for, HISTORY.name), settings.store)
            yield _stages(settings, bus, *sink_stages(store), history)
        elif name == "notify":
            notify = Notify(settings.notify, live=True)
            yield _Work((notify.spec.name,), lambda: run_notify(bus, notify, batch=settings.bus.batch))
        else:
            engine = await stack.enter_async_context(await _engine(settings))
            linker = await asyncio.to_thread(Linker, watchlist_of(settings.watchlist))
            yield _page(settings, bus, stack.enter_context(Store.open(settings)), engine, linker)


async def _engine(settings: Settings) -> Engine:
    return Engine(await asyncio.to_thread(Bundle.load, settings.inference.bundle), settings.inference)


def _stages(settings: Settings, bus: Bus, *stages: BatchStage) -> _Work:
    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            for stage in stages:
                group.create_task(run_stage(bus, stage, batch=settings.bus.batch), name=stage.spec.name)

    return _Work(tuple(stage.spec.name for stage in stages), run)


async def _ingest(settings: Settings, bus: KafkaBus) -> _Work:
    # The list that ships is for a cluster that has none yet; a list that was named is meant.
    if settings.feeds is not None or not (await bus.records())[Topic.FEEDS]:
        await publish_feeds(bus, read_feeds(settings.feeds or DEFAULT_FEEDS))
    return _Work(("ingest",), lambda: run_ingest(bus, settings))


def _page(settings: Settings, bus: KafkaBus, store: Store, engine: Engine, linker: Linker) -> _Work:
    follower = Follower(bus, linker)

    async def state() -> BusState:
        return BusState.of(await bus.records(), await bus.lag())

    async def answer(requests: Sequence[ScoreRequest]) -> list[ScoreResult]:
        return await score(requests, engine, follower.linker)

    def app(ready: Callable[[], Readiness]) -> FastAPI:
        services = AppServices(
            score=answer,
            publish_command=decisions_to(bus),
            watchlist=WatchlistEditor(bus, linker.watchlist),
            ready=ready,
            bus=state,
            bundle=engine.bundle.label,
        )
        return create_app(settings, store, services)

    return _Work((), follower.run, app)
