"""How many partitions of each topic are in use: pinned when topics are made, whatever the brokers have since.

A key's partition, a partition's state and the number of marks that close a bucket all go by that number. A topic that
grew under running stages would move keys away from their state: records read twice, baselines begun anew. So what
`riskwire topics create` found or made is written down once, as a record of a topic of its own that nothing ever
deletes, and the first word on a topic counts.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson
import structlog
from aiokafka import AIOKafkaProducer, TopicPartition

from riskwire.bus.kafka.clients import stop_producer
from riskwire.bus.kafka.cluster import CREATE, Cluster
from riskwire.bus.kafka.log import Log
from riskwire.bus.kafka.retry import answered
from riskwire.errors import BusError

log = structlog.get_logger(__name__)

LAYOUT = "layout"
"""The topic that holds the numbers."""


def in_use(topic: str, cluster: Cluster, pinned: Mapping[str, int], there: Mapping[str, int]) -> int:
    """How many partitions of a topic are in use.

    Args:
        there: partitions by topic, as Kafka knows both.

    Raises:
        BusError: the number is not written down, or the topic has fewer.
    """
    count, has = pinned.get(topic), there[cluster.name(topic)]
    if count is None:
        raise BusError(f"how many partitions of {topic} are in use is not written down", where=cluster.url, do=CREATE)
    if has < count:
        raise BusError(
            f"{cluster.name(topic)} has {has} partitions, and {count} are in use",
            where=cluster.url,
            do="It was made anew: give it as many, or start over with another kafka.prefix",
        )
    return count


def tell_unused(cluster: Cluster, there: Mapping[str, int]) -> None:
    """Say which topics have more partitions than are in use."""
    more = {
        cluster.name(topic): f"{there[cluster.name(topic)]} partitions, {count} in use"
        for topic, count in cluster.partitions.items()
        if there[cluster.name(topic)] > count
    }
    if more:
        log.warning("topics have partitions that are neither written nor read (see `riskwire topics check`)", **more)


async def read_layout(cluster: Cluster, log_: Log) -> dict[str, int]:
    """By topic, as riskwire names it.

    Raises:
        BusError: it cannot be read, or something else stands on its topic.
    """
    where = TopicPartition(cluster.name(LAYOUT), 0)
    start = (await log_.beginnings([where]))[where]
    pinned: dict[str, int] = {}
    async for records in log_.scan(where, start):
        for record in records:
            pinned = _read(record.value, f"{where.topic}[0]@{record.offset}") | pinned
    return pinned


async def pin(cluster: Cluster, partitions: Mapping[str, int]) -> None:
    """Write down how many partitions are in use; where something was written before of a topic, that counts.

    Raises:
        BusError: it cannot be written.
    """
    producer = AIOKafkaProducer(**cluster.client(), acks="all", enable_idempotence=True)
    value = orjson.dumps({"v": 1, "partitions": dict(partitions)})

    async def write() -> None:
        await producer.send_and_wait(cluster.name(LAYOUT), value, partition=0)

    try:
        await answered(cluster, "Kafka cannot be reached", producer.start)
        await answered(cluster, f"{cluster.name(LAYOUT)} cannot be written", write)
    finally:
        await stop_producer(producer)


def _read(value: bytes | None, where: str) -> dict[str, int]:
    try:
        found = orjson.loads(value or b"")["partitions"]
        if not all(isinstance(count, int) and count > 0 for count in found.values()):
            raise ValueError("a number of partitions is a whole number above 0")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise BusError("this is not how many partitions are in use", value=value, where=where) from error
    return {str(topic): count for topic, count in found.items()}
