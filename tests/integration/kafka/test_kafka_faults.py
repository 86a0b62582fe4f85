"""What one worker does when the broker goes, an answer is lost, it finds itself fenced, or its state is large."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from broker import Broker
from kafka_reader import committed_records, latest_by_key

from riskwire.bus import Assignment, Message, Outgoing
from riskwire.bus.kafka.bus import KafkaBus
from riskwire.bus.kafka.partition import KafkaAssignment
from riskwire.bus.kafka.topics import create_topics
from riskwire.bus.kafka.transactions import Transactions
from riskwire.errors import BusError, FencedError
from riskwire.pipeline import Topic
from riskwire.settings import BusSettings, KafkaSettings

pytestmark = pytest.mark.needs_kafka

_NUMBERS = itertools.count()
PATIENCE_S = 60
Open = Callable[..., Awaitable[KafkaBus]]


@pytest.fixture
def prefix() -> str:
    return f"faults{next(_NUMBERS)}-"


@pytest.fixture
async def opened(kafka_broker: Broker, prefix: str) -> AsyncIterator[Open]:
    """`opened(**kafka)`: a worker's bus, all on the test's own topics of one partition."""
    # asyncio tells, with a traceback, of each future that aiokafka fails and nobody holds (logs.py hides these). Where
    # that happens in a collection in the midst of `ast.parse`, CPython 3.11 takes the traceback's own parsing amiss.
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    buses: list[KafkaBus] = []

    async def one(**changed: object) -> KafkaBus:
        kafka = KafkaSettings.model_validate(
            {"prefix": prefix, "partitions": 1, "session_timeout_s": 10, "deadline_s": 30} | changed
        )
        settings = BusSettings(url=kafka_broker.url)
        if not buses:
            await create_topics(settings, kafka, {"copy": Topic.ARTICLES})
        buses.append(await KafkaBus.open(settings, kafka))
        return buses[-1]

    yield one
    for bus in buses:
        await bus.close()


async def publish(bus: KafkaBus, count: int, start: int = 0) -> None:
    async with bus.publisher("source") as publisher:
        await publisher.publish([Outgoing(Topic.ARTICLES, None, b"%d" % n, 0) for n in range(start, start + count)], {})


def copies(batch: list[Message] | Any) -> list[Outgoing]:
    return [Outgoing(Topic.ANALYSES, None, message.value, 0) for message in batch]


@pytest.mark.parametrize("arrived", [True, False])
async def test_a_step_whose_answer_is_lost_happens_once_whether_it_had_arrived_or_not(
    kafka_broker: Broker, opened: Open, prefix: str, monkeypatch: pytest.MonkeyPatch, arrived: bool
) -> None:
    bus = await opened()
    await publish(bus, 2)
    assignment = await anext(bus.assignments("copy", Topic.ARTICLES))
    batch = await assignment.fetch(1, PATIENCE_S)
    producer = await assignment._transactions._opened()
    commit = producer.commit_transaction
    lost = 0

    async def lose() -> None:
        nonlocal lost
        lost += 1
        if arrived:
            await commit()
        raise TimeoutError

    monkeypatch.setattr(producer, "commit_transaction", lose)
    await assignment.commit(1, copies(batch), {"count": b"1"})
    assert lost == 1
    assert await assignment.restore() == {"count": b"1"}
    found = await asyncio.to_thread(committed_records, kafka_broker.client, f"{prefix}analyses")
    assert [record.value for record in found] == [b"0"]


@pytest.mark.parametrize("restored", [True, False])
async def test_a_publishers_step_whose_answer_is_lost_happens_once(
    kafka_broker: Broker, opened: Open, prefix: str, monkeypatch: pytest.MonkeyPatch, restored: bool
) -> None:
    bus = await opened()
    async with bus.publisher("source") as publisher:
        if restored:
            assert await publisher.restore() == {}
        producer = await publisher._transactions._opened()
        commit = producer.commit_transaction

        async def lose() -> None:
            await commit()
            raise TimeoutError

        monkeypatch.setattr(producer, "commit_transaction", lose)
        await publisher.publish([Outgoing(Topic.ARTICLES, None, b"0", 0)], {"at": b"1"})
        await publisher.publish([Outgoing(Topic.ARTICLES, None, b"1", 0)], {"at": b"2"})
        assert await publisher.restore() == {"at": b"2"}
    found = await asyncio.to_thread(committed_records, kafka_broker.client, f"{prefix}articles")
    assert [record.value for record in found] == [b"0", b"1"]


async def test_a_step_that_fails_is_tried_again_within_the_deadline(
    kafka_broker: Broker, opened: Open, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = await opened()
    await publish(bus, 1)
    assignment = await anext(bus.assignments("copy", Topic.ARTICLES))
    batch = await assignment.fetch(1, PATIENCE_S)
    failures = fail_second_batches(monkeypatch, 2)
    await assignment.commit(1, copies(batch), {"count": b"1"})
    assert next(failures) >= 2
    assert await assignment.restore() == {"count": b"1"}
    found = await asyncio.to_thread(committed_records, kafka_broker.client, f"{prefix}analyses")
    assert [record.value for record in found] == [b"0"]


async def test_a_step_that_fails_beyond_the_deadline_leaves_nothing(
    kafka_broker: Broker, opened: Open, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = await opened(deadline_s=5)
    await publish(bus, 1)
    assignment = await anext(bus.assignments("copy", Topic.ARTICLES))
    batch = await assignment.fetch(1, PATIENCE_S)
    with monkeypatch.context() as patched:
        fail_second_batches(patched, 1_000_000)
        with pytest.raises(BusError, match=r"nothing of it has happened.*disk of the broker is full"):
            await assignment.commit(1, copies(batch), {"count": b"1"})
    assert await assignment.restore() == {}
    assert [m.value for m in await assignment.fetch(1, PATIENCE_S)] == [b"0"]
    assert await asyncio.to_thread(committed_records, kafka_broker.client, f"{prefix}analyses") == []


def fail_second_batches(monkeypatch: pytest.MonkeyPatch, times: int) -> Iterator[int]:
    """From now on the second batch of a transaction is refused, so many times; how often it was is counted."""
    send = AIOKafkaProducer.send_batch
    sent: Counter[AIOKafkaProducer] = Counter()  # by itself: an id may come again
    failed = itertools.count()

    async def fails(producer: AIOKafkaProducer, *args: Any, **named: Any) -> Any:
        sent[producer] += 1
        if sent[producer] != 2 or next(failed) >= times:
            return await send(producer, *args, **named)
        refusal = asyncio.get_running_loop().create_future()
        refusal.set_exception(OSError("the disk of the broker is full"))
        return refusal

    monkeypatch.setattr(AIOKafkaProducer, "send_batch", fails)
    return failed


async def test_a_worker_that_tries_again_does_not_repeat_what_another_has_done(
    kafka_broker: Broker, opened: Open, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lost the partition without hearing of it: to take the id over anew would fence its successor."""
    one, other = await opened(), await opened()
    await publish(one, 1)
    stale = await anext(one.assignments("copy", Topic.ARTICLES))
    batch = await stale.fetch(1, PATIENCE_S)
    fresh = KafkaAssignment(other._cluster, other._log, other._positions, "copy", "articles", 0, lambda: None)
    await fresh.restore()
    again = await fresh.fetch(1, PATIENCE_S)
    await fresh.commit(1, copies(again), {"count": b"1"})
    await stale._transactions._drop()  # its connection is gone, with the news of having been fenced
    with pytest.raises(FencedError):
        await stale.commit(1, copies(batch), {"count": b"1"})
    assert stale.revoked
    found = await asyncio.to_thread(committed_records, kafka_broker.client, f"{prefix}analyses")
    assert [record.value for record in found] == [b"0"]
    await fresh.release()


async def nothing() -> None:
    return None


async def test_a_worker_that_is_fenced_asks_the_group_again_and_goes_on(
    opened: Open, kafka_broker: Broker, prefix: str
) -> None:
    bus = await opened()
    await publish(bus, 2)
    joined = bus.assignments("copy", Topic.ARTICLES)
    first = await anext(joined)
    assert len(await first.fetch(1, PATIENCE_S)) == 1
    # As a worker does that believes it has the partition.
    other = Transactions(bus._cluster, f"{prefix}copy-articles-0", nothing)
    await other.open()
    with pytest.raises(BusError, match="another owner"):
        await first.commit(1, [], {"count": b"1"})
    assert first.revoked
    async with asyncio.timeout(PATIENCE_S):
        second = await anext(joined)
    assert await second.restore() == {}
    batch = await second.fetch(2, PATIENCE_S)
    await second.commit(batch[-1].offset + 1, copies(batch), {"count": b"2"})
    await other.close()
    assert await second.restore() == {"count": b"2"}


async def test_a_step_of_many_topics_says_that_it_was_fenced_wherever_it_learns_of_it(
    opened: Open, prefix: str
) -> None:
    """aiokafka learns of it by itself while the records of one topic wait for the metadata of another."""
    cluster = (await opened())._cluster
    records = [
        cluster.record(Outgoing(topic, None, b"1", 0)) for topic in (Topic.ANALYSES, Topic.SIGNALS, Topic.TRENDS)
    ]
    for _ in range(5):
        fenced, other = (Transactions(cluster, f"{prefix}many", nothing) for _ in range(2))
        fenced.follows(None)
        await fenced.open()
        await other.open()
        with pytest.raises(FencedError):
            await fenced.take("step", records)
        await fenced.close()
        await other.close()


@pytest.fixture
def own_broker(kafka_here: None, tmp_path: Path) -> Iterator[Broker]:
    """A broker that may be killed."""
    with Broker(tmp_path / "kafka").running() as broker:
        yield broker


@pytest.mark.slow
async def test_a_broker_that_is_killed_and_comes_back_costs_nothing(own_broker: Broker) -> None:
    kafka = KafkaSettings(partitions=1, session_timeout_s=6)
    settings = BusSettings(url=own_broker.url)
    await create_topics(settings, kafka, {"copy": Topic.ARTICLES})
    bus = await KafkaBus.open(settings, kafka)
    try:
        await _copied_over_a_kill(bus, own_broker)
    finally:
        await bus.close()


async def _copied_over_a_kill(bus: KafkaBus, broker: Broker) -> None:
    count = 3_000
    state = 0

    async def copy() -> None:
        async for assignment in bus.assignments("copy", Topic.ARTICLES):
            try:
                await copy_what_comes(assignment)
            except BusError:
                if not assignment.revoked:  # the group may give the partition anew, at any moment
                    raise
            if state >= count:
                return

    async def copy_what_comes(assignment: Assignment) -> None:
        nonlocal state
        state = int((await assignment.restore()).get("count", b"0"))
        while not assignment.revoked and state < count:
            batch = await assignment.fetch(50, 1.0)
            if batch:
                changed = {"count": b"%d" % (state + len(batch))}
                await assignment.commit(batch[-1].offset + 1, copies(batch), changed)
                state += len(batch)

    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        copying = group.create_task(copy())
        for start in range(0, count, 500):
            await publish(bus, 500, start)
            if start == 1_000:
                await asyncio.to_thread(broker.kill)
                await asyncio.to_thread(broker.start)
        await copying
    found = await asyncio.to_thread(committed_records, broker.client, "analyses")
    assert Counter(int(record.value or b"") for record in found) == Counter(range(count))
    changelog = latest_by_key(await asyncio.to_thread(committed_records, broker.client, "copy-state"))
    assert changelog[0, b"articles/count"] == b"%d" % count
    assert set(changelog) == {(0, b"articles/count"), (0, b"articles#position")}


async def test_the_state_of_50000_targets_is_restored_in_seconds(opened: Open) -> None:
    bus = await opened()
    assignment = await anext(bus.assignments("copy", Topic.ARTICLES))
    for start in range(0, 50_000, 10_000):
        await assignment.commit(0, [], {f"target:{n}": b"%d" % n * 40 for n in range(start, start + 10_000)})
    began = time.monotonic()
    state = await assignment.restore()
    took = time.monotonic() - began
    print(f"50,000 keys, {sum(map(len, state.values())):,} bytes restored in {took:.2f} s")
    assert len(state) == 50_000
    assert state["target:49999"] == b"49999" * 40
    assert took < 20
