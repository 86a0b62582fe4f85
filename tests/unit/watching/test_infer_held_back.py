"""The same log gives the same signals, those of history included, however late infer reads it.

The real stages run on a real bus, either all at once, or infer only after the other stages have begun to wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from past import AT, PastWorld, article, entry

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


class _Chain:
    """A bus and the stages from commands and articles to the store, each of which is started by name."""

    def __init__(self, bus: EmbeddedBus, store: Store, world: PastWorld) -> None:
        """Creates the infer, watchlist, history and sink stages around a bus and a store, without starting any."""
        self._bus = bus
        infer = InferStage(world.engine, Linker(None), Settings(), signal_partitions=bus.partitions(Topic.SIGNALS))
        stages: list[BatchStage] = [
            infer,
            WatchlistStage(bus.partitions(Topic.ARTICLES)),
            HistoryStage(store, bus, StoreSettings()),
            *sink_stages(store),
        ]
        self.stages = {stage.spec.name: stage for stage in stages}

    async def start(self, group: asyncio.TaskGroup, *names: str) -> None:
        for name in names:
            group.create_task(run_stage(self._bus, self.stages[name], batch=2, fetch_timeout_s=0.05))

    async def publish(self, articles: Sequence[Article], *entries: WatchedEntity) -> None:
        """Publishes articles, and commands that put entries on the watchlist, in one step."""
        commands = [
            Command(kind="watchlist_set", target=entity.target, by="ada", at=AT, value=entry_fields(entity))
            for entity in entries
        ]
        async with self._bus.publisher("test") as publisher:
            results = [Outgoing(Topic.ARTICLES, article.id, article.to_bytes()) for article in articles]
            results += [Outgoing(Topic.COMMANDS, command.target, command.to_bytes()) for command in commands]
            await publisher.publish(results, {})

    async def wait_until_read(self, *names: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await wait_until_drained(self._bus, names)

    async def signals(self) -> list[Signal]:
        """Returns all published signals, sorted by target, article and version."""
        signals: list[Signal] = []
        for partition in range(self._bus.partitions(Topic.SIGNALS)):
            for message in await self._bus.read(Topic.SIGNALS, partition, 0, 10_000):
                record = SIGNALS.validate_json(message.value)
                if isinstance(record, Signal):
                    signals.append(record)
        return sorted(signals, key=lambda signal: (signal.target, signal.article, signal.version, signal.history))


@asynccontextmanager
async def open_chain(
    folder: Path, world: PastWorld, partitions: int
) -> AsyncIterator[tuple[_Chain, asyncio.TaskGroup]]:
    """Yields a chain of stages on a new bus and store, and the task group in which its stages run."""
    bus = await EmbeddedBus.open(folder, BusSettings(partitions=partitions))
    with Store.open(Settings(data=folder)) as store:
        async with asyncio.TaskGroup() as group:
            try:
                yield _Chain(bus, store, world), group
            finally:
                await bus.close()


async def published_signals(folder: Path, world: PastWorld, *, infer_late: bool, partitions: int) -> list[Signal]:
    """Publishes the news and two new watchlist entries, runs all stages and returns the signals.

    Args:
        infer_late: whether infer starts only after everything else is published. Otherwise each part of the news is
            stored
        before the next is published.
        partitions: the number of partitions of each topic that has several.
    """
    async with open_chain(folder, world, partitions) as (chain, group):
        without_infer = [name for name in chain.stages if name != "infer"]
        await chain.start(group, *(without_infer if infer_late else chain.stages))
        readers = ("watchlist",) if infer_late else ("watchlist", "infer", "sink-analyses", "sink-signals", "history")
        await chain.publish(BEFORE)
        await chain.wait_until_read(*readers)
        await chain.publish([], entry("acme", group="makers"))
        await chain.wait_until_read(*readers)
        await chain.publish(BETWEEN)
        await chain.wait_until_read(*readers)
        await chain.publish([], entry("globex", group="makers"))
        await chain.wait_until_read(*readers)
        await chain.publish(LATER)
        if infer_late:
            assert not await chain.signals(), "infer has not read any article"
            await chain.start(group, "infer")
        await chain.wait_until_read(*chain.stages)
        return await chain.signals()


@pytest.mark.parametrize("partitions", [1, 3])
async def test_the_same_log_gives_the_same_signals_when_infer_reads_it_late(
    world: PastWorld, tmp_path: Path, partitions: int
) -> None:
    """Acme is set after the first part of the news, and Globex after the second. `signal.history` marks the past."""
    at_once = await published_signals(tmp_path / "at-once", world, infer_late=False, partitions=partitions)
    late = await published_signals(tmp_path / "late", world, infer_late=True, partitions=partitions)
    assert late == at_once
    versions = [(signal.target, signal.article, signal.version) for signal in late]
    assert len(versions) == len(set(versions)), "every version of an article has one signal of a target"
    of_acme = {(signal.article, signal.version, signal.history) for signal in late if signal.target == "entity:acme"}
    past, news = ["a1", "a2", "a3", "a4"], [("a2", 2), ("a6", 1), ("a7", 1)]
    assert of_acme == {
        *((article_id, 1, True) for article_id in past),
        *((article_id, version, False) for article_id, version in news),
    }
    of_globex = {
        (signal.article, signal.version, signal.history) for signal in late if signal.target == "entity:globex"
    }
    assert of_globex == {("a3", 1, True), ("a5", 1, True), ("a8", 1, False)}, "a7 reprints a3"
