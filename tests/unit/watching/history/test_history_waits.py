"""History waits until the store contains what the log held before a command: by positions, hop by hop.

The bus is a real one. The tests move the position of each group by hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from past import PastWorld, StoredPositions, article, entry, published, set_command, signals_in
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from riskwire import metrics
from riskwire.bus import Assignment, Lag, Message, Outgoing
from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.errors import BusError
from riskwire.pipeline import ALERT, INFER, INGEST, SINKS, WATCHLIST, StageSpec, Topic
from riskwire.settings import StoreSettings
from riskwire.store import Store
from riskwire.watching import HistoryStage
from riskwire.watching.history import stage as history_stage_module
from riskwire.watching.history import store_wait
from riskwire.watching.history.stage import HistoryTask
from riskwire.watching.history.store_wait import HOPS, StoreWait, has_read

PATIENCE_S = 20
SINK_ANALYSES, SINK_SIGNALS = SINKS[Topic.ANALYSES], SINKS[Topic.SIGNALS]


class SteppedGroups:
    """The groups of a bus, which read only when a test tells them to."""

    def __init__(self, bus: EmbeddedBus) -> None:
        self._bus = bus
        self._assignments: dict[tuple[str, int], Assignment] = {}
        self._memberships: list[AsyncIterator[Assignment]] = []

    async def join(self, stage: StageSpec) -> None:
        """Joins the group of a stage and takes over all partitions that the stage reads."""
        membership = self._bus.assignments(stage.name, stage.reads)
        self._memberships.append(membership)
        for _ in range(self._bus.partitions(stage.reads)):
            assignment = await anext(membership)
            await assignment.restore()
            self._assignments[stage.name, assignment.partition] = assignment

    async def join_all(self) -> None:
        """Joins the groups of all stages that history waits for."""
        for hop in HOPS:
            for stage in hop:
                await self.join(stage)

    async def read(self, stage: StageSpec, partition: int = 0, results: Sequence[Outgoing] = ()) -> None:
        """Reads all records of a partition, up to 100, and publishes results in the same step."""
        assignment = self._assignments[stage.name, partition]
        batch = await assignment.fetch(100, 1.0)
        await assignment.commit(batch[-1].offset + 1, results, {})


class ObservedPositions:
    """The positions of a bus. A test can wait until history has read them again."""

    def __init__(self, bus: EmbeddedBus) -> None:
        """Counts the polls of the lag of `bus` that were started, and the number of the poll that ended last."""
        self.end_requests: list[str] = []
        self._bus = bus
        self._read = asyncio.Condition()
        self._started = 0
        self._finished = 0

    async def ends(self, topic: str) -> list[int]:
        self.end_requests.append(topic)
        return await self._bus.ends(topic)

    async def lag_of_waiting_stage(self, group: str) -> list[Lag]:
        """Returns the lag of all groups, and notifies the test that a wait has read it. Ignores `group`."""
        self._started += 1
        number = self._started
        lags = await self._bus.lag()
        async with self._read:
            self._finished = number
            self._read.notify_all()
        return lags

    async def wait_for_polls(self) -> None:
        """Waits for two polls that start after this call, so that the result of the first has been acted on."""
        async with asyncio.timeout(PATIENCE_S), self._read:
            started = self._started
            await self._read.wait_for(lambda: self._finished >= started + 2)


@pytest.fixture(autouse=True)
def _polls_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_wait, "_POLL_S", 0.01)
    monkeypatch.setattr(store_wait, "_MAX_POLL_S", 0.01)


@pytest.fixture
def groups(bus: EmbeddedBus) -> SteppedGroups:
    return SteppedGroups(bus)


@pytest.fixture
def positions(bus: EmbeddedBus) -> ObservedPositions:
    return ObservedPositions(bus)


@asynccontextmanager
async def waiting(positions: ObservedPositions) -> AsyncIterator[asyncio.Task[int]]:
    """Starts a wait for the store as a task, whose result is the end of the commands; cancels it at the end."""
    wait = StoreWait(positions, superseded=lambda: False)
    task = asyncio.create_task(wait.wait_until_stored())
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


def waited_s(stage: StageSpec) -> float:
    """Returns the seconds that history has waited for a stage, by its metric."""
    value = REGISTRY.get_sample_value("riskwire_watchlist_history_waiting_seconds", {"group": stage.name})
    assert value is not None
    return value


async def test_the_wait_follows_the_hops_and_ignores_later_records(
    bus: EmbeddedBus, groups: SteppedGroups, positions: ObservedPositions
) -> None:
    """The hops are the stages from a command to the store: watchlist, then infer, then the sinks.

    Each hop waits for what its topics held when the previous hop had read enough. There are two partitions.
    """
    await groups.join_all()
    await publish(bus, record(Topic.COMMANDS), *(record(Topic.ARTICLES, partition) for partition in range(2)))
    async with waiting(positions) as task:
        await positions.wait_for_polls()
        await groups.read(WATCHLIST, results=[record(Topic.ARTICLES, partition) for partition in range(2)])
        await positions.wait_for_polls()
        assert not task.done(), "infer has not read the change of the watchlist"
        await groups.read(INFER, 0, [record(Topic.ANALYSES), record(Topic.SIGNALS)])
        await positions.wait_for_polls()
        assert not task.done(), "infer has lag on the other partition"
        await groups.read(INFER, 1, [record(Topic.ANALYSES, 1), record(Topic.SIGNALS, 1)])
        await positions.wait_for_polls()
        assert not task.done(), "the sinks have read nothing"
        # Every group has lag on later records from now on.
        await publish(bus, record(Topic.COMMANDS), record(Topic.ARTICLES), record(Topic.ANALYSES, 1))
        await groups.read(SINK_SIGNALS, 0)
        await groups.read(SINK_SIGNALS, 1)
        await groups.read(SINK_ANALYSES, 1)
        await positions.wait_for_polls()
        assert not task.done(), "an earlier analysis is not stored"
        await groups.read(SINK_ANALYSES, 0)
        await publish(bus, record(Topic.ANALYSES), record(Topic.SIGNALS), record(Topic.SIGNALS, 1))
        async with asyncio.timeout(PATIENCE_S):
            assert await task == 1, "the end of the commands when the wait began"


async def test_a_long_wait_logs_the_group_and_counts_as_progress(
    bus: EmbeddedBus, groups: SteppedGroups, positions: ObservedPositions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A warning is due at once here. The metric of progress shows that the stage is not stuck."""
    monkeypatch.setattr(store_wait, "_WARN_EVERY_S", 0.0)
    await groups.join(WATCHLIST)
    await publish(bus, *(record(Topic.COMMANDS) for _ in range(3)))
    metrics.STAGE_PROGRESS.labels(stage="history").set(0)
    with capture_logs() as logs:
        async with waiting(positions):
            await positions.wait_for_polls()
    assert REGISTRY.get_sample_value("riskwire_stage_progress_timestamp_seconds", {"stage": "history"})
    warning = next(event for event in logs if event["log_level"] == "warning")
    assert (warning["stage"], warning["group"], warning["lag"]) == ("history", "watchlist", 3)


async def test_a_metric_shows_how_long_history_has_waited_for_each_group(
    bus: EmbeddedBus, groups: SteppedGroups, positions: ObservedPositions
) -> None:
    """The metric of a group is 0 unless a wait for this group is under way."""
    await groups.join_all()
    await publish(bus, record(Topic.COMMANDS), record(Topic.ARTICLES))
    await groups.read(WATCHLIST)
    async with waiting(positions) as task:
        await positions.wait_for_polls()
        await positions.wait_for_polls()
        assert waited_s(WATCHLIST) == 0
        assert waited_s(INFER) > 0
        await groups.read(INFER)
        async with asyncio.timeout(PATIENCE_S):
            await task
    assert waited_s(INFER) == 0
    await publish(bus, record(Topic.ARTICLES))
    async with waiting(positions):
        await positions.wait_for_polls()
        await positions.wait_for_polls()
        assert waited_s(INFER) > 0
    assert waited_s(INFER) == 0, "a cancelled wait resets the metric"


async def test_the_wait_includes_a_group_that_has_never_joined(
    bus: EmbeddedBus, groups: SteppedGroups, positions: ObservedPositions
) -> None:
    """Infer joins its group only after the wait has begun. The wait returns the end of the commands."""
    await groups.join(WATCHLIST)
    await publish(bus, record(Topic.COMMANDS), record(Topic.ARTICLES))
    async with waiting(positions) as task:
        await groups.read(WATCHLIST)
        await positions.wait_for_polls()
        assert not task.done()
        await groups.join(INFER)
        await groups.read(INFER)
        async with asyncio.timeout(PATIENCE_S):
            assert await task == 1


async def test_a_task_stops_waiting_when_another_task_has_taken_over(
    bus: EmbeddedBus, world: PastWorld, positions: ObservedPositions
) -> None:
    """The stage opens a second task of the partition while the first waits for a command to be read."""
    await publish(bus, record(Topic.COMMANDS))
    stage = HistoryStage(world.store, positions, StoreSettings())
    processing = asyncio.create_task(stage.open(0, {}).process([set_command(entry("acme"))]))
    await positions.wait_for_polls()
    assert not processing.done()
    stage.open(0, {})
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(BusError, match="another task of history has taken over"):
            await processing


async def test_commands_that_exist_when_a_wait_begins_share_it_and_a_later_one_waits_again(
    bus: EmbeddedBus, groups: SteppedGroups, world: PastWorld, positions: ObservedPositions
) -> None:
    """A wait begins with a request for the end of the commands, so that these requests count the waits."""
    await groups.join(WATCHLIST)
    await publish(bus, *(record(Topic.COMMANDS) for _ in range(3)))
    await groups.read(WATCHLIST)
    task = HistoryStage(world.store, positions, StoreSettings()).open(0, {})
    for offset in range(3):
        await task.process([set_command(entry(f"name{offset}"), offset)])
    assert positions.end_requests.count(Topic.COMMANDS) == 1
    await publish(bus, record(Topic.COMMANDS))
    await groups.read(WATCHLIST)
    await task.process([set_command(entry("later"), 3)])
    assert positions.end_requests.count(Topic.COMMANDS) == 2


@pytest.mark.parametrize("restarted", [False, True])
async def test_history_waits_for_its_own_signals_before_it_publishes_for_the_same_target_again(
    bus: EmbeddedBus, groups: SteppedGroups, world: PastWorld, positions: ObservedPositions, restarted: bool
) -> None:
    """The second command sets the same entry. All that it finds are articles whose signals history has just published.

    Args:
        restarted: whether a new task, which remembers no signals, takes the second command.
    """
    await groups.join_all()
    articles = [article("a1", "Acme Corp plunges on fraud probe"), article("a2", "Acme Corp loss")]
    await world.sink(await world.infer(articles))
    acme = entry("acme", group="makers")
    await publish(bus, record(Topic.COMMANDS), record(Topic.COMMANDS))
    await groups.read(WATCHLIST)
    stage = HistoryStage(world.store, positions, StoreSettings())
    task = stage.open(0, {})
    signals = signals_in((await task.process([set_command(acme)])).results)
    assert len(signals) == 4
    await publish(bus, *published(signals))

    if restarted:
        task = stage.open(0, {})
    processing = asyncio.create_task(_published_count(task, set_command(acme, 1)))
    await positions.wait_for_polls()
    assert not processing.done(), "the signals of history are not stored"
    await world.sink(published(signals))
    for lag in await bus.lag():
        if lag.group == SINK_SIGNALS.name and lag.records:
            await groups.read(SINK_SIGNALS, lag.partition)
    async with asyncio.timeout(PATIENCE_S):
        assert await processing == 0


async def _published_count(task: HistoryTask, command: Message) -> int:
    return len((await task.process([command])).results)


async def test_history_waits_when_it_has_published_as_many_signals_as_it_remembers(
    store: Store, world: PastWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is two signals. A wait begins with a request for the end of the commands."""
    await world.sink(await world.infer([article("a1", "Acme Corp loss"), article("a2", "Globex Inc loss")]))
    monkeypatch.setattr(history_stage_module, "_MAX_UNSTORED", 2)
    positions = StoredPositions(commands=9)
    task = HistoryStage(store, positions, StoreSettings()).open(0, {})
    for offset, name in enumerate(["acme", "globex", "ford"]):
        await task.process([set_command(entry(name), offset)])
    assert positions.end_requests.count(Topic.COMMANDS) == 2, "for the first command, and after two signals"


@given(
    ends=st.lists(st.integers(0, 5), min_size=1, max_size=4),
    positions=st.lists(st.integers(0, 7), min_size=4, max_size=4),
    records=st.lists(st.integers(0, 3), min_size=4, max_size=4),
)
def test_a_partition_is_read_if_the_position_has_reached_the_end_or_no_record_is_left(
    ends: list[int], positions: list[int], records: list[int]
) -> None:
    """Lags of other stages or topics do not count. Without a lag, only a partition whose end is 0 is read.

    Args:
        ends: for each partition the offset to be reached.
        positions: for each partition the offset that the group reads next.
        records: for each partition the number of unread records.
    """
    lags = [Lag(INFER.name, INFER.reads, partition, records[partition], positions[partition]) for partition in range(4)]
    unrelated = [Lag(ALERT.name, INFER.reads, 0, 9, 0), Lag(INFER.name, INGEST.reads, 0, 9, 0)]
    expected = all(
        end == 0 or positions[partition] >= end or records[partition] == 0 for partition, end in enumerate(ends)
    )
    assert has_read(INFER, ends, [*unrelated, *lags]) is expected
    assert has_read(INFER, ends, unrelated) is not any(ends)
