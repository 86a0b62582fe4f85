"""The embedded bus behaves like a model made of lists in memory, for any sequence of operations.

A failure prints the steps and a `@reproduce_failure` line; `--hypothesis-seed=N` (printed at the top) repeats a run.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from riskwire.bus import Assignment, Outgoing, partition_of
from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.errors import BusError, SchemaError
from riskwire.pipeline import Topic
from riskwire.settings import BusSettings

T = TypeVar("T")
PARTITIONS = 2
SETTINGS = BusSettings(partitions=PARTITIONS, backlog=1_000_000, keep_processed=1_000_000)
GROUPS = ("infer", "sink")

partitions = st.integers(0, PARTITIONS - 1)
groups = st.sampled_from(GROUPS)
names = st.sampled_from(["ingest", "infer"])
bodies = st.binary(max_size=8)
states = st.dictionaries(st.sampled_from(["a", "b", "ü"]), st.none() | bodies, max_size=3)
keyed = st.builds(Outgoing, st.just(Topic.ARTICLES), st.text(max_size=3), bodies)
placed = st.builds(Outgoing, st.sampled_from([Topic.ARTICLES, Topic.TRENDS]), st.none(), bodies, partitions)
results_of = st.lists(keyed | placed, max_size=6)


class EmbeddedBusAndModel(RuleBasedStateMachine):
    """Two groups read articles; they and two publishers write, also to what they read.

    The model is made of dictionaries. Owner of a state is (group, partition), or (name, -1) for a publisher.

    Attributes:
        assigned: the current assignments of each group, by partition.
        stale: assignments that a later join of their group has fenced.
        log: the key and value of each record, by topic and partition.
        position: the committed position by group and partition.
        next: the offset of the next record to fetch, by group and partition.
        state: the committed state by owner.
    """

    def __init__(self) -> None:
        """Opens a bus on a new temporary directory, and begins with an empty model; see the class for its parts."""
        super().__init__()
        self.runner = asyncio.Runner()
        self.data = Path(tempfile.mkdtemp())
        self.assigned: dict[str, list[Assignment]] = {}
        self.stale: list[Assignment] = []
        self.log: dict[tuple[str, int], list[tuple[str | None, bytes]]] = defaultdict(list)
        self.position: dict[tuple[str, int], int] = {}
        self.next: dict[tuple[str, int], int] = {}
        self.state: dict[tuple[str, int], dict[str, bytes]] = defaultdict(dict)
        self.open()

    def run(self, operation: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine to its end on the event loop of this machine, for at most 20 s, and returns its result."""

        async def in_time() -> T:
            async with asyncio.timeout(20):
                return await operation

        return self.runner.run(in_time())

    def open(self) -> None:
        self.bus = self.run(EmbeddedBus.open(self.data, SETTINGS))

    def teardown(self) -> None:
        self.run(self.bus.close())
        self.runner.close()
        shutil.rmtree(self.data)

    def published(self, results: list[Outgoing], owner: tuple[str, int], state: dict[str, bytes | None]) -> None:
        """Applies a step to the model: appends the results to the log, and changes the state of `owner`."""
        for result in results:
            place = result.partition if result.partition is not None else partition_of(result.key or "", PARTITIONS)
            self.log[result.topic, place].append((result.key, result.value))
        for key, value in state.items():
            self.state[owner].pop(key, None)
            if value is not None:
                self.state[owner][key] = value

    @rule(name=names, results=results_of, state=states)
    def publish(self, name: str, results: list[Outgoing], state: dict[str, bytes | None]) -> None:
        """Publishes a step by a publisher of this name, and checks the state that it restores afterwards."""

        async def act() -> dict[str, bytes]:
            async with self.bus.publisher(name) as publisher:
                await publisher.publish(results, state)
                return await publisher.restore()

        restored = self.run(act())
        self.published(results, (name, -1), state)
        assert restored == self.state[name, -1]

    @rule(group=groups)
    def join(self, group: str) -> None:
        """Joins a group again. Its earlier assignments become stale, and it reads on from its committed position."""

        async def act() -> list[Assignment]:
            joined = self.bus.assignments(group, Topic.ARTICLES)
            return [await anext(joined) for _ in range(PARTITIONS)]

        self.stale += self.assigned.get(group, [])
        self.assigned[group] = self.run(act())
        for partition in range(PARTITIONS):
            self.position.setdefault((group, partition), 0)
            self.next[group, partition] = self.position[group, partition]

    @rule(group=groups, partition=partitions, most=st.integers(1, 5))
    def fetch(self, group: str, partition: int, most: int) -> None:
        """Fetches at most `most` records, and checks that they are the next ones of the log. Skipped before a join."""
        if group not in self.assigned:
            return
        start = self.next[group, partition]
        expected = self.log[Topic.ARTICLES, partition][start : start + most]
        batch = self.run(self.assigned[group][partition].fetch(most, 0))
        assert [(message.key, message.value) for message in batch] == expected
        assert [message.offset for message in batch] == list(range(start, start + len(expected)))
        self.next[group, partition] += len(batch)

    @rule(group=groups, partition=partitions, results=results_of, state=states, back=st.integers(0, 3))
    def commit(
        self, group: str, partition: int, results: list[Outgoing], state: dict[str, bytes | None], back: int
    ) -> None:
        """Commits a step: results, state, and a position.

        The position is `back` records before the next to fetch, but not before the committed one. Skipped before a
        join.
        """
        if group not in self.assigned:
            return
        place = (group, partition)
        position = max(self.position[place], self.next[place] - back)
        self.run(self.assigned[group][partition].commit(position, results, state))
        self.position[place] = position
        self.published(results, place, state)

    @rule(group=groups, partition=partitions, results=results_of, state=states)
    def commit_an_unpublishable_result(
        self, group: str, partition: int, results: list[Outgoing], state: dict[str, bytes | None]
    ) -> None:
        """Checks that a step with an invalid key (a lone surrogate) raises; the model stays as it is."""
        if group not in self.assigned:
            return
        results = [*results, Outgoing(Topic.TRENDS, "\ud800", b"")]
        with pytest.raises(SchemaError):
            self.run(self.assigned[group][partition].commit(self.next[group, partition], results, state))

    @rule(results=results_of, state=states, random=st.randoms(use_true_random=False))
    def commit_stale(self, results: list[Outgoing], state: dict[str, bytes | None], random: Any) -> None:
        """Checks that a step of a random stale assignment raises; the model stays as it is."""
        if self.stale:
            with pytest.raises(BusError):
                self.run(random.choice(self.stale).commit(0, results, state))

    @rule(group=groups, partition=partitions)
    def restore(self, group: str, partition: int) -> None:
        """Checks the restored state of a partition, after which it is read again from its committed position."""
        if group in self.assigned:
            assert self.run(self.assigned[group][partition].restore()) == self.state[group, partition]
            self.next[group, partition] = self.position[group, partition]

    @rule()
    def reopen(self) -> None:
        """Closes the bus and opens it again on its file. No group is joined then; all that was committed remains."""
        self.run(self.bus.close())
        self.assigned.clear()
        self.stale.clear()
        self.open()

    @invariant()
    def matches_the_model(self) -> None:
        """Checks that records, counts and lags of the bus equal those of the model, a few dictionaries."""

        async def look() -> tuple[dict[tuple[str, int], list[tuple[str | None, bytes]]], dict[str, int], Any]:
            """Returns the records by topic and partition, the number of records by topic, and the lags, as the bus has
            them.
            """
            logs = {
                (topic, p): [(m.key, m.value) for m in await self.bus.read(topic, p, 0, 10_000)]
                for topic in (Topic.ARTICLES, Topic.TRENDS)
                for p in range(PARTITIONS)
            }
            return logs, await self.bus.records(), await self.bus.lag()

        logs, records, lags = self.run(look())
        assert {place: log for place, log in logs.items() if log} == {k: v for k, v in self.log.items() if v}
        assert sum(records.values()) == sum(len(log) for log in self.log.values())
        assert {(lag.group, lag.partition): lag.records for lag in lags} == {
            (group, p): len(self.log[Topic.ARTICLES, p]) - position for (group, p), position in self.position.items()
        }


TestEmbeddedBusAndModel = EmbeddedBusAndModel.TestCase
TestEmbeddedBusAndModel.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
