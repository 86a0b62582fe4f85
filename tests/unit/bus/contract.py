"""The promises of every bus, as tests. The embedded bus and Kafka run the same suite, in a subclass each.

The subclass provides the fixture `bus_factory`. `bus_factory(**settings)` opens a bus on the log of the test: the first
call creates the log, and later calls open it again. The fixture closes the buses that a test leaves open.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

import pytest

from riskwire.bus import Assignment, Bus, Message, Outgoing, broadcast, partition_of
from riskwire.bus.drain import wait_until_drained
from riskwire.errors import BusError, SchemaError
from riskwire.pipeline import Topic

T = TypeVar("T")
BusFactory = Callable[..., Awaitable[Bus]]
FETCH_S = 30
"""Longer than a record takes to arrive on a slow and busy machine."""
TIMEOUT_S = 2 * FETCH_S


async def soon(awaitable: Coroutine[Any, Any, T] | asyncio.Task[T]) -> T:
    """Awaits something that must end; raises `TimeoutError` after `TIMEOUT_S`."""
    async with asyncio.timeout(TIMEOUT_S):
        return await awaitable


async def join_group(bus: Bus, group: str, topic: Topic) -> list[Assignment]:
    """Joins a group, and returns its assignments ordered by partition. This fences an earlier worker of the group."""
    joined = bus.assignments(group, topic)
    assignments = [await soon(anext(joined)) for _ in range(bus.partitions(topic))]
    return sorted(assignments, key=lambda assignment: assignment.partition)


async def publish(bus: Bus, results: Sequence[Outgoing], name: str = "source") -> None:
    """Publishes records as one step of the publisher `name`, without a change of its state."""
    async with bus.publisher(name) as publisher:
        await soon(publisher.publish(results, {}))


async def read_all(bus: Bus, topic: Topic, partition: int | None = None) -> list[Message]:
    """Returns every record of a topic, or of one partition of it, in order; partition by partition."""
    partitions = range(bus.partitions(topic)) if partition is None else [partition]
    return [message for p in partitions for message in await bus.read(topic, p, 0, 100_000)]


def numbered(topic: Topic, count: int, partition: int = 0, start: int = 0) -> list[Outgoing]:
    """Returns `count` records for a partition, without keys, whose values are numbers from `start`: b"0", …"""
    return [Outgoing(topic, None, b"%d" % n, partition) for n in range(start, start + count)]


def values(batch: Sequence[Message]) -> list[bytes]:
    return [message.value for message in batch]


class BusContract:
    """The suite. Each bus has a subclass of it."""

    async def test_records_of_a_partition_are_read_in_the_order_they_were_published(self, bus_factory: BusFactory):
        """Fetches up to 7 records at a time until all 100 are read; their offsets ascend."""
        bus = await bus_factory()
        await publish(bus, numbered(Topic.ARTICLES, 50))
        await publish(bus, numbered(Topic.ARTICLES, 50, start=50))
        assignment = (await join_group(bus, "infer", Topic.ARTICLES))[0]
        read: list[Message] = []
        while len(read) < 100:
            read += await soon(assignment.fetch(7, FETCH_S))
        assert values(read) == [b"%d" % n for n in range(100)]
        assert [message.offset for message in read] == sorted({message.offset for message in read})

    async def test_fetch_returns_at_most_max_records_and_none_after_its_timeout(self, bus_factory: BusFactory):
        """`fetch(max_records, timeout_s)`: the first partition has ten records, the second has none."""
        bus = await bus_factory()
        await publish(bus, numbered(Topic.ARTICLES, 10))
        first, second = await join_group(bus, "infer", Topic.ARTICLES)
        assert len(await soon(first.fetch(4, FETCH_S))) <= 4
        assert len(await soon(second.fetch(4, 0.05))) == 0

    async def test_a_new_record_wakes_a_waiting_fetch(self, bus_factory: BusFactory):
        """A fetch that may wait for 60 s returns as soon as a record is published."""
        bus = await bus_factory()
        assignment = (await join_group(bus, "infer", Topic.ARTICLES))[0]
        waiting = asyncio.create_task(assignment.fetch(10, 60))
        await publish(bus, numbered(Topic.ARTICLES, 1))
        assert values(await soon(waiting)) == [b"0"]

    async def test_a_key_always_goes_to_its_partition(self, bus_factory: BusFactory):
        """A record without a partition goes to the one of its key, and the order within a partition is kept."""
        bus = await bus_factory()
        keys = [f"article-{n}" for n in range(40)]
        await publish(bus, [Outgoing(Topic.ARTICLES, key, key.encode()) for key in keys])
        for partition in range(bus.partitions(Topic.ARTICLES)):
            published = [message.key for message in await read_all(bus, Topic.ARTICLES, partition)]
            assert published == [key for key in keys if partition_of(key, bus.partitions(Topic.ARTICLES)) == partition]

    async def test_broadcast_publishes_a_record_on_every_partition(self, bus_factory: BusFactory):
        bus = await bus_factory()
        await publish(bus, list(broadcast(Topic.ARTICLES, b"tick", bus.partitions(Topic.ARTICLES))))
        for partition in range(bus.partitions(Topic.ARTICLES)):
            assert values(await read_all(bus, Topic.ARTICLES, partition)) == [b"tick"]

    async def test_a_record_tells_tools_when_it_was_written(self, bus_factory: BusFactory):
        """To within an hour, since the clock may be set while the test runs."""
        bus = await bus_factory()
        await publish(bus, [Outgoing(Topic.ARTICLES, None, b"x", 0)])
        (message,) = await bus.read(Topic.ARTICLES, 0, 0, 10)
        assert message.written_at is not None
        assert abs(message.written_at - time.time()) < 3_600

    async def test_keys_and_values_are_read_as_they_were_published(self, bus_factory: BusFactory):
        """Empty, unusual and missing (None) keys, and values of any bytes and of 300 kB, are unchanged."""
        bus = await bus_factory()
        records = [("", b""), ("Zürich\n\x00€", bytes(range(256))), (None, b"x" * 300_000)]
        await publish(bus, [Outgoing(Topic.TRENDS, key, value, 1) for key, value in records])
        assert [(m.key, m.value) for m in await read_all(bus, Topic.TRENDS, 1)] == records

    async def test_results_state_and_position_become_visible_together(self, bus_factory: BusFactory):
        """`commit(position, results, state)` is one step: afterwards all three have changed.

        The position is the offset of the next record, so the next fetch begins with the record 2.
        """
        bus = await bus_factory()
        await publish(bus, numbered(Topic.ARTICLES, 3))
        assignment = (await join_group(bus, "infer", Topic.ARTICLES))[0]
        assert await assignment.restore() == {}
        await assignment.commit(2, [Outgoing(Topic.ANALYSES, "a", b"result")], {"count": b"2"})
        assert values(await read_all(bus, Topic.ANALYSES)) == [b"result"]
        assert await assignment.restore() == {"count": b"2"}
        assert values(await soon(assignment.fetch(10, FETCH_S))) == [b"2"]

    @pytest.mark.parametrize(
        "invalid",
        [
            Outgoing("no-such-topic", "a", b""),
            Outgoing(Topic.ANALYSES, "a", b"", 99),
            Outgoing(Topic.ANALYSES, "a", b"", -1),
            Outgoing(Topic.ANALYSES, "\ud800", b""),
            Outgoing(Topic.ANALYSES, "\ud800", b"", 0),
            Outgoing(Topic.ANALYSES, None, b""),
        ],
        ids=["topic", "partition", "negative partition", "key", "key with partition", "neither key nor partition"],
    )
    async def test_a_step_with_an_invalid_result_has_no_effect(self, bus_factory: BusFactory, invalid: Outgoing):
        """One invalid result makes `commit` raise, and neither results, state nor position change.

        The assignment stays usable: a valid step follows.
        """
        bus = await bus_factory()
        await publish(bus, numbered(Topic.ARTICLES, 3))
        assignment = (await join_group(bus, "infer", Topic.ARTICLES))[0]
        await assignment.restore()
        with pytest.raises(SchemaError):
            await assignment.commit(3, [Outgoing(Topic.ANALYSES, "a", b"result"), invalid], {"count": b"3"})
        assert await read_all(bus, Topic.ANALYSES) == []
        assert await assignment.restore() == {}
        assert values(await soon(assignment.fetch(10, FETCH_S))) == [b"0", b"1", b"2"]
        await assignment.commit(3, [Outgoing(Topic.ANALYSES, "a", b"result")], {})

    async def test_a_step_with_an_invalid_state_key_has_no_effect(self, bus_factory: BusFactory):
        """A lone surrogate cannot be encoded, so it is no key, neither to set nor to delete (None)."""
        bus = await bus_factory()
        await publish(bus, numbered(Topic.ARTICLES, 3))
        assignment = (await join_group(bus, "infer", Topic.ARTICLES))[0]
        for state in ({"count": b"3", "\ud800": b""}, {"count": b"3", "\ud800": None}):
            with pytest.raises(SchemaError):
                await assignment.commit(3, [Outgoing(Topic.ANALYSES, "a", b"result")], state)
        assert await read_all(bus, Topic.ANALYSES) == []
        assert await assignment.restore() == {}
        assert len(await soon(assignment.fetch(10, FETCH_S))) == 3

    async def test_a_step_changes_single_keys_of_the_state_and_none_deletes_a_key(self, bus_factory: BusFactory):
        """Keys that a step does not name stay. Deleting an unknown key is no error."""
        bus = await bus_factory()
        await publish(bus, numbered(Topic.ARTICLES, 3))
        assignment = (await join_group(bus, "infer", Topic.ARTICLES))[0]
        await assignment.commit(1, [], {"unchanged": b"1", "changed": b"1", "deleted": b"1"})
        await assignment.commit(2, [], {"changed": b"2", "deleted": None, "unknown": None})
        assert await assignment.restore() == {"unchanged": b"1", "changed": b"2"}

    async def test_state_belongs_to_one_group_topic_and_partition(self, bus_factory: BusFactory):
        """The state of `infer` on partition 0 is seen by no other partition, group or topic.

        A publisher that has the name of the group has a separate state, too.
        """
        bus = await bus_factory()
        infer, alert = await join_group(bus, "infer", Topic.ARTICLES), await join_group(bus, "alert", Topic.SIGNALS)
        second_infer = await join_group(bus, "other", Topic.ARTICLES)
        await infer[0].commit(0, [], {"mine": b"infer 0"})
        async with bus.publisher("infer") as publisher:
            await publisher.publish([], {"mine": b"publisher"})
            assert await publisher.restore() == {"mine": b"publisher"}
        states = [await assignment.restore() for assignment in (*infer, *alert, *second_infer)]
        assert states == [{"mine": b"infer 0"}, {}, {}, {}, {}, {}]

    async def test_restore_resets_the_read_position_to_the_last_step(self, bus_factory: BusFactory):
        """Records that were fetched and not committed are fetched again after `restore`."""
        bus = await bus_factory()
        await publish(bus, numbered(Topic.ARTICLES, 6))
        assignment = (await join_group(bus, "infer", Topic.ARTICLES))[0]
        await assignment.commit(2, [], {})
        await soon(assignment.fetch(3, FETCH_S))
        await assignment.restore()
        assert values(await soon(assignment.fetch(1, FETCH_S))) == [b"2"]

    async def test_steps_within_a_batch_move_the_read_position_after_a_restore(self, bus_factory: BusFactory):
        """After three records were fetched and `restore` was called, each is committed in a step; the next fetch is
        after them.
        """
        bus = await bus_factory()
        await publish(bus, numbered(Topic.ARTICLES, 4))
        assignment = (await join_group(bus, "infer", Topic.ARTICLES))[0]
        assert len(await soon(assignment.fetch(3, FETCH_S))) == 3
        await assignment.restore()
        for position in (1, 2, 3):
            await assignment.commit(position, [], {})
        assert values(await soon(assignment.fetch(3, FETCH_S))) == [b"3"]

    async def test_everything_committed_is_read_after_reopening(self, bus_factory: BusFactory):
        """Records, results, the states of a group and of a publisher, and the position survive closing the bus.

        Reading the state of a publisher by `publisher_state` does not fence the publisher.
        """
        bus = await bus_factory()
        await publish(bus, numbered(Topic.ARTICLES, 5))
        assignment = (await join_group(bus, "infer", Topic.ARTICLES))[0]
        await assignment.commit(3, [Outgoing(Topic.ANALYSES, "a", b"result")], {"count": b"3"})
        async with bus.publisher("ingest") as publisher:
            await publisher.publish([], {"seen": b"yes"})
        await bus.close()

        bus = await bus_factory()
        assignment = (await join_group(bus, "infer", Topic.ARTICLES))[0]
        assert await assignment.restore() == {"count": b"3"}
        assert values(await soon(assignment.fetch(10, FETCH_S))) == [b"3", b"4"]
        assert values(await read_all(bus, Topic.ANALYSES)) == [b"result"]
        async with bus.publisher("ingest") as publisher:
            assert await publisher.restore() == await bus.publisher_state("ingest") == {"seen": b"yes"}
            await publisher.publish([], {"seen": None})  # reading its state has not fenced it

    async def test_the_state_of_a_group_can_be_read_without_joining_it(self, bus_factory: BusFactory):
        """`group_state` merges the keys with a prefix over the partitions of a topic, literally and with the newest
        values.

        The characters % and _ have no special meaning in a prefix or key. Other groups and keys are left out.
        """
        bus = await bus_factory()
        assert await bus.group_state("infer", Topic.ARTICLES, "seen:") == {}
        first, second = await join_group(bus, "infer", Topic.ARTICLES)
        await first.commit(0, [], {"seen:a": b"1", "seen:b": b"1", "seen": b"1", "other:seen:": b"1"})
        await second.commit(0, [], {"seen:€%_*": b"2"})
        await first.commit(0, [], {"seen:a": b"3", "seen:b": None})
        (sink,) = (await join_group(bus, "sink", Topic.ANALYSES))[:1]
        await sink.commit(0, [], {"seen:sink": b"1"})
        assert await bus.group_state("infer", Topic.ARTICLES, "seen:") == {"seen:a": b"3", "seen:€%_*": b"2"}
        await first.commit(0, [], {"seen:a": b"4"})  # reading the state has fenced no assignment
        await bus.close()
        bus = await bus_factory()
        assert await bus.group_state("infer", Topic.ARTICLES, "seen:a") == {"seen:a": b"4"}

    async def test_a_stale_assignment_can_neither_fetch_nor_commit(self, bus_factory: BusFactory):
        """A second join of the group makes the first assignment stale: `revoked` is set, and its step has no effect.

        The fresh assignment reads all records again, because nothing was committed.
        """
        bus = await bus_factory()
        await publish(bus, numbered(Topic.ARTICLES, 3))
        stale = (await join_group(bus, "infer", Topic.ARTICLES))[0]
        assert len(await soon(stale.fetch(3, FETCH_S))) == 3
        fresh = (await join_group(bus, "infer", Topic.ARTICLES))[0]
        with pytest.raises(BusError):
            await stale.commit(3, [Outgoing(Topic.ANALYSES, "a", b"stale")], {"count": b"3"})
        assert stale.revoked
        assert list(await soon(stale.fetch(3, 60))) == []
        assert await read_all(bus, Topic.ANALYSES) == []
        assert await fresh.restore() == {}
        assert not fresh.revoked
        assert len(await soon(fresh.fetch(3, FETCH_S))) == 3
        await fresh.commit(3, [Outgoing(Topic.ANALYSES, "a", b"fresh")], {})
        assert values(await read_all(bus, Topic.ANALYSES)) == [b"fresh"]

    async def test_a_waiting_fetch_ends_when_its_assignment_is_taken_over(self, bus_factory: BusFactory):
        """It returns no records as soon as the group is joined again, long before its timeout of 60 s."""
        bus = await bus_factory()
        stale = (await join_group(bus, "infer", Topic.ARTICLES))[0]
        waiting = asyncio.create_task(stale.fetch(3, 60))
        await join_group(bus, "infer", Topic.ARTICLES)
        assert list(await soon(waiting)) == []

    async def test_a_stale_publisher_cannot_publish(self, bus_factory: BusFactory):
        """A second publisher of a name fences the first, which then raises. A publisher of another name is not
        affected.
        """
        bus = await bus_factory()
        async with bus.publisher("ingest") as stale:
            await stale.publish(numbered(Topic.ARTICLES, 1), {"seen": b"1"})
            async with bus.publisher("ingest") as fresh, bus.publisher("other") as unrelated:
                with pytest.raises(BusError):
                    await stale.publish(numbered(Topic.ARTICLES, 1, start=1), {"seen": b"2"})
                assert await fresh.restore() == {"seen": b"1"}
                await fresh.publish(numbered(Topic.ARTICLES, 1, start=2), {})
                await unrelated.publish(numbered(Topic.ARTICLES, 1, start=3), {})
        assert values(await read_all(bus, Topic.ARTICLES, 0)) == [b"0", b"2", b"3"]

    async def test_two_groups_read_independently(self, bus_factory: BusFactory):
        """Each group has its own position and lag (unread records) on each partition, also on partitions without
        records.
        """
        bus = await bus_factory()
        await publish(bus, numbered(Topic.ANALYSES, 4))
        sink = (await join_group(bus, "sink", Topic.ANALYSES))[0]
        await sink.commit(3, [], {})
        audit = (await join_group(bus, "audit", Topic.ANALYSES))[0]
        assert len(await soon(audit.fetch(10, FETCH_S))) == 4
        assert values(await soon(sink.fetch(10, FETCH_S))) == [b"3"]
        lags = [lag for lag in await bus.lag() if lag.topic == Topic.ANALYSES]
        records = {(lag.group, lag.partition): lag.records for lag in lags}
        assert records == {
            ("sink", 0): 1,
            ("sink", 1): 0,
            ("audit", 0): 4,
            ("audit", 1): 0,
        }
        positions = {(lag.group, lag.partition): lag.position for lag in lags}
        assert positions == {("sink", 0): 3, ("sink", 1): 0, ("audit", 0): 0, ("audit", 1): 0}

    async def test_records_counts_all_records_ever_published(self, bus_factory: BusFactory):
        """`records` returns the count by topic, over all partitions; 0 for a topic without records."""
        bus = await bus_factory()
        await publish(bus, [*numbered(Topic.ARTICLES, 3), *numbered(Topic.ARTICLES, 2, 1), *numbered(Topic.FEEDS, 1)])
        counts = await bus.records()
        assert {topic: counts[topic] for topic in Topic} == {
            **dict.fromkeys(Topic, 0),
            Topic.ARTICLES: 5,
            Topic.FEEDS: 1,
        }

    async def test_the_next_record_of_a_partition_gets_its_end_offset(self, bus_factory: BusFactory):
        """`ends` returns the end offset by partition. Reading from there returns only what is published later."""
        bus = await bus_factory()
        await publish(bus, [*numbered(Topic.ARTICLES, 3), *numbered(Topic.ARTICLES, 1, 1)])
        first, second = await bus.ends(Topic.ARTICLES)
        await publish(bus, numbered(Topic.ARTICLES, 1, start=9))
        assert values(await bus.read(Topic.ARTICLES, 0, first, 10)) == [b"9"]
        assert list(await bus.read(Topic.ARTICLES, 1, second, 10)) == []

    async def test_a_cancelled_step_happens_wholly_or_not_at_all(self, bus_factory: BusFactory):
        """Steps of three records and a state are cancelled after 0 to 3 turns of the event loop.

        Afterwards either all three records and the state are there, or none.
        """
        bus = await bus_factory()
        async with bus.publisher("replay") as publisher:
            for turn in range(40):
                before = len(await read_all(bus, Topic.ARTICLES, 0))
                step = asyncio.create_task(publisher.publish(numbered(Topic.ARTICLES, 3), {"turn": b"%d" % turn}))
                for _ in range(turn % 4):
                    await asyncio.sleep(0)
                step.cancel()
                await asyncio.wait([step], timeout=20)
                grown = len(await read_all(bus, Topic.ARTICLES, 0)) - before
                state = await publisher.restore()
                assert (grown, state.get("turn") == b"%d" % turn) in {(0, False), (3, True)}

    async def test_closing_ends_iterators_fetches_and_waits(self, bus_factory: BusFactory):
        """Closing the bus ends an iterator of assignments, a waiting fetch (no records) and a waiting publisher (an
        error).

        Afterwards assignments are revoked, and closing again has no effect.
        """
        bus = await bus_factory(backlog=1)
        joined = bus.assignments("infer", Topic.ARTICLES)
        assignment, *_ = [await soon(anext(joined)) for _ in range(bus.partitions(Topic.ARTICLES))]
        analyses = (await join_group(bus, "sink", Topic.ANALYSES))[0]
        await publish(bus, numbered(Topic.ARTICLES, 1))
        next_assignment = asyncio.create_task(anext(joined, None))
        fetch = asyncio.create_task(analyses.fetch(1, 60))
        async with bus.publisher("replay") as publisher:
            wait = asyncio.create_task(publisher.publish(numbered(Topic.ARTICLES, 1), {}))
            await asyncio.wait([next_assignment, fetch, wait], timeout=0.1)
            await soon(bus.close())
            assert await soon(next_assignment) is None
            assert list(await soon(fetch)) == []
            with pytest.raises(BusError):
                await soon(wait)
        assert assignment.revoked
        with pytest.raises(BusError):
            await assignment.commit(1, [], {})
        assert [a async for a in bus.assignments("infer", Topic.ARTICLES)] == []
        await soon(bus.close())

    async def test_wait_until_drained_returns_when_no_group_has_lag(self, bus_factory: BusFactory):
        """The wait covers what a step has published: it ends after `sink` has read the results of `infer`."""
        bus = await bus_factory()
        infer = (await join_group(bus, "infer", Topic.ARTICLES))[0]
        sink = (await join_group(bus, "sink", Topic.ANALYSES))[0]
        await soon(wait_until_drained(bus))
        await publish(bus, numbered(Topic.ARTICLES, 2))
        waiting = asyncio.create_task(wait_until_drained(bus, ["infer", "sink"]))
        await infer.commit(2, numbered(Topic.ANALYSES, 3), {})
        assert not (await asyncio.wait([waiting], timeout=0.3))[0], "the results of the last step are not read yet"
        await sink.commit(3, [], {})
        await soon(waiting)

    async def test_wait_until_drained_waits_for_a_group_that_has_not_joined(self, bus_factory: BusFactory):
        """Nothing was published, but the group `sink` is named and has not joined."""
        bus = await bus_factory()
        await join_group(bus, "infer", Topic.ARTICLES)
        waiting = asyncio.create_task(wait_until_drained(bus, ["infer", "sink"]))
        assert not (await asyncio.wait([waiting], timeout=0.3))[0]
        await join_group(bus, "sink", Topic.ANALYSES)
        await soon(waiting)

    async def test_membership_reports_the_partitions_of_a_group_and_their_activity(self, bus_factory: BusFactory):
        """`outside_since` is None once the group is joined. Fetching and committing renew `active_at` of their
        partition.
        """
        bus = await bus_factory()
        opened = bus.membership("infer")
        assert opened.outside_since is not None, "the group was never joined"
        assert opened.partitions == ()
        assignment = (await join_group(bus, "infer", Topic.ARTICLES))[0]
        before = bus.membership("infer")
        assert before.outside_since is None
        assert [(owned.topic, owned.partition) for owned in before.partitions] == [("articles", 0), ("articles", 1)]
        await assignment.restore()
        await assignment.fetch(1, 0)
        await assignment.commit(0, [], {"count": b"1"})
        after = bus.membership("infer")
        assert after.partitions[0].active_at > before.partitions[0].active_at
        assert after.partitions[1] == before.partitions[1], "nothing happened on the second partition"

    async def test_reading_the_lag_of_a_waiting_stage_counts_as_its_activity(self, bus_factory: BusFactory):
        """`lag_of_waiting_stage` returns what `lag` does, and renews `active_at` of every partition of the group.

        It raises if this process has no partition of the group.
        """
        bus = await bus_factory()
        await join_group(bus, "infer", Topic.ARTICLES)
        before = bus.membership("infer")
        assert await bus.lag_of_waiting_stage("infer") == await bus.lag()
        after = bus.membership("infer")
        assert all(new.active_at > old.active_at for new, old in zip(after.partitions, before.partitions, strict=True))
        with pytest.raises(BusError, match="another worker owns the partitions of sink now"):
            await bus.lag_of_waiting_stage("sink")

    async def test_an_open_bus_can_be_reached_and_a_closed_one_cannot(self, bus_factory: BusFactory):
        bus = await bus_factory()
        await bus.reach(FETCH_S)
        await bus.close()
        with pytest.raises(BusError):
            await bus.reach(FETCH_S)

    async def test_an_unknown_topic_is_named_in_the_error(self, bus_factory: BusFactory):
        bus = await bus_factory()
        with pytest.raises(BusError, match="nonsense"):
            bus.partitions("nonsense")
        with pytest.raises(BusError, match="nonsense"):
            await anext(bus.assignments("infer", "nonsense"))
