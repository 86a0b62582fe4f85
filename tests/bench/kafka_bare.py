"""The bare loop: one transactional producer of aiokafka that reads, sends ready bytes and commits. No more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from riskwire.bus.kafka.batches import COMPRESSION

Ready = tuple[str, int, bytes | None, bytes | None]
"""Topic, partition, key and value of what is sent."""


@dataclass(frozen=True, slots=True)
class Run:
    """From the first fetch to the last commit: records read, seconds, seconds of this process's processor time (all
    threads), and the time of each commit."""

    records: int
    seconds: float
    worked: float
    commits: list[float]


@dataclass(frozen=True, slots=True)
class Bare:
    """Where a bare loop reads, and as whom it writes."""

    servers: str
    topic: str
    partitions: int
    name: str
    batch: int

    def with_batch(self, batch: int) -> Bare:
        """The same with batches of another size."""
        return replace(self, batch=batch)

    async def run(self, total: int, ready: Callable[[bytes | None], Sequence[Ready]]) -> Run:
        """Read `total` records exactly once and send what is `ready` for the key of each.

        It keeps no state, looks at nothing and survives nothing. Producer and consumer are set as riskwire's are.
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
                found = await consumer.getmany(timeout_ms=1000, max_records=min(self.batch, total - read))
                if not found:
                    continue
                offsets = {tp: OffsetAndMetadata(records[-1].offset + 1, "") for tp, records in found.items()}
                sends = [one for records in found.values() for record in records for one in ready(record.key)]
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
                read += sum(map(len, found.values()))
            return Run(read, time.perf_counter() - began, time.process_time() - worked, commits)
        finally:
            await producer.stop()
            await consumer.stop()


def in_turn(outputs: Sequence[Ready], records: int) -> Callable[[bytes | None], Sequence[Ready]]:
    """Spread what a stage wrote evenly over the records it read."""
    read = 0

    def ready(_: bytes | None) -> Sequence[Ready]:
        nonlocal read
        first, read = read * len(outputs) // records, read + 1
        return outputs[first : read * len(outputs) // records]

    return ready
