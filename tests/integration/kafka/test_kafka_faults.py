"""A single worker: a broker that is killed, a lost answer, a fencing, and a large state."""

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
FETCH_S = 60
Open = Callable[..., Awaitable[KafkaBus]]


@pytest.fixture
def prefix() -> str:
    return f"faults{next(_NUMBERS)}-"


@pytest.fixture
async def opened(kafka_broker: Broker, prefix: str) -> AsyncIterator[Open]:
    """A function that opens the bus of one more worker, with settings of `kafka`; all are closed after the test.

    The buses of a test share topics with one partition.
    """
    # asyncio logs a traceback for each failed future of aiokafka that is garbage-collected (logs.py hides these). If
    # the collection runs inside `ast.parse`, CPython 3.11 fails when it parses the source for that traceback.
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    buses: list[KafkaBus] = []

    async def open_bus(**changed: object) -> KafkaBus:
        """Opens one more bus; the first call creates the topics."""
        kafka = KafkaSettings.model_validate(
            {"prefix": prefix, "partitions": 1, "session_timeout_s": 10, "deadline_s": 30} | changed
        )
        settings = BusSettings(url=kafka_broker.url)
        if not buses:
            await create_topics(settings, kafka, {"copy": Topic.ARTICLES})
        buses.append(await KafkaBus.open(settings, kafka))
        return buses[-1]

    yield open_bus
    for bus in buses:
        await bus.close()


async def publish(bus: KafkaBus, count: int, start: int = 0) -> None:
    async with bus.publisher("source") as publisher:
        await publisher.publish([Outgoing(Topic.ARTICLES, None, b"%d" % n, 0) for n in range(start, start + count)], {})


def copies(batch: list[Message] | Any) -> list[Outgoing]:
    return [Outgoing(Topic.ANALYSES, None, message.value, 0) for message in batch]


@pytest.mark.parametrize("arrived", [True, False], ids=["commit arrived", "commit lost"])
async def test_a_step_whose_answer_is_lost_happens_once(
    kafka_broker: Broker, opened: Open, prefix: str, monkeypatch: pytest.MonkeyPatch, arrived: bool
) -> None:
    """The call that commits the transaction raises TimeoutError, either after or without reaching the broker.

    The worker finds out whether the step happened, and repeats it if not: there is one result, and the state is set.
    """
    bus = await opened()
    await publish(bus, 2)
    assignment = await anext(bus.assignments("copy", Topic.ARTICLES))
    batch = await assignment.fetch(1, FETCH_S)
    producer = await assignment._transactions._open_producer()
    commit = producer.commit_transaction
    lost = 0

    async def commit_and_lose_the_answer() -> None:
        """Commits the transaction only if `arrived`; fails in any case."""
        nonlocal lost
        lost += 1
        if arrived:
            await commit()
        raise TimeoutError

    monkeypatch.setattr(producer, "commit_transaction", commit_and_lose_the_answer)
    await assignment.commit(1, copies(batch), {"count": b"1"})
    assert lost == 1
    assert await assignment.restore() == {"count": b"1"}
    records = await asyncio.to_thread(committed_records, kafka_broker.client, f"{prefix}analyses")
    assert [record.value for record in records] == [b"0"]


@pytest.mark.parametrize("restored", [True, False], ids=["after a restore", "without a restore"])
async def test_a_publishers_step_whose_answer_is_lost_happens_once(
    kafka_broker: Broker, opened: Open, prefix: str, monkeypatch: pytest.MonkeyPatch, restored: bool
) -> None:
    """The commit reaches the broker, but raises TimeoutError. The publisher must not publish the record again.

    That holds whether or not it has restored its state before. The next step works as well.
    """
    bus = await opened()
    async with bus.publisher("source") as publisher:
        if restored:
            assert await publisher.restore() == {}
        producer = await publisher._transactions._open_producer()
        commit = producer.commit_transaction

        async def commit_and_lose_the_answer() -> None:
            await commit()
            raise TimeoutError

        monkeypatch.setattr(producer, "commit_transaction", commit_and_lose_the_answer)
        await publisher.publish([Outgoing(Topic.ARTICLES, None, b"0", 0)], {"at": b"1"})
        await publisher.publish([Outgoing(Topic.ARTICLES, None, b"1", 0)], {"at": b"2"})
        assert await publisher.restore() == {"at": b"2"}
    records = await asyncio.to_thread(committed_records, kafka_broker.client, f"{prefix}articles")
    assert [record.value for record in records] == [b"0", b"1"]


async def test_a_failed_step_is_retried_within_the_deadline(
    kafka_broker: Broker, opened: Open, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two attempts fail as one of their batches is sent, the third succeeds. The result is written once."""
    bus = await opened()
    await publish(bus, 1)
    assignment = await anext(bus.assignments("copy", Topic.ARTICLES))
    batch = await assignment.fetch(1, FETCH_S)
    failures = fail_second_batches(monkeypatch, 2)
    await assignment.commit(1, copies(batch), {"count": b"1"})
    assert next(failures) >= 2
    assert await assignment.restore() == {"count": b"1"}
    records = await asyncio.to_thread(committed_records, kafka_broker.client, f"{prefix}analyses")
    assert [record.value for record in records] == [b"0"]


async def test_a_step_that_fails_until_the_deadline_has_no_effect(
    kafka_broker: Broker, opened: Open, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every attempt fails for 5 s. Then the commit raises, and state, position and results are as before the step."""
    bus = await opened(deadline_s=5)
    await publish(bus, 1)
    assignment = await anext(bus.assignments("copy", Topic.ARTICLES))
    batch = await assignment.fetch(1, FETCH_S)
    with monkeypatch.context() as patched:
        fail_second_batches(patched, 1_000_000)
        with pytest.raises(BusError, match=r"it had no effect.*disk of the broker is full"):
            await assignment.commit(1, copies(batch), {"count": b"1"})
    assert await assignment.restore() == {}
    assert [m.value for m in await assignment.fetch(1, FETCH_S)] == [b"0"]
    assert await asyncio.to_thread(committed_records, kafka_broker.client, f"{prefix}analyses") == []


def fail_second_batches(monkeypatch: pytest.MonkeyPatch, times: int) -> Iterator[int]:
    """Makes the second batch that each Kafka producer sends fail, `times` times in all.

    Returns:
        a counter whose next value is the number of failures that were due so far, those beyond `times` included.
    """
    send = AIOKafkaProducer.send_batch
    sent: Counter[AIOKafkaProducer] = Counter()  # by producer and not by `id()`, which may be reused
    failures = itertools.count()

    async def send_or_fail(producer: AIOKafkaProducer, *args: Any, **named: Any) -> Any:
        """Sends a batch, unless it is the producer's second one and not enough have failed."""
        sent[producer] += 1
        if sent[producer] != 2 or next(failures) >= times:
            return await send(producer, *args, **named)
        failed = asyncio.get_running_loop().create_future()
        failed.set_exception(OSError("the disk of the broker is full"))
        return failed

    monkeypatch.setattr(AIOKafkaProducer, "send_batch", send_or_fail)
    return failures


async def test_a_retry_does_not_repeat_a_step_of_the_next_owner(
    kafka_broker: Broker, opened: Open, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stale worker has not noticed that it lost the partition. Its retry must not fence the new owner."""
    stale_bus, fresh_bus = await opened(), await opened()
    await publish(stale_bus, 1)
    stale = await anext(stale_bus.assignments("copy", Topic.ARTICLES))
    batch = await stale.fetch(1, FETCH_S)
    fresh = KafkaAssignment(
        fresh_bus._cluster, fresh_bus._log, fresh_bus._metadata, "copy", "articles", 0, lambda: None
    )
    await fresh.restore()
    same_batch = await fresh.fetch(1, FETCH_S)
    await fresh.commit(1, copies(same_batch), {"count": b"1"})
    await stale._transactions._drop_producer()  # so that a new producer does not learn of the fencing from Kafka
    with pytest.raises(FencedError):
        await stale.commit(1, copies(batch), {"count": b"1"})
    assert stale.revoked
    records = await asyncio.to_thread(committed_records, kafka_broker.client, f"{prefix}analyses")
    assert [record.value for record in records] == [b"0"]
    await fresh.release()


async def no_last_step() -> None:
    return None


async def test_a_fenced_worker_joins_the_group_again_and_continues(
    opened: Open, kafka_broker: Broker, prefix: str
) -> None:
    """A rival opens a producer with the worker's transactional id, which fences the worker (makes Kafka refuse it).

    The worker's step fails and its assignment is revoked. It gets the partition again, with the state before the step,
    and continues.
    """
    bus = await opened()
    await publish(bus, 2)
    joined = bus.assignments("copy", Topic.ARTICLES)
    first = await anext(joined)
    assert len(await first.fetch(1, FETCH_S)) == 1
    # A worker that wrongly believes that it owns the partition.
    rival = Transactions(bus._cluster, f"{prefix}copy-articles-0", no_last_step)
    await rival.open()
    with pytest.raises(BusError, match="another owner"):
        await first.commit(1, [], {"count": b"1"})
    assert first.revoked
    async with asyncio.timeout(FETCH_S):
        second = await anext(joined)
    assert await second.restore() == {}
    batch = await second.fetch(2, FETCH_S)
    await second.commit(batch[-1].offset + 1, copies(batch), {"count": b"2"})
    await rival.close()
    assert await second.restore() == {"count": b"2"}


async def test_a_step_of_many_topics_raises_fenced_error_wherever_the_fencing_is_noticed(
    opened: Open, prefix: str
) -> None:
    """The sender task of aiokafka may notice the fencing while the step waits for the metadata of a topic.

    Each of five rounds has a new pair of producers, of which the second fences the first.
    """
    cluster = (await opened())._cluster
    records = [
        cluster.to_record(Outgoing(topic, None, b"1", 0)) for topic in (Topic.ANALYSES, Topic.SIGNALS, Topic.TRENDS)
    ]
    for _ in range(5):
        fenced, rival = (Transactions(cluster, f"{prefix}many", no_last_step) for _ in range(2))
        fenced.set_last_step(None)
        await fenced.open()
        await rival.open()
        with pytest.raises(FencedError):
            await fenced.commit_step("step", records)
        await fenced.close()
        await rival.close()


@pytest.fixture
def own_broker(kafka_here: None, tmp_path: Path) -> Iterator[Broker]:
    """A broker that may be killed."""
    with Broker(tmp_path / "kafka").running() as broker:
        yield broker


@pytest.mark.slow
async def test_a_worker_copies_each_record_once_although_the_broker_is_killed(own_broker: Broker) -> None:
    """`_copy_during_a_kill` kills the broker and checks records and state."""
    kafka = KafkaSettings(partitions=1, session_timeout_s=6)
    settings = BusSettings(url=own_broker.url)
    await create_topics(settings, kafka, {"copy": Topic.ARTICLES})
    bus = await KafkaBus.open(settings, kafka)
    try:
        await _copy_during_a_kill(bus, own_broker)
    finally:
        await bus.close()


async def _copy_during_a_kill(bus: KafkaBus, broker: Broker) -> None:
    """Copies 3,000 records from `articles` to `analyses` while the broker is killed and started once.

    Checks that each record arrives exactly once, and that the state, a count of the copied records, is exact.
    """
    count = 3_000
    state = 0

    async def copy() -> None:
        """Copies the partition until all records are copied, also when it is revoked and assigned again."""
        async for assignment in bus.assignments("copy", Topic.ARTICLES):
            try:
                await copy_partition(assignment)
            except BusError:
                if not assignment.revoked:  # a rebalance may revoke it at any moment
                    raise
            if state >= count:
                return

    async def copy_partition(assignment: Assignment) -> None:
        """Restores the count, then copies batches until the assignment is revoked or all records are copied."""
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
    records = await asyncio.to_thread(committed_records, broker.client, "analyses")
    assert Counter(int(record.value or b"") for record in records) == Counter(range(count))
    changelog = latest_by_key(await asyncio.to_thread(committed_records, broker.client, "copy-state"))
    assert changelog[0, b"articles/count"] == b"%d" % count
    assert set(changelog) == {(0, b"articles/count"), (0, b"articles#position")}


async def test_the_state_of_50000_targets_is_restored_in_seconds(opened: Open) -> None:
    """The state is written in five steps, and restored from the changelog in less than 20 s."""
    bus = await opened()
    assignment = await anext(bus.assignments("copy", Topic.ARTICLES))
    for start in range(0, 50_000, 10_000):
        await assignment.commit(0, [], {f"target:{n}": b"%d" % n * 40 for n in range(start, start + 10_000)})
    started = time.monotonic()
    state = await assignment.restore()
    elapsed_s = time.monotonic() - started
    print(f"50,000 keys, {sum(map(len, state.values())):,} bytes restored in {elapsed_s:.2f} s")
    assert len(state) == 50_000
    assert state["target:49999"] == b"49999" * 40
    assert elapsed_s < 20
