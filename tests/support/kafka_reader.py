"""Another client's view of a topic: librdkafka with `read_committed`, which shares no code with what is tested."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

READ_S = 60.0
_STARTING = {
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
}
"""What is answered for a moment by a broker that has just come back."""


@dataclass(frozen=True, slots=True)
class Found:
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


def committed_records(client: Mapping[str, str], topic: str) -> list[Found]:
    """Every committed record of a topic, partition by partition in order."""
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
        # What must be read is up to the end of all records, committed or not: an open step would be waited for.
        ends = {p: _end_of(consumer, TopicPartition(topic, p)) for p in partitions}
        consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in partitions])
        found: dict[int, list[Found]] = {p: [] for p in partitions}
        behind = {p for p in partitions if ends[p]}
        deadline = time.monotonic() + READ_S
        while behind:
            assert time.monotonic() < deadline, f"{topic}: partitions {sorted(behind)} do not become readable"
            message = consumer.poll(0.2)
            if message is None:
                continue
            at = message.partition()
            if message.error() is None:
                found[at].append(Found(at, message.offset(), message.key(), message.value()))
            elif message.error().code() == KafkaError._PARTITION_EOF and message.offset() >= ends[at]:
                behind.discard(at)
        return [record for p in partitions for record in found[p]]
    finally:
        consumer.close()


def _partitions(consumer: Consumer, topic: str) -> list[int]:
    """Of a topic that is there; a broker that has just started may not know it yet."""
    deadline = time.monotonic() + READ_S
    while True:
        found = consumer.list_topics(topic, timeout=READ_S).topics[topic]
        if found.error is None and found.partitions:
            return list(found.partitions)
        assert time.monotonic() < deadline, f"{topic}: {found.error}"
        time.sleep(0.1)


def _end_of(consumer: Consumer, partition: TopicPartition) -> int:
    """Where a partition ends; a broker that has just started may not lead it yet."""
    deadline = time.monotonic() + READ_S
    while True:
        try:
            return consumer.get_watermark_offsets(partition, timeout=READ_S)[1]
        except KafkaException as error:
            if error.args[0].code() not in _STARTING or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def last_by_key(records: list[Found]) -> dict[tuple[int, bytes | None], bytes]:
    """What a compacted topic says in the end, by partition and key."""
    last: dict[tuple[int, bytes | None], bytes] = {}
    for record in records:
        if record.value is None:
            last.pop((record.partition, record.key), None)
        else:
            last[record.partition, record.key] = record.value
    return last


def committed_positions(client: Mapping[str, str], group: str, topic: str, partitions: int) -> dict[int, int]:
    """Where a group has read to."""
    consumer = Consumer({**client, "group.id": group, "enable.auto.commit": False})
    try:
        asked = [TopicPartition(topic, p) for p in range(partitions)]
        return {found.partition: found.offset for found in consumer.committed(asked, timeout=READ_S)}
    finally:
        consumer.close()
