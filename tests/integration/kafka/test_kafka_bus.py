"""The promises of every bus, kept by the Kafka bus on a real broker."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import pytest
from backpressure_contract import BackpressureContract
from contract import BusContract, join_group, numbered, publish, read_all, soon

from riskwire.bus import Outgoing
from riskwire.bus.kafka.bus import KafkaBus
from riskwire.bus.kafka.topics import create_topics
from riskwire.pipeline import Topic
from riskwire.settings import BusSettings, KafkaSettings

pytestmark = pytest.mark.needs_kafka

_NUMBERS = itertools.count()
GROUPS = {
    "infer": Topic.ARTICLES,
    "alert": Topic.SIGNALS,
    "other": Topic.ARTICLES,
    "sink": Topic.ANALYSES,
    "audit": Topic.ANALYSES,
    "fast": Topic.ARTICLES,
    "slow": Topic.ARTICLES,
}


@pytest.fixture
async def bus_factory(kafka_broker) -> AsyncIterator:
    """A function that opens buses with given settings on the same new topics; all are closed after the test."""
    kafka = KafkaSettings(prefix=f"t{next(_NUMBERS)}-", partitions=2, session_timeout_s=6, deadline_s=15)
    opened: list[KafkaBus] = []

    async def open_bus(**settings: object) -> KafkaBus:
        """Opens a bus with these settings of `bus`; the first call creates the topics."""
        bus = BusSettings.model_validate({"url": kafka_broker.url, **settings})
        if not opened:
            await create_topics(bus, kafka, GROUPS)
        opened.append(await KafkaBus.open(bus, kafka))
        return opened[-1]

    yield open_bus
    for bus in opened:
        await bus.close()


class TestKafkaBus(BusContract, BackpressureContract):
    """Two promises differ on Kafka: what `records` counts, and that stages do not wait for backpressure."""

    test_records_counts_all_records_ever_published = None
    test_a_step_waits_for_the_topic_it_writes_to = None

    async def test_records_also_counts_the_markers_of_transactions(self, bus_factory):
        """Two steps publish five records. Kafka ends each of the two transactions with a marker in the partition."""
        bus = await bus_factory()
        await publish(bus, numbered(Topic.ARTICLES, 3))
        await publish(bus, numbered(Topic.ARTICLES, 2, 1))
        assert len(await read_all(bus, Topic.ARTICLES)) == 5
        assert await bus.records() == {**dict.fromkeys(Topic, 0), Topic.ARTICLES: 7}

    async def test_a_step_never_waits_for_backpressure(self, bus_factory):
        """The sink reads none of the analyses and the backlog is 1, but a stage commits 50 analyses at once."""
        bus = await bus_factory(backlog=1)
        infer = (await join_group(bus, "infer", Topic.ARTICLES))[0]
        await join_group(bus, "sink", Topic.ANALYSES)
        await publish(bus, numbered(Topic.ARTICLES, 1))
        results = [Outgoing(Topic.ANALYSES, None, b"%d" % n, 0) for n in range(50)]
        await soon(infer.commit(1, results, {}))
        assert len(await read_all(bus, Topic.ANALYSES)) == 50
