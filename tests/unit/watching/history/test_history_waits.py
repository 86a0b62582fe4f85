"""History waits until the store holds all that stood in the log before: by positions, hop by hop, however long.

The bus is the real one, and each group is stepped by hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from past import World, article, entry, published, put, signals_in
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from riskwire.bus import Assignment, Lag, Outgoing
from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.errors import BusError
from riskwire.pipeline import Topic
from riskwire.settings import StoreSettings
from riskwire.store import Store
from riskwire.watching import HistoryStage
from riskwire.watching.history import store_wait as stored
from riskwire.watching.history.store_wait import HOPS, Stored, has_read

PATIENCE_S = 20


class Groups:
    """The groups of a bus that stand still unless they are told to read on."""

    def __init__(self, bus: EmbeddedBus) -> None:
        self._bus = bus
        self._held: dict[tuple[str, int], Assignment] = {}
        self._arrivals: list[AsyncIterator[Assignment]] = []

    async def join(self, group: str, topic: Topic) -> None:
        arriving = self._bus.assignments(group, topic)
        self._arrivals.append(arriving)
        for _ in range(self._bus.partitions(topic)):
            assignment = await anext(arriving)
            await assignment.restore()
            self._held[group, assignment.partition] = assignment

    async def join_all(self) -> None:
        for hop in HOPS:
            for group, topic in hop:
                await self.join(group, topic)

    async def read_on(self, group: str, partition: int = 0, results: list[Outgoing] | None = None) -> None:
        """Read what is there on a partition, and publish something as it does."""
        assignment = self._held[group, partition]
        batch = await assignment.fetch(100, 1.0)
        await assignment.commit(batch[-1].offset + 1, results or [], {})


class Looks:
    """Lets a test see that somebody has looked at the lag again, and found it as it is now."""

    def __init__(self, bus: EmbeddedBus) -> None:
        self._bus = bus
        self._looked = asyncio.Condition()
        self._began = 0
        self._ended = 0

    async def lag(self) -> list[Lag]:
        self._began += 1
        number = self._began
        found = await self._bus.lag()
        async with self._looked:
            self._ended = number
            self._looked.notify_all()
        return found

    async def twice(self) -> None:
        """Return when two looks that begin from now on have been had: the first was decided on by then."""
        async with asyncio.timeout(PATIENCE_S), self._looked:
            seen = self._began
            await self._looked.wait_for(lambda: self._ended >= seen + 2)


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "_LOOK_S", 0.01)
    monkeypatch.setattr(stored, "_LOOK_AT_LEAST_S", 0.01)


@asynccontextmanager
async def waiting(until: Callable[[], Awaitable[int]]) -> AsyncIterator[asyncio.Task[int]]:
    async def run() -> int:
        return await until()

    task = asyncio.create_task(run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task], timeout=PATIENCE_S)


async def publish(bus: EmbeddedBus, *results: Outgoing) -> None:
    async with bus.publisher("test") as publisher:
        await publisher.publish(results, {})


def record(topic: Topic, partition: int = 0) -> Outgoing:
    return Outgoing(topic, None, b"{}", partition)


async def test_it_waits_for_each_hop_in_turn_and_for_nothing_that_came_later(bus: EmbeddedBus) -> None:
    groups, looks = Groups(bus), Looks(bus)
    await groups.join_all()
    await publish(bus, record(Topic.COMMANDS), *(record(Topic.ARTICLES, p) for p in range(2)))
    async with waiting(Stored(bus.ends, looks.lag, "history", lambda: False).until) as task:
        await looks.twice()
        watch = [record(Topic.ARTICLES, p) for p in range(2)]
        await groups.read_on("watchlist", results=watch)
        await looks.twice()
        assert not task.done(), "infer has not read what the watchlist stage told it"
        await groups.read_on("infer", 0, [record(Topic.ANALYSES), record(Topic.SIGNALS)])
        await looks.twice()
        assert not task.done(), "infer is behind on the other partition"
        await groups.read_on("infer", 1, [record(Topic.ANALYSES, 1), record(Topic.SIGNALS, 1)])
        await looks.twice()
        assert not task.done(), "the sink has stored nothing"
        # From here on everybody is always behind on something new.
        await publish(bus, record(Topic.COMMANDS), record(Topic.ARTICLES), record(Topic.ANALYSES, 1))
        await groups.read_on("sink-signals", 0)
        await groups.read_on("sink-signals", 1)
        await groups.read_on("sink-analyses", 1)
        await looks.twice()
        assert not task.done(), "an analysis of before is not stored"
        await groups.read_on("sink-analyses", 0)
        await publish(bus, record(Topic.ANALYSES), record(Topic.SIGNALS), record(Topic.SIGNALS, 1))
        async with asyncio.timeout(PATIENCE_S):
            assert await task == 1, "the commands that it stands for"


async def test_whoever_waits_long_says_for_whom_and_that_it_has_not_stopped(
    bus: EmbeddedBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "_TELL_S", 0.0)
    groups, looks = Groups(bus), Looks(bus)
    await groups.join("watchlist", Topic.COMMANDS)
    await publish(bus, *(record(Topic.COMMANDS) for _ in range(3)))
    with capture_logs() as said:
        async with waiting(Stored(bus.ends, looks.lag, "history", lambda: False).until):
            await looks.twice()
    (told, *_) = [one for one in said if one["log_level"] == "warning"]
    assert (told["stage"], told["slowest_group"], told["behind"]) == ("history", "watchlist", 3)


async def test_how_long_it_has_been_waiting_for_whom_is_a_metric(bus: EmbeddedBus) -> None:
    def waited(group: str) -> float | None:
        return REGISTRY.get_sample_value("riskwire_watchlist_history_waiting_seconds", {"group": group})

    groups, looks = Groups(bus), Looks(bus)
    await groups.join_all()
    await publish(bus, record(Topic.COMMANDS), record(Topic.ARTICLES))
    await groups.read_on("watchlist")
    async with waiting(Stored(bus.ends, looks.lag, "history", lambda: False).until) as task:
        await looks.twice()
        await looks.twice()
        assert (waited("watchlist"), (waited("infer") or 0) > 0) == (0, True)
        await groups.read_on("infer")
        async with asyncio.timeout(PATIENCE_S):
            await task
    assert waited("infer") == 0
    await publish(bus, record(Topic.ARTICLES))
    async with waiting(Stored(bus.ends, looks.lag, "history", lambda: False).until):
        await looks.twice()
        await looks.twice()
        assert (waited("infer") or 0) > 0
    assert waited("infer") == 0, "who has stopped waiting waits for nobody"


async def test_a_group_that_has_never_read_is_waited_for(bus: EmbeddedBus) -> None:
    groups, looks = Groups(bus), Looks(bus)
    await groups.join("watchlist", Topic.COMMANDS)
    await publish(bus, record(Topic.COMMANDS), record(Topic.ARTICLES))
    async with waiting(Stored(bus.ends, looks.lag, "history", lambda: False).until) as task:
        await groups.read_on("watchlist")
        await looks.twice()
        assert not task.done()
        await groups.join("infer", Topic.ARTICLES)
        await groups.read_on("infer")
        async with asyncio.timeout(PATIENCE_S):
            assert await task == 1


async def test_who_was_succeeded_waits_no_longer(bus: EmbeddedBus, world: World) -> None:
    looks = Looks(bus)
    await publish(bus, record(Topic.COMMANDS))
    stage = HistoryStage(world.store, bus.ends, looks.lag, StoreSettings())
    first = stage.open(0, {})
    waits = asyncio.create_task(first.process([put(entry("acme"))]))
    await looks.twice()
    assert not waits.done()
    stage.open(0, {})
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(BusError, match="history has been taken over by another worker"):
            await waits


async def test_many_commands_that_stand_there_together_wait_once_and_a_later_one_waits_again(
    bus: EmbeddedBus, world: World
) -> None:
    groups, asked = Groups(bus), list[str]()

    async def ends(topic: str) -> list[int]:
        asked.append(topic)
        return await bus.ends(topic)

    await groups.join("watchlist", Topic.COMMANDS)
    await publish(bus, *(record(Topic.COMMANDS) for _ in range(3)))
    await groups.read_on("watchlist")
    task = HistoryStage(world.store, ends, bus.lag, StoreSettings()).open(0, {})
    for offset in range(3):
        await task.process([put(entry(f"name{offset}"), offset)])
    assert asked.count(Topic.COMMANDS) == 1
    await publish(bus, record(Topic.COMMANDS))
    await groups.read_on("watchlist")
    await task.process([put(entry("later"), 3)])
    assert asked.count(Topic.COMMANDS) == 2


async def test_what_it_told_itself_is_waited_for_after_a_restart_and_before_the_same_target_is_told_again(
    bus: EmbeddedBus, world: World
) -> None:
    groups, looks = Groups(bus), Looks(bus)
    await groups.join_all()
    news = await world.read([article("a1", "Acme Corp plunges on fraud probe"), article("a2", "Acme Corp loss")])
    await world.keep(news)
    acme = entry("acme", group="makers")
    await publish(bus, record(Topic.COMMANDS), record(Topic.COMMANDS))
    await groups.read_on("watchlist")
    stage = HistoryStage(world.store, bus.ends, looks.lag, StoreSettings())
    task = stage.open(0, {})
    told = signals_in((await task.process([put(acme)])).results)
    assert len(told) == 4
    await publish(bus, *published(told))

    for again in (task, stage.open(0, {})):
        stage.task = again
        async with waiting(partial(_told, again, put(acme, 1))) as waits:
            await looks.twice()
            assert not waits.done(), "its own signals are not stored"
            await world.keep(published(told))
            for partition in {one.partition for one in await bus.lag() if one.group == "sink-signals" and one.records}:
                await groups.read_on("sink-signals", partition)
            async with asyncio.timeout(PATIENCE_S):
                assert await waits == 0
        await publish(bus, *published(told))  # again unread, for who is started anew


async def _told(task: object, command: object) -> int:
    step = await task.process([command])  # type: ignore[attr-defined]
    return len(step.results)


async def test_no_more_of_what_was_told_is_kept_in_mind_than_is_allowed(
    store: Store, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.keep(await world.read([article("a1", "Acme Corp loss"), article("a2", "Globex Inc loss")]))
    waits: list[str] = []

    async def ends(topic: str) -> list[int]:
        waits.append(topic)
        return [9 if topic == Topic.COMMANDS else 0]

    async def lag() -> list[Lag]:
        return [Lag("watchlist", Topic.COMMANDS, 0, 0, 9)]

    monkeypatch.setattr("riskwire.watching.history.stage._REMEMBERED", 2)
    task = HistoryStage(store, ends, lag, StoreSettings()).open(0, {})
    for at, name in enumerate(["acme", "globex", "ford"]):
        await task.process([put(entry(name), at)])
    assert waits.count(Topic.COMMANDS) == 2, "at first, and when two were told"


async def test_the_state_of_an_earlier_riskwire_is_let_go_of(bus: EmbeddedBus, world: World) -> None:
    state = {"told/acme/entity:acme": b"[]", "log": b"7"}
    task = HistoryStage(world.store, bus.ends, bus.lag, StoreSettings()).open(0, state)
    step = await task.first_step()
    assert (step.results, step.state) == ([], {"told/acme/entity:acme": None})


@given(
    ends=st.lists(st.integers(0, 5), min_size=1, max_size=4),
    positions=st.lists(st.integers(0, 7), min_size=4, max_size=4),
    behind=st.lists(st.integers(0, 3), min_size=4, max_size=4),
)
def test_a_partition_is_read_that_far_where_the_group_stands_there_or_has_nothing_left(
    ends: list[int], positions: list[int], behind: list[int]
) -> None:
    lags = [Lag("infer", "articles", p, behind[p], positions[p]) for p in range(4)]
    others = [Lag("alert", "articles", 0, 9, 0), Lag("infer", "feeds", 0, 9, 0)]
    expected = all(end == 0 or positions[p] >= end or behind[p] == 0 for p, end in enumerate(ends))
    assert has_read("infer", "articles", ends, [*others, *lags]) is expected
    assert has_read("infer", "articles", ends, others) is not any(ends)
