"""The bare loop: one transactional producer of aiokafka that reads, sends prepared bytes and commits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from riskwire.bus.kafka.batches import COMPRESSION

Ready = tuple[str, int, bytes | None, bytes | None]
"""Topic, partition, key and value of a record to send."""


@dataclass(frozen=True, slots=True)
class Run:
    """Measurements from the first fetch to the last commit.

    Attributes:
        records: records read.
        seconds: elapsed time.
        worked: processor seconds of this process, all threads.
        commits: seconds of each commit.
    """

    records: int
    seconds: float
    worked: float
    commits: list[float]


@dataclass(frozen=True, slots=True)
class Bare:
    """A bare loop: its input topic, its transactional id and its batch size."""

    servers: str
    topic: str
    partitions: int
    name: str
    batch: int

    def with_batch(self, batch: int) -> Bare:
        """Returns this loop with another batch size."""
        return replace(self, batch=batch)

    async def run(self, total: int, ready: Callable[[bytes | None], Sequence[Ready]]) -> Run:
        """Reads `total` records exactly once and sends the prepared records of each key, one transaction a batch.

        It keeps no state, decodes nothing and recovers from nothing. Its clients have riskwire's settings. It waits
        without end if the topic holds fewer records.

        Args:
            ready: returns the records to send for a record that was read, given its key.
        """
        sources = [TopicPartition(self.topic, partition) for partition in range(self.partitions)]
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.servers,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        producer = AIOKafkaProducer(
            bootstrap_servers=self.servers,
            transactional_id=self.name,
            acks="all",
            compression_type=COMPRESSION,
            max_batch_size=262_144,
            max_request_size=4_000_000,
        )
        await consumer.start()
        await producer.start()
        try:
            consumer.assign(sources)
            await consumer.seek_to_beginning(*sources)
            commits: list[float] = []
            read = 0
            began, worked = time.perf_counter(), time.process_time()
            while read < total:
                batches = await consumer.getmany(timeout_ms=1000, max_records=min(self.batch, total - read))
                if not batches:
                    continue
                offsets = {tp: OffsetAndMetadata(records[-1].offset + 1, "") for tp, records in batches.items()}
                sends = [output for records in batches.values() for record in records for output in ready(record.key)]
                started = time.perf_counter()
                await producer.begin_transaction()
                futures = [
                    await producer.send(topic, value=value, key=key, partition=partition)
                    for topic, partition, key, value in sends
                ]
                await asyncio.gather(*futures)
                await producer.send_offsets_to_transaction(offsets, self.name)
                await producer.commit_transaction()
                commits.append(time.perf_counter() - started)
                read += sum(map(len, batches.values()))
            return Run(read, time.perf_counter() - began, time.process_time() - worked, commits)
        finally:
            await producer.stop()
            await consumer.stop()


def spread(outputs: Sequence[Ready], records: int) -> Callable[[bytes | None], Sequence[Ready]]:
    """Returns a function that spreads a stage's outputs evenly over the records it reads.

    Each call is for one more record, whatever its key, and returns the next outputs, often none or several. After
    `records` calls all have been returned.
    """
    read = 0

    def ready(_: bytes | None) -> Sequence[Ready]:
        nonlocal read
        first, read = read * len(outputs) // records, read + 1
        return outputs[first : read * len(outputs) // records]

    return ready
