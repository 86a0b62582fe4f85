"""Reading partitions outside any group: where they begin and end, and what is committed between two offsets.

A step is answered before its records become visible to `read_committed`. So whoever must see all that was answered
takes the end of *all* records and reads until what is committed has reached it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from riskwire.bus.kafka.clients import start_consumer, stop_consumer
from riskwire.bus.kafka.cluster import Cluster, as_bus_error, connecting
from riskwire.bus.kafka.retry import answered
from riskwire.errors import BusError

_POLL_MS = 20
_LONG_POLL_MS = 50
_IDLE_READERS = 2


class Log:
    """What one process reads of the cluster outside its groups."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._surveyor: Any = None
        self._idle: list[Any] = []
        self._closed = False

    async def open(self, within_s: float) -> None:
        """Connect.

        Raises:
            BusError: no broker answers within `within_s`, or it refuses us.
        """
        self._surveyor = AIOKafkaConsumer(**self._cluster.client(), isolation_level="read_uncommitted")
        try:
            with connecting(self._cluster.url):
                async with asyncio.timeout(within_s):
                    await self._surveyor.start()
        except BaseException:
            await stop_consumer(self._surveyor)
            raise

    async def ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset that the next record of each partition gets."""
        return await self._offsets(self._surveyor.end_offsets, partitions)

    async def beginnings(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The first offset that each partition still holds."""
        return await self._offsets(self._surveyor.beginning_offsets, partitions)

    async def scan(
        self, partition: TopicPartition, start: int, end: int | None = None
    ) -> AsyncGenerator[list[Any], None]:
        """Committed records from `start` on, in order and in pieces, up to `end` (the end of the partition now).

        Raises:
            BusError: nothing came for as long as the deadline; a step that is still open may be in the way.
        """
        if end is None:
            end = (await self.ends([partition]))[partition]
        if start >= end:
            return
        deadline_s = self._cluster.settings.deadline_s
        async with self._reader() as reader:
            reader.assign([partition])
            reader.seek(partition, start)
            position, moved = start, time.monotonic()
            while position < end:
                with as_bus_error(f"{partition.topic}[{partition.partition}] cannot be read", self._cluster.url):
                    async with asyncio.timeout(deadline_s):
                        found = await reader.getmany(partition, timeout_ms=_POLL_MS)
                        reached = await reader.position(partition)
                if found:
                    records = [record for record in found[partition] if record.offset < end]
                    if records:
                        yield records
                if reached > position:
                    position, moved = reached, time.monotonic()
                elif time.monotonic() - moved > deadline_s:
                    raise BusError(
                        f"{partition.topic}[{partition.partition}]@{position} does not become readable",
                        where=self._cluster.url,
                        do="A transaction that nobody ends may be in the way. It runs out after its timeout; where it "
                        "does not (KAFKA-20734), `kafka-transactions.sh find-hanging --broker-id … "
                        "--max-transaction-timeout 1` names its partitions, and `abort` ends it in each",
                    )

    async def latest(self, changelogs: Iterable[TopicPartition], beside: str, prefix: str) -> dict[str, bytes]:
        """The newest value of each key that starts with `beside` and `prefix`, without `beside`; deleted ones are not.

        Raises:
            BusError: as `scan`.
        """
        starts = await self.beginnings(changelogs)
        wanted, skip = (beside + prefix).encode(), len(beside.encode())
        found: dict[str, bytes] = {}
        for changelog, start in starts.items():
            async for records in self.scan(changelog, start):
                for record in records:
                    if record.key.startswith(wanted):
                        key = record.key[skip:].decode()
                        if record.value is None:
                            found.pop(key, None)
                        else:
                            found[key] = record.value
        return found

    async def count(self, spans: Mapping[TopicPartition, tuple[int, int]], within_s: float) -> dict[str, list[int]]:
        """Offsets of the committed records inside each span, by `topic-partition`, as far as `within_s` lets it read;
        offsets that could not be read in that time count as records."""
        found: dict[str, list[int]] = {label(partition): [] for partition in spans}
        wanted = {partition: span for partition, span in spans.items() if span[0] < span[1]}
        if not wanted:
            return found
        deadline = time.monotonic() + within_s
        async with self._reader() as reader:
            reader.assign(list(wanted))
            for partition, (start, _) in wanted.items():
                reader.seek(partition, start)
            reached = {partition: start for partition, (start, _) in wanted.items()}
            behind = set(wanted)
            while behind and time.monotonic() < deadline:
                with as_bus_error("records cannot be counted", self._cluster.url):
                    async with asyncio.timeout(self._cluster.settings.deadline_s):
                        batches = await reader.getmany(*behind, timeout_ms=_POLL_MS)
                        for partition in behind:
                            reached[partition] = await reader.position(partition)
                for partition, records in batches.items():
                    end = wanted[partition][1]
                    found[label(partition)] += [record.offset for record in records if record.offset < end]
                behind = {partition for partition in behind if reached[partition] < wanted[partition][1]}
        for partition in behind:
            found[label(partition)] += range(reached[partition], wanted[partition][1])
        return found

    async def close(self) -> None:
        """Let go of every connection."""
        self._closed = True
        readers, self._idle = [self._surveyor, *self._idle], []
        await asyncio.gather(*(stop_consumer(reader) for reader in readers if reader is not None))

    async def _offsets(self, ask: Any, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        wanted = list(partitions)
        self._check()
        if not wanted:
            return {}

        async def asked() -> dict[TopicPartition, int]:
            self._check()
            found: dict[TopicPartition, int] = await ask(wanted)
            return found

        return await answered(self._cluster, "the ends of partitions cannot be read", asked)

    def _check(self) -> None:
        if self._closed:
            raise BusError("the bus is closed", where=self._cluster.url)

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[Any]:
        self._check()
        reader = self._idle.pop() if self._idle else await self._new_reader()
        try:
            yield reader
            reader.unsubscribe()
        except BaseException:
            await stop_consumer(reader)
            raise
        if self._closed or len(self._idle) >= _IDLE_READERS:
            await stop_consumer(reader)
        else:
            self._idle.append(reader)

    async def _new_reader(self) -> Any:
        reader = AIOKafkaConsumer(
            **self._cluster.client(),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=_LONG_POLL_MS,
            max_partition_fetch_bytes=max(1 << 20, self._cluster.settings.max_record_bytes),
        )
        await start_consumer(reader, self._cluster)
        return reader


def label(partition: TopicPartition) -> str:
    """`topic-partition`."""
    return f"{partition.topic}-{partition.partition}"
