"""Steps that need several Kafka batches for a partition, as read by an independent client."""

from __future__ import annotations

import os

import pytest
from kafka_reader import committed_records, latest_by_key

from riskwire.bus import Outgoing
from riskwire.bus.kafka.bus import KafkaBus
from riskwire.bus.kafka.topics import create_topics
from riskwire.pipeline import Topic
from riskwire.settings import BusSettings, KafkaSettings

pytestmark = pytest.mark.needs_kafka

BATCH = 262_144


@pytest.fixture
async def bus(kafka_broker):
    kafka = KafkaSettings(prefix="batches-", partitions=2)
    settings = BusSettings(url=kafka_broker.url)
    await create_topics(settings, kafka)
    bus = await KafkaBus.open(settings, kafka)
    yield bus
    await bus.close()


async def test_a_step_of_many_batches_keeps_the_order_of_each_partition(kafka_broker, bus):
    large = os.urandom(3 * BATCH)  # fills a batch alone, because random bytes cannot be compressed
    values = [large if n % 97 == 0 else b"%05d" % n + os.urandom(2_000) for n in range(600)]
    async with bus.publisher("source") as publisher:
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
