"""A group whose position Kafka has deleted continues at the position of its changelog.

Kafka deletes the position of a group that was away for a week, but not its changelog.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from broker import Broker
from confluent_kafka.admin import AdminClient
from services_on_kafka import TIMEOUT_S

from riskwire.bus import Outgoing
from riskwire.bus.kafka.bus import KafkaBus
from riskwire.bus.kafka.topics import create_topics
from riskwire.pipeline import Topic
from riskwire.settings import BusSettings, KafkaSettings

pytestmark = pytest.mark.needs_kafka

_NUMBERS = itertools.count()
Open = Callable[[], Awaitable[KafkaBus]]


@pytest.fixture
def prefix() -> str:
    return f"lost{next(_NUMBERS)}-"


@pytest.fixture
async def opened(kafka_broker: Broker, prefix: str) -> AsyncIterator[Open]:
    """A function that opens buses on topics with one partition; all are closed after the test."""
    settings = BusSettings(url=kafka_broker.url)
    kafka = KafkaSettings(prefix=prefix, partitions=1, session_timeout_s=10, deadline_s=60)
    await create_topics(settings, kafka)
    buses: list[KafkaBus] = []

    async def open_bus() -> KafkaBus:
        buses.append(await KafkaBus.open(settings, kafka))
        return buses[-1]

    yield open_bus
    for bus in buses:
        await bus.close()


async def test_records_in_the_state_are_not_read_again_after_the_position_was_deleted(
    opened: Open, prefix: str, kafka_broker: Broker
) -> None:
    """The group has read three of five records when its position is deleted. It continues with the fourth."""
    bus = await opened()
    async with bus.publisher("test") as publisher:
        await publisher.publish([Outgoing(Topic.SIGNALS, None, b"%d" % n, 0) for n in range(5)], {})
    assignment = await anext(bus.assignments("alert", Topic.SIGNALS))
    batch = await assignment.fetch(3, TIMEOUT_S)
    await assignment.commit(batch[-1].offset + 1, [], {"seen": b"%d" % len(batch)})
    await bus.close()

    admin = AdminClient(kafka_broker.client)
    for deleted in admin.delete_consumer_groups([f"{prefix}alert"]).values():
        deleted.result(timeout=30)

    bus = await opened()
    assignment = await anext(bus.assignments("alert", Topic.SIGNALS))
    assert await assignment.restore() == {"seen": b"3"}
    assert [message.value for message in await assignment.fetch(10, TIMEOUT_S)] == [b"3", b"4"]
    assert [lag.records for lag in await bus.lag() if lag.group == "alert"] == [2]
