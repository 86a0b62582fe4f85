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
from broker import Broker
from kafka_reader import committed_records, last_by_key

from riskwire.bus import Message, Outgoing
from riskwire.bus.kafka import KafkaBus
from riskwire.bus.kafka_transactions import Transactions
from riskwire.bus.topics import create_topics
from riskwire.errors import BusError
from riskwire.schemas import Topic
from riskwire.settings import BusSettings, KafkaSettings

pytestmark = pytest.mark.needs_kafka

_NUMBERS = itertools.count()
Open = Callable[..., Awaitable[KafkaBus]]


@pytest.fixture
def prefix() -> str:
    return f"faults{next(_NUMBERS)}-"


@pytest.fixture
async def opened(kafka_broker: Broker, prefix: str) -> AsyncIterator[Open]:
    """`opened(**kafka)`: a worker's bus, all on the test's own topics of one partition."""
    buses: list[KafkaBus] = []

    async def one(**changed: object) -> KafkaBus:
        kafka = KafkaSettings.model_validate(
            {"prefix": prefix, "partitions": 1, "session_timeout_s": 2, "deadline_s": 20} | changed
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
async def test_a_step_whose_answer_is_lost_is_settled_by_looking(
    kafka_broker: Broker, opened: Open, prefix: str, monkeypatch: pytest.MonkeyPatch, arrived: bool
) -> None:
    bus = await opened()
    await publish(bus, 2)
    assignment = await anext(bus.assignments("copy", Topic.ARTICLES))
    batch = await assignment.fetch(1, 20)
    producer = await assignment._transactions._opened()
    commit = producer.commit_transaction

    async def lost() -> None:
        if arrived:
            await commit()
        raise TimeoutError

    monkeypatch.setattr(producer, "commit_transaction", lost)
    if arrived:
        await assignment.commit(1, copies(batch), {"count": b"1"})
    else:
        with pytest.raises(BusError, match="nothing of it has happened"):
            await assignment.commit(1, copies(batch), {"count": b"1"})
        assert await assignment.restore() == {}
        batch = await assignment.fetch(1, 20)
        await assignment.commit(1, copies(batch), {"count": b"1"})
    assert await assignment.restore() == {"count": b"1"}
    found = await asyncio.to_thread(committed_records, kafka_broker.client, f"{prefix}analyses")
    assert [record.value for record in found] == [b"0"]


async def test_a_send_that_fails_leaves_nothing_of_its_step(
    kafka_broker: Broker, opened: Open, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = await opened()
    await publish(bus, 1)
    assignment = await anext(bus.assignments("copy", Topic.ARTICLES))
    batch = await assignment.fetch(1, 20)
    producer = await assignment._transactions._opened()
    send = producer.send
    sent = itertools.count()

    async def fails(*args: Any, **named: Any) -> Any:
        if next(sent) == 0:
            return await send(*args, **named)
        failed = asyncio.get_running_loop().create_future()
        failed.set_exception(OSError("the disk of the broker is full"))
        return failed

    monkeypatch.setattr(producer, "send", fails)
    with pytest.raises(BusError, match="disk of the broker is full"):
        await assignment.commit(1, copies(batch), {"count": b"1"})
    assert await assignment.restore() == {}
    assert [m.value for m in await assignment.fetch(1, 20)] == [b"0"]
    assert await asyncio.to_thread(committed_records, kafka_broker.client, f"{prefix}analyses") == []


async def test_a_worker_that_is_fenced_asks_the_group_again_and_goes_on(
    opened: Open, kafka_broker: Broker, prefix: str
) -> None:
    bus = await opened()
    await publish(bus, 2)
    joined = bus.assignments("copy", Topic.ARTICLES)
    first = await anext(joined)
    assert len(await first.fetch(1, 20)) == 1
    other = Transactions(
        bus._cluster, f"{prefix}copy-articles-0"
    )  # as a worker does that believes it has the partition
    await other.open()
    with pytest.raises(BusError, match="another owner"):
        await first.commit(1, [], {"count": b"1"})
    assert first.revoked
    async with asyncio.timeout(20):
        second = await anext(joined)
    assert await second.restore() == {}
    batch = await second.fetch(2, 20)
    await second.commit(batch[-1].offset + 1, copies(batch), {"count": b"2"})
    await other.close()
    assert await second.restore() == {"count": b"2"}


@pytest.fixture
def own_broker(kafka_broker: Broker, tmp_path: Path) -> Iterator[Broker]:
    """A broker that may be killed (and is not there where there can be none)."""
    broker = Broker(tmp_path / "kafka")
    broker.format()
    broker.start()
    yield broker
    broker.kill()


@pytest.mark.slow
async def test_a_broker_that_is_killed_and_comes_back_costs_nothing(own_broker: Broker) -> None:
    kafka = KafkaSettings(partitions=1, session_timeout_s=2)
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
    back = asyncio.Event()
    back.set()

    async def copy() -> None:
        """A service that is started again once the broker is back, where its absence ended it."""
        while state < count:
            try:
                await copy_until_it_fails()
            except BusError:
                await back.wait()

    async def copy_until_it_fails() -> None:
        nonlocal state
        async for assignment in bus.assignments("copy", Topic.ARTICLES):
            state = int((await assignment.restore()).get("count", b"0"))
            while not assignment.revoked and state < count:
                batch = await assignment.fetch(50, 1.0)
                if batch:
                    try:
                        await assignment.commit(
                            batch[-1].offset + 1, copies(batch), {"count": b"%d" % (state + len(batch))}
                        )
                    except BusError:
                        if not assignment.revoked:
                            raise
                        break
                    state += len(batch)
            if state >= count:
                return

    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        copying = group.create_task(copy())
        for start in range(0, count, 500):
            await publish(bus, 500, start)
            if start == 1_000:
                back.clear()
                await asyncio.to_thread(broker.kill)
                await asyncio.to_thread(broker.start)
                back.set()
        await copying
    found = await asyncio.to_thread(committed_records, broker.client, "analyses")
    assert Counter(int(record.value or b"") for record in found) == Counter(range(count))
    changelog = await asyncio.to_thread(committed_records, broker.client, "copy-state")
    assert last_by_key(changelog) == {(0, b"articles/count"): b"%d" % count}


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
