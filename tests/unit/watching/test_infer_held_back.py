"""The same log gives the same signals, a new target's past among them, however far infer was behind: real stages on a
real bus, all of them at once or infer only when everybody else waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from past import AT, World, article, entry

from riskwire.bus import Outgoing
from riskwire.bus.drain import wait_until_drained
from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.entities.watchlist import WatchedEntity, entry_fields
from riskwire.inference.linking import Linker
from riskwire.inference.stage import InferStage
from riskwire.pipeline import Topic
from riskwire.records import SIGNALS, Article, Command, Signal
from riskwire.settings import BusSettings, Settings, StoreSettings
from riskwire.stage import BatchStage, run_stage
from riskwire.store import Store, sink_stages
from riskwire.watching import HistoryStage, WatchlistStage

PATIENCE_S = 60
BEFORE = [
    article("a1", "Acme Corp plunges on fraud probe", "Acme said it is in crisis."),
    article("a2", "Shares rises in Dublin", "Initech wins. A crisis at Acme Corp after losses."),
    article("a3", "Globex Inc sues Acme Corp for losses over a, b, c"),
    article("a4", "Acme Corp recall of toasters"),
    article("a5", "Globex Inc gains on growth"),
]
BETWEEN = [
    article("a2", "Shares rises in Dublin and Paris", "Initech wins. Acme Corp: no crisis.", version=2),
    article("a6", "Acme Corp in default, bankruptcy is near"),
    article("a7", "Globex Inc sues Acme Corp for losses over a, b, c"),
]
LATER = [article("a8", "Globex Inc default"), article("a4", "Irish growth", "Nothing of the sort.", version=2)]


class Chain:
    """A bus of its own with every stage that has a part in it, each started by name."""

    def __init__(self, bus: EmbeddedBus, store: Store, world: World) -> None:
        self._bus = bus
        infer = InferStage(world.engine, Linker(None), Settings(), signal_partitions=bus.partitions(Topic.SIGNALS))
        stages: list[BatchStage] = [
            infer,
            WatchlistStage(bus.partitions(Topic.ARTICLES)),
            HistoryStage(store, bus.ends, bus.lag, StoreSettings()),
            *sink_stages(store),
        ]
        self.stages = {stage.spec.name: stage for stage in stages}

    async def start(self, group: asyncio.TaskGroup, *names: str) -> None:
        for name in names:
            group.create_task(run_stage(self._bus, self.stages[name], batch=2, fetch_timeout_s=0.05))

    async def publish(self, articles: Sequence[Article], *entries: WatchedEntity) -> None:
        commands = [
            Command(kind="watchlist_set", target=one.target, by="ada", at=AT, value=entry_fields(one))
            for one in entries
        ]
        async with self._bus.publisher("test") as publisher:
            results = [Outgoing(Topic.ARTICLES, one.id, one.to_bytes()) for one in articles]
            results += [Outgoing(Topic.COMMANDS, one.target, one.to_bytes()) for one in commands]
            await publisher.publish(results, {})

    async def read(self, *names: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await wait_until_drained(self._bus, names)

    async def signals(self) -> list[Signal]:
        found: list[Signal] = []
        for partition in range(self._bus.partitions(Topic.SIGNALS)):
            for message in await self._bus.read(Topic.SIGNALS, partition, 0, 10_000):
                record = SIGNALS.validate_json(message.value)
                found += [record] if isinstance(record, Signal) else []
        return sorted(found, key=lambda one: (one.target, one.article, one.version, one.history))


@asynccontextmanager
async def chain(folder: Path, world: World, partitions: int) -> AsyncIterator[tuple[Chain, asyncio.TaskGroup]]:
    bus = await EmbeddedBus.open(folder, BusSettings(partitions=partitions))
    with Store.open(Settings(data=folder)) as store:
        async with asyncio.TaskGroup() as group:
            try:
                yield Chain(bus, store, world), group
            finally:
                await bus.close()


async def lived(folder: Path, world: World, *, behind: bool, partitions: int) -> list[Signal]:
    """What comes of the same news and two new targets; with `behind`, infer reads nothing before all is published."""
    async with chain(folder, world, partitions) as (one, group):
        others = [name for name in one.stages if name != "infer"]
        names = others if behind else list(one.stages)
        await one.start(group, *names)
        until = ("watchlist",) if behind else ("watchlist", "infer", "sink-analyses", "sink-signals", "history")
        await one.publish(BEFORE)
        await one.read(*until)
        await one.publish([], entry("acme", group="makers"))
        await one.read(*until)
        await one.publish(BETWEEN)
        await one.read(*until)
        await one.publish([], entry("globex", group="makers"))
        await one.read(*until)
        await one.publish(LATER)
        if behind:
            assert not [signal for signal in await one.signals()], "nobody has read anything"
            await one.start(group, "infer")
        await one.read(*one.stages)
        return await one.signals()


@pytest.mark.parametrize("partitions", [1, 3])
async def test_the_same_log_gives_the_same_signals_whether_infer_was_behind_or_not(
    world: World, tmp_path: Path, partitions: int
) -> None:
    at_once = await lived(tmp_path / "at-once", world, behind=False, partitions=partitions)
    late = await lived(tmp_path / "late", world, behind=True, partitions=partitions)
    assert late == at_once
    told = [(one.target, one.article, one.version) for one in late]
    assert len(told) == len(set(told)), "nothing is told twice"
    of_acme = {(one.article, one.version, one.history) for one in late if one.target == "entity:acme"}
    past, news = ["a1", "a2", "a3", "a4"], [("a2", 2), ("a6", 1), ("a7", 1)]
    assert of_acme == {*((one, 1, True) for one in past), *((one, version, False) for one, version in news)}
    of_globex = {(one.article, one.version, one.history) for one in late if one.target == "entity:globex"}
    assert of_globex == {("a3", 1, True), ("a5", 1, True), ("a8", 1, False)}, "a7 reprints a3"
