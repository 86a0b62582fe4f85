"""How many partitions of each topic are in use: fixed when the topics are created, whatever the brokers have later.

The partition of a key, the partition of a state and the number of marks that close a bucket all depend on that number.
If a topic grew while stages run, keys would move away from their state: records would be read twice, and baselines
would start from nothing. So `riskwire topics create` writes the numbers once, as a record of a topic that is never
deleted from. The first number written for a topic is the valid one.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson
import structlog
from aiokafka import AIOKafkaProducer, TopicPartition

from riskwire.bus.kafka.clients import stop_producer
from riskwire.bus.kafka.cluster import CREATE, Cluster
from riskwire.bus.kafka.log import Log
from riskwire.bus.kafka.retry import request
from riskwire.errors import BusError

log = structlog.get_logger(__name__)

LAYOUT = "layout"
"""The topic that keeps the numbers."""


def partitions_in_use(topic: str, cluster: Cluster, layout: Mapping[str, int], existing: Mapping[str, int]) -> int:
    """Returns how many partitions of a topic are in use: the number written when it was created.

    Args:
        topic: riskwire's name of a topic that exists.
        layout: the numbers that were written, by riskwire's names.
        existing: the numbers of partitions that Kafka has, by Kafka's names (with the prefix).

    Raises:
        BusError: no number was written, or the topic has fewer partitions.
    """
    count, partitions = layout.get(topic), existing[cluster.name(topic)]
    if count is None:
        raise BusError(f"it is not recorded how many partitions of {topic} are in use", where=cluster.url, do=CREATE)
    if partitions < count:
        raise BusError(
            f"{cluster.name(topic)} has {partitions} partitions, and {count} are in use",
            where=cluster.url,
            do="The topic was created again: add partitions, or start over with another kafka.prefix",
        )
    return count


def warn_of_unused_partitions(cluster: Cluster, existing: Mapping[str, int]) -> None:
    """Logs a warning if topics have more partitions than are in use.

    Args:
        existing: the number of partitions that Kafka has, by Kafka's names (with the prefix).
    """
    unused = {
        cluster.name(topic): f"{existing[cluster.name(topic)]} partitions, {count} in use"
        for topic, count in cluster.partitions.items()
        if existing[cluster.name(topic)] > count
    }
    if unused:
        log.warning("topics have partitions that are neither written nor read (see `riskwire topics check`)", **unused)


async def read_layout(cluster: Cluster, log_: Log) -> dict[str, int]:
    """Returns the numbers of partitions in use that were written, by riskwire's topic names (without prefix).

    Raises:
        BusError: the topic cannot be read, or a record on it has another form.
    """
    source = TopicPartition(cluster.name(LAYOUT), 0)
    start = (await log_.beginnings([source]))[source]
    layout: dict[str, int] = {}
    async for records in log_.scan(source, start):
        for record in records:
            layout = _decode(record.value, f"{source.topic}[0]@{record.offset}") | layout  # the first number wins
    return layout


async def write_layout(cluster: Cluster, partitions: Mapping[str, int]) -> None:
    """Writes how many partitions are in use, as one record of the layout topic.

    Readers ignore the number of a topic that has an earlier one.

    Args:
        partitions: the numbers by riskwire's topic names (without prefix).

    Raises:
        BusError: no broker answers, or the record cannot be written.
    """
    producer = AIOKafkaProducer(**cluster.client_options(), acks="all", enable_idempotence=True)
    value = orjson.dumps({"v": 1, "partitions": dict(partitions)})

    async def write() -> None:
        await producer.send_and_wait(cluster.name(LAYOUT), value, partition=0)

    try:
        await request(cluster, "Kafka cannot be reached", producer.start)
        await request(cluster, f"{cluster.name(LAYOUT)} cannot be written", write)
    finally:
        await stop_producer(producer)


def _decode(value: bytes | None, where: str) -> dict[str, int]:
    """Returns the number of partitions in use of each topic, from a record of the layout topic.

    Args:
        where: the place of the record, for the error.

    Raises:
        BusError: the record has no valid numbers.
    """
    try:
        partitions = orjson.loads(value or b"")["partitions"]
        if not all(isinstance(count, int) and count > 0 for count in partitions.values()):
            raise ValueError("a number of partitions must be a whole number above 0")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise BusError("the record does not say how many partitions are in use", value=value, where=where) from error
    return {str(topic): count for topic, count in partitions.items()}
