"""Reads topics with librdkafka under `read_committed`: a client that shares no code with the one under test."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

READ_S = 60.0
_ERRORS_AFTER_START = {
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
}
"""What a broker answers for a moment after it was started."""


@dataclass(frozen=True, slots=True)
class CommittedRecord:
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


def committed_records(client: Mapping[str, str], topic: str) -> list[CommittedRecord]:
    """Returns every committed record of a topic, ordered by partition and offset, read without riskwire's code.

    Args:
        client: settings of a confluent-kafka client.

    Raises:
        AssertionError: a transaction under way did not end within `READ_S` seconds.
    """
    consumer = Consumer(
        {
            **client,
            "group.id": "independent-reader",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 50,
        }
    )
    try:
        partitions = _partitions(consumer, topic)
        # The end of all records, committed or not. So this waits for steps under way.
        ends = {p: _end_of(consumer, TopicPartition(topic, p)) for p in partitions}
        consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in partitions])
        records: dict[int, list[CommittedRecord]] = {p: [] for p in partitions}
        unfinished = {p for p in partitions if ends[p]}
        deadline = time.monotonic() + READ_S
        while unfinished:
            assert time.monotonic() < deadline, f"{topic}: partitions {sorted(unfinished)} do not become readable"
            message = consumer.poll(0.2)
            if message is None:
                continue
            partition = message.partition()
            if message.error() is None:
                records[partition].append(CommittedRecord(partition, message.offset(), message.key(), message.value()))
            elif message.error().code() == KafkaError._PARTITION_EOF and message.offset() >= ends[partition]:
                unfinished.discard(partition)
        return [record for p in partitions for record in records[p]]
    finally:
        consumer.close()


def _partitions(consumer: Consumer, topic: str) -> list[int]:
    """Returns the partitions of a topic. A broker that has just started may not list an existing topic yet.

    Raises:
        AssertionError: the topic was not listed within `READ_S` seconds.
    """
    deadline = time.monotonic() + READ_S
    while True:
        metadata = consumer.list_topics(topic, timeout=READ_S).topics[topic]
        if metadata.error is None and metadata.partitions:
            return list(metadata.partitions)
        assert time.monotonic() < deadline, f"{topic}: {metadata.error}"
        time.sleep(0.1)


def _end_of(consumer: Consumer, partition: TopicPartition) -> int:
    """Returns the end offset of a partition. A broker that has just started may not lead the partition yet.

    Raises:
        KafkaException: an error that is unusual after a start, or one that lasted for `READ_S` seconds.
    """
    deadline = time.monotonic() + READ_S
    while True:
        try:
            return consumer.get_watermark_offsets(partition, timeout=READ_S)[1]
        except KafkaException as error:
            if error.args[0].code() not in _ERRORS_AFTER_START or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def latest_by_key(records: list[CommittedRecord]) -> dict[tuple[int, bytes | None], bytes]:
    """Returns the latest value of each partition and key, as compaction keeps it. Deleted keys are left out."""
    latest: dict[tuple[int, bytes | None], bytes] = {}
    for record in records:
        if record.value is None:
            latest.pop((record.partition, record.key), None)
        else:
            latest[record.partition, record.key] = record.value
    return latest


def committed_positions(client: Mapping[str, str], group: str, topic: str, partitions: int) -> dict[int, int]:
    """Returns the committed position of a group by partition; a negative number if it has none.

    Args:
        partitions: the number of partitions of the topic.
    """
    consumer = Consumer({**client, "group.id": group, "enable.auto.commit": False})
    try:
        sources = [TopicPartition(topic, p) for p in range(partitions)]
        return {source.partition: source.offset for source in consumer.committed(sources, timeout=READ_S)}
    finally:
        consumer.close()
