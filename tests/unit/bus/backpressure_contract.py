"""The promises of every bus about backpressure, as tests. The second part of the suite in `contract.py`."""

from __future__ import annotations

import asyncio

import pytest
from contract import BusFactory, join_group, numbered, publish, read_all, soon, values

from riskwire.bus import Outgoing
from riskwire.pipeline import Topic


class BackpressureContract:
    """The suite. Each bus has a subclass of it."""

    async def test_a_publisher_waits_while_a_topic_is_full_and_continues_when_it_is_read(self, bus_factory: BusFactory):
        """`backlog` is the most unread records of a topic, over its partitions. `commit(n, …)` reads a partition up to
        n.
        """
        bus = await bus_factory(backlog=10)
        first, second = await join_group(bus, "infer", Topic.ARTICLES)
        async with bus.publisher("replay") as publisher:
            await soon(publisher.publish([*numbered(Topic.ARTICLES, 5), *numbered(Topic.ARTICLES, 5, 1)], {}))
            waiting = asyncio.create_task(publisher.publish(numbered(Topic.ARTICLES, 5, start=5), {}))
            await first.commit(4, [], {})
            assert not (await asyncio.wait([waiting], timeout=0.5))[0], "6 unread records and 5 more exceed 10"
            await second.commit(1, [], {})
            await soon(waiting)
        assert sum(lag.records for lag in await bus.lag()) == 10

    async def test_the_slowest_group_decides_whether_a_topic_is_full(self, bus_factory: BusFactory):
        """Two groups read the topic; four records fill it. The group `fast` has read them all, `slow` none at first."""
        bus = await bus_factory(backlog=4)
        fast = (await join_group(bus, "fast", Topic.ARTICLES))[0]
        slow = (await join_group(bus, "slow", Topic.ARTICLES))[0]
        async with bus.publisher("replay") as publisher:
            await soon(publisher.publish(numbered(Topic.ARTICLES, 4), {}))
            await fast.commit(4, [], {})
            waiting = asyncio.create_task(publisher.publish(numbered(Topic.ARTICLES, 1), {}))
            assert not (await asyncio.wait([waiting], timeout=0.3))[0]
            await slow.commit(1, [], {})
            await soon(waiting)

    async def test_a_step_waits_for_the_topic_it_writes_to(self, bus_factory: BusFactory):
        """A step of `infer` writes to `analyses`, which is full until `sink` has read two records.

        While the step waits, neither its results nor its position are visible. (On Kafka only publishers wait.)
        """
        bus = await bus_factory(backlog=2)
        infer = (await join_group(bus, "infer", Topic.ARTICLES))[0]
        sink = (await join_group(bus, "sink", Topic.ANALYSES))[0]
        await publish(bus, numbered(Topic.ARTICLES, 2))
        await soon(infer.commit(1, numbered(Topic.ANALYSES, 2), {}))
        waiting = asyncio.create_task(infer.commit(2, numbered(Topic.ANALYSES, 2, start=2), {"done": b"2"}))
        assert not (await asyncio.wait([waiting], timeout=0.3))[0]
        assert len(await read_all(bus, Topic.ANALYSES)) == 2
        await sink.commit(2, [], {})
        await soon(waiting)
        assert values(await read_all(bus, Topic.ANALYSES)) == [b"0", b"1", b"2", b"3"]

    async def test_a_topic_without_unread_records_takes_a_batch_larger_than_the_backlog(self, bus_factory: BusFactory):
        """The second batch of 20 waits until the last record of the first one is read."""
        bus = await bus_factory(backlog=3)
        assignment = (await join_group(bus, "infer", Topic.ARTICLES))[0]
        async with bus.publisher("replay") as publisher:
            await soon(publisher.publish(numbered(Topic.ARTICLES, 20), {}))
            waiting = asyncio.create_task(publisher.publish(numbered(Topic.ARTICLES, 20, start=20), {}))
            await assignment.commit(19, [], {})
            assert not (await asyncio.wait([waiting], timeout=0.3))[0]
            await assignment.commit(20, [], {})
            await soon(waiting)

    async def test_a_step_never_waits_for_its_own_group(self, bus_factory: BusFactory):
        """The group `sink` reads `dead-letters`, which is full, and writes to it in a step on `analyses`.

        Only the group itself could make room, so waiting would never end.
        """
        bus = await bus_factory(backlog=1)
        await join_group(bus, "sink", Topic.DEAD_LETTERS)
        assignment = (await join_group(bus, "sink", Topic.ANALYSES))[0]
        await publish(bus, numbered(Topic.ANALYSES, 1))
        await publish(bus, numbered(Topic.DEAD_LETTERS, 1))
        await soon(assignment.commit(1, numbered(Topic.DEAD_LETTERS, 1), {}))

    async def test_a_topic_that_no_group_reads_causes_no_backpressure(self, bus_factory: BusFactory):
        """No group has joined `trends`, so 15 records go beyond the backlog of 2 without a wait."""
        bus = await bus_factory(backlog=2)
        for _ in range(3):
            await publish(bus, numbered(Topic.TRENDS, 5))
        assert len(await read_all(bus, Topic.TRENDS)) == 15

    async def test_commands_cause_no_backpressure(self, bus_factory: BusFactory):
        """The topic `commands` never makes a publisher wait, although the group `slow` does not read it."""
        bus = await bus_factory(backlog=2)
        await join_group(bus, "slow", Topic.COMMANDS)
        commands = [Outgoing(Topic.COMMANDS, f"entity:{n}", b"%d" % n) for n in range(6)]
        for name in ("watchlist", "commands"):
            async with bus.publisher(name) as publisher:
                await soon(publisher.publish(commands[:5], {}))
                await soon(publisher.publish(commands[5:], {}))
        assert len(await read_all(bus, Topic.COMMANDS)) == 12

    async def test_a_publish_cancelled_while_it_waits_has_no_effect(self, bus_factory: BusFactory):
        """After the cancellation neither the record nor the state of the publisher has changed, and it can publish
        again.
        """
        bus = await bus_factory(backlog=2)
        assignment = (await join_group(bus, "infer", Topic.ARTICLES))[0]
        async with bus.publisher("replay") as publisher:
            await soon(publisher.publish(numbered(Topic.ARTICLES, 2), {"line": b"2"}))
            waiting = asyncio.create_task(publisher.publish(numbered(Topic.ARTICLES, 1, start=2), {"line": b"3"}))
            assert not (await asyncio.wait([waiting], timeout=0.1))[0]
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await soon(waiting)
            await assignment.commit(2, [], {})
            assert await publisher.restore() == {"line": b"2"}
            await soon(publisher.publish(numbered(Topic.ARTICLES, 1, start=9), {"line": b"9"}))
        assert values(await read_all(bus, Topic.ARTICLES, 0)) == [b"0", b"1", b"9"]
