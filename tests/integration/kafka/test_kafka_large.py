"""Records that make a step too large become dead letters; records deleted before they were read are reported."""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

import pytest
from broker import Broker
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from kafka_reader import committed_records, latest_by_key
from prometheus_client import REGISTRY
from services_on_kafka import TIMEOUT_S
from structlog.testing import capture_logs

from riskwire.bus import Message, Outgoing
from riskwire.bus.drain import wait_until_drained
from riskwire.bus.kafka.bus import KafkaBus
from riskwire.bus.kafka.topics import create_topics
from riskwire.pipeline import StageSpec, Topic
from riskwire.records import DeadLetter
from riskwire.settings import BusSettings, IngestSettings, KafkaSettings
from riskwire.stage import Step, Task, run_stage

pytestmark = pytest.mark.needs_kafka

_NUMBERS = itertools.count()
MAX_BYTES = 200_000
BATCH_BYTES = 262_144
"""The size of a Kafka batch (`transactions.py`)."""
ESCAPED = b"\x01"
"""One byte of a record becomes six bytes of its dead letter."""


class InflatingStage:
    """Copies articles to analyses and counts them in its state. The key of a record names what becomes too large."""

    spec = StageSpec("copy", reads=Topic.ARTICLES, writes=(Topic.ANALYSES,), service="copy", room="stage")

    def open(self, partition: int, state: Mapping[str, bytes]) -> Task:
        return InflatingTask(int(state.get("count", b"0")))


class InflatingTask:
    def __init__(self, count: int) -> None:
        self.count = count

    async def process(self, batch: Sequence[Message]) -> Step:
        """Copies each record to analyses, unless its key asks for something else, and counts it in the state.

        The key "result" makes the copy too large for the settings, "refused" large but within them, and "state" makes
        the state too large. The key "bad" fails.
        """
        step = Step()
        for message in batch:
            self.count += 1
            value = message.value
            if message.key == "result":
                value = os.urandom(MAX_BYTES + 1)
            if message.key == "refused":
                value = os.urandom(50_000)
            if message.key == "state":
                step.state["large"] = os.urandom(MAX_BYTES + 1)
            if message.key == "bad":
                raise ValueError("cannot read this")
            step.results.append(Outgoing(Topic.ANALYSES, None, value, 0))
        step.state["count"] = b"%d" % self.count
        return step


@pytest.fixture
def prefix() -> str:
    return f"large{next(_NUMBERS)}-"


@pytest.fixture
async def opened(kafka_broker: Broker, prefix: str) -> AsyncIterator[Callable[[], object]]:
    """A function that opens a bus with one partition for each topic and a small limit for records.

    Its buses share topics, and are closed after the test.
    """
    settings = BusSettings(url=kafka_broker.url)
    kafka = KafkaSettings(prefix=prefix, partitions=1, session_timeout_s=10, max_record_bytes=MAX_BYTES)
    await create_topics(settings, kafka, {"copy": Topic.ARTICLES})
    buses: list[KafkaBus] = []

    async def open_bus() -> KafkaBus:
        buses.append(await KafkaBus.open(settings, kafka))
        return buses[-1]

    yield open_bus
    for bus in buses:
        await bus.close()


async def copy(bus: KafkaBus, records: Sequence[tuple[str, bytes]]) -> None:
    """Publishes records, given as (key, value), and runs `InflatingStage` until it has read them."""
    async with bus.publisher("source") as publisher:
        await publisher.publish([Outgoing(Topic.ARTICLES, key, value, 0) for key, value in records], {})
    async with asyncio.timeout(TIMEOUT_S), asyncio.TaskGroup() as group:
        running = group.create_task(run_stage(bus, InflatingStage(), batch=10))
        await wait_until_drained(bus, ["copy"])
        running.cancel()


async def read_results(broker: Broker, prefix: str) -> tuple[list[bytes], list[DeadLetter], int]:
    """Returns the copies, the dead letters, and the size in bytes of the largest dead-letter record (0 without any)."""
    copies = await asyncio.to_thread(committed_records, broker.client, f"{prefix}analyses")
    letters = await asyncio.to_thread(committed_records, broker.client, f"{prefix}dead-letters")
    sizes = [len(record.value or b"") + len(record.key or b"") for record in letters]
    return (
        [record.value or b"" for record in copies],
        [DeadLetter.model_validate_json(record.value or b"") for record in letters],
        max(sizes, default=0),
    )


def limit_record_size(broker: Broker, topic: str) -> None:
    """Makes the brokers refuse records of more than 20,000 bytes on a topic, which the settings still allow."""
    altered = ConfigResource(
        ResourceType.TOPIC,
        topic,
        incremental_configs=[ConfigEntry("max.message.bytes", "20000", incremental_operation=AlterConfigOpType.SET)],
    )
    admin = AdminClient(broker.client)
    admin.incremental_alter_configs([altered])[altered].result(timeout=30)


@pytest.mark.parametrize("too_large", ["result", "state"])
async def test_only_the_record_whose_result_or_state_is_too_large_becomes_a_dead_letter(
    kafka_broker: Broker, opened: Callable, prefix: str, too_large: str
) -> None:
    """The key of the third record makes its result, or the state, larger than `kafka.max_record_bytes`.

    The other records are copied, and the state counts only these.
    """
    bus = await opened()
    await copy(bus, [("a", b"1"), ("a", b"2"), (too_large, b"the record"), ("a", b"3"), ("a", b"4")])
    copies, letters, _ = await read_results(kafka_broker, prefix)
    assert copies == [b"1", b"2", b"3", b"4"]
    assert [(letter.offset, letter.record, letter.cut) for letter in letters] == [(2, "the record", False)]
    assert "larger than kafka.max_record_bytes" in letters[0].error
    assert await (await anext(bus.assignments("copy", Topic.ARTICLES))).restore() == {"count": b"4"}


async def test_a_record_that_the_brokers_refuse_for_its_size_becomes_a_dead_letter(
    kafka_broker: Broker, opened: Callable, prefix: str
) -> None:
    """The second record has a result of 50,000 bytes, which only the brokers refuse."""
    limit_record_size(kafka_broker, f"{prefix}analyses")
    await copy(await opened(), [("a", b"1"), ("refused", b"large"), ("a", b"2")])
    copies, letters, _ = await read_results(kafka_broker, prefix)
    assert copies == [b"1", b"2"]
    assert [letter.offset for letter in letters] == [1]
    assert "the brokers refuse a record for its size" in letters[0].error


@pytest.mark.parametrize(
    "record", [ESCAPED * (MAX_BYTES - 2_000), os.urandom(MAX_BYTES - 2_000)], ids=["text", "bytes"]
)
async def test_a_dead_letter_is_cut_to_the_maximum_record_size(
    kafka_broker: Broker, opened: Callable, prefix: str, record: bytes
) -> None:
    """The stage fails on a record near the limit. Escaped as JSON or base64, it makes a dead letter above the limit."""
    await copy(await opened(), [("a", b"1"), ("bad", record), ("a", b"2")])
    copies, letters, largest = await read_results(kafka_broker, prefix)
    assert copies == [b"1", b"2"]
    (letter,) = letters
    assert letter.cut
    assert MAX_BYTES * 0.9 < largest < MAX_BYTES
    assert letter.error == "ValueError: cannot read this"


async def test_a_dead_letter_that_the_brokers_refuse_is_cut_and_the_next_records_are_processed(
    kafka_broker: Broker, opened: Callable, prefix: str
) -> None:
    """The brokers allow less for dead letters than the settings do. The record is in base64, cut to its beginning."""
    limit_record_size(kafka_broker, f"{prefix}dead-letters")
    record = os.urandom(50_000)
    await copy(await opened(), [("a", b"1"), ("bad", record), *(("a", b"%d" % n) for n in range(2, 40))])
    copies, (letter,), _ = await read_results(kafka_broker, prefix)
    assert copies == [b"%d" % n for n in range(1, 40)]
    assert (letter.offset, letter.cut, letter.error) == (1, True, "ValueError: cannot read this")
    assert record.startswith(base64.b64decode(letter.record))
    assert len(letter.record) > 5_000


def test_the_longest_article_is_far_below_the_maximum_record_size() -> None:
    longest = 6 * IngestSettings().max_text  # a character has at most six bytes in JSON
    assert 10 * longest < KafkaSettings().max_record_bytes


async def test_records_deleted_before_they_were_read_are_logged_and_counted_and_reading_continues(
    kafka_broker: Broker, opened: Callable, prefix: str
) -> None:
    """Retention deletes records 5 to 11 before the group at position 5 reads them, and later records 15 to 19.

    Reading continues at the first record that is left. An error in the log and a metric tell how many were missed: 7,
    then 5. The state is kept.
    """
    bus = await opened()

    def delete_to(offset: int) -> None:  # as retention does if a group is away for too long
        admin = AdminClient(kafka_broker.client)
        for future in admin.delete_records([TopicPartition(f"{prefix}articles", 0, offset)]).values():
            future.result(timeout=30)

    def missed() -> float:
        labels = {"group": "copy", "topic": "articles"}
        return REGISTRY.get_sample_value("riskwire_bus_missed_records_total", labels) or 0.0

    async with bus.publisher("source") as publisher:
        await publisher.publish([Outgoing(Topic.ARTICLES, "a", b"%d" % n, 0) for n in range(30)], {})
    before = missed()
    assignment = await anext(bus.assignments("copy", Topic.ARTICLES))
    assert [m.value for m in await assignment.fetch(5, TIMEOUT_S)] == [b"0", b"1", b"2", b"3", b"4"]
    await assignment.commit(5, [], {"count": b"5"})
    await asyncio.to_thread(delete_to, 12)
    with capture_logs() as logs:
        assert await assignment.restore() == {"count": b"5"}
        batch: Sequence[Message] = ()
        async with asyncio.timeout(TIMEOUT_S):
            while not batch:
                batch = await assignment.fetch(3, 1)
    assert [m.value for m in batch] == [b"12", b"13", b"14"]
    assert [line["missing"] for line in logs if line["log_level"] == "error"] == [7]
    assert missed() - before == 7
    await assignment.commit(15, [], {"count": b"8"})
    await bus.close()

    await asyncio.to_thread(delete_to, 20)
    later = await anext((await opened()).assignments("copy", Topic.ARTICLES))
    with capture_logs() as logs:
        assert await later.restore() == {"count": b"8"}
    assert [line["missing"] for line in logs if line["log_level"] == "error"] == [5]
    assert missed() - before == 12
    assert [m.value for m in await later.fetch(2, TIMEOUT_S)] == [b"20", b"21"]


@pytest.fixture
async def default_bus(kafka_broker):
    """A bus with the default limits, and two partitions for each topic."""
    kafka = KafkaSettings(prefix="batches-", partitions=2)
    settings = BusSettings(url=kafka_broker.url)
    await create_topics(settings, kafka)
    bus = await KafkaBus.open(settings, kafka)
    yield bus
    await bus.close()


async def test_a_step_of_many_batches_keeps_the_order_of_each_partition(kafka_broker, default_bus):
    """One step publishes 600 records on two partitions, which need many batches of Kafka, and state.

    A key of the state that a later step deletes is not in the changelog.
    """
    large = os.urandom(3 * BATCH_BYTES)  # fills a batch alone, because random bytes cannot be compressed
    values = [large if n % 97 == 0 else b"%05d" % n + os.urandom(2_000) for n in range(600)]
    async with default_bus.publisher("source") as publisher:
        await publisher.publish(
            [Outgoing(Topic.ANALYSES, None, value, partition=n % 2) for n, value in enumerate(values)],
            {"kept": b"1", "deleted": b"2"},
        )
        await publisher.publish([], {"deleted": None})

    records = committed_records(kafka_broker.client, "batches-analyses")
    assert [record.value for record in records if record.partition == 0] == values[0::2]
    assert [record.value for record in records if record.partition == 1] == values[1::2]
    state = latest_by_key(committed_records(kafka_broker.client, "batches-publishers-state"))
    assert [(key, value) for (_, key), value in state.items() if b"/key/" in key] == [(b"source/key/kept", b"1")]
