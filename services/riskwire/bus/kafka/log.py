"""Reads partitions outside any group: their first and end offsets, and the committed records between two offsets.

Kafka acknowledges a step before its records become visible to `read_committed`. To see all acknowledged records, a
reader takes the end offset of *all* records and reads until the committed records have reached it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from riskwire.bus.kafka.clients import start_consumer, stop_consumer
from riskwire.bus.kafka.cluster import Cluster, as_bus_error, first_connection
from riskwire.bus.kafka.retry import request
from riskwire.bus.protocol import Message
from riskwire.errors import BusError

_POLL_MS = 20
_LONG_POLL_MS = 50
_MAX_IDLE_READERS = 2


class Log:
    """The records of the cluster, for a process that reads them outside its groups. Keeps a few consumers for reuse."""

    def __init__(self, cluster: Cluster) -> None:
        """Connects to nothing; `open` does."""
        self._cluster = cluster
        self._offset_reader: Any = None
        """The client that asks for first and end offsets; None before `open`."""
        self._idle_readers: list[Any] = []
        """Connected clients that read committed records, for the next reads."""
        self._closed = False

    async def open(self, timeout_s: float) -> None:
        """Connects to the cluster, with the client that asks for offsets.

        Raises:
            BusError: no broker answers within `timeout_s`, or the broker refuses the connection.
        """
        # Uncommitted, so that an end offset also counts the records of steps under way.
        self._offset_reader = AIOKafkaConsumer(**self._cluster.client_options(), isolation_level="read_uncommitted")
        try:
            with first_connection(self._cluster.url):
                async with asyncio.timeout(timeout_s):
                    await self._offset_reader.start()
        except BaseException:
            await stop_consumer(self._offset_reader)
            raise

    async def ends(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Returns the end offset of each partition: the offset of its next record."""
        return await self._offsets(self._offset_reader.end_offsets, partitions)

    async def beginnings(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Returns the first offset that is still stored in each partition."""
        return await self._offsets(self._offset_reader.beginning_offsets, partitions)

    async def scan(
        self, partition: TopicPartition, start: int, end: int | None = None
    ) -> AsyncGenerator[list[Any], None]:
        """Yields the committed records from `start` on, in order and in chunks. Yields nothing if `start` >= `end`.

        Args:
            end: the offset to stop before; None for the current end of the partition.

        Raises:
            BusError: no record became readable within the deadline; an open transaction may block the reader. Or the
                brokers do not answer, or the bus is closed.
        """
        if end is None:
            end = (await self.ends([partition]))[partition]
        if start >= end:
            return
        deadline_s = self._cluster.settings.deadline_s
        async with self._reader() as reader:
            reader.assign([partition])
            reader.seek(partition, start)
            position, moved_at = start, time.monotonic()
            while position < end:
                with as_bus_error(f"{partition.topic}[{partition.partition}] cannot be read", self._cluster.url):
                    async with asyncio.timeout(deadline_s):
                        batches = await reader.getmany(partition, timeout_ms=_POLL_MS)
                        new_position = await reader.position(partition)
                if batches:
                    records = [record for record in batches[partition] if record.offset < end]
                    if records:
                        yield records
                if new_position > position:
                    position, moved_at = new_position, time.monotonic()
                elif time.monotonic() - moved_at > deadline_s:
                    raise BusError(
                        f"{partition.topic}[{partition.partition}]@{position} does not become readable",
                        where=self._cluster.url,
                        do="An open transaction may block it. Kafka aborts it after its timeout; if it does not "
                        "(KAFKA-20734), `kafka-transactions.sh find-hanging --broker-id … "
                        "--max-transaction-timeout 1` lists its partitions, and `abort` ends it in each of them",
                    )

    async def latest(self, changelogs: Iterable[TopicPartition], namespace: str, prefix: str) -> dict[str, bytes]:
        """Returns the newest value of each key that starts with `namespace + prefix`, unless the key was deleted.

        The keys of the result do not contain the namespace, but still the prefix.

        Args:
            changelogs: partitions whose records are changes of state; a record without a value deletes its key.

        Raises:
            BusError: as `scan`.
        """
        starts = await self.beginnings(changelogs)
        key_start, skip = (namespace + prefix).encode(), len(namespace.encode())
        values: dict[str, bytes] = {}
        for changelog, start in starts.items():
            async for records in self.scan(changelog, start):
                for record in records:
                    if record.key.startswith(key_start):
                        key = record.key[skip:].decode()
                        if record.value is None:
                            values.pop(key, None)
                        else:
                            values[key] = record.value
        return values

    async def record_offsets(
        self, spans: Mapping[TopicPartition, tuple[int, int]], timeout_s: float
    ) -> dict[str, list[int]]:
        """Returns the offsets of the committed records in each span, by `topic-partition`.

        Markers of transactions and aborted records have offsets too, but are left out. The offsets that could not be
        read within `timeout_s` count as records.

        Args:
            spans: first offset and end offset (exclusive) by partition.

        Raises:
            BusError: the brokers do not answer, or the bus is closed.
        """
        offsets: dict[str, list[int]] = {label(partition): [] for partition in spans}
        nonempty_spans = {partition: span for partition, span in spans.items() if span[0] < span[1]}
        if not nonempty_spans:
            return offsets
        deadline = time.monotonic() + timeout_s
        async with self._reader() as reader:
            reader.assign(list(nonempty_spans))
            for partition, (start, _) in nonempty_spans.items():
                reader.seek(partition, start)
            positions = {partition: start for partition, (start, _) in nonempty_spans.items()}
            unfinished = set(nonempty_spans)
            while unfinished and time.monotonic() < deadline:
                with as_bus_error("records cannot be counted", self._cluster.url):
                    async with asyncio.timeout(self._cluster.settings.deadline_s):
                        batches = await reader.getmany(*unfinished, timeout_ms=_POLL_MS)
                        for partition in unfinished:
                            positions[partition] = await reader.position(partition)
                for partition, records in batches.items():
                    end = nonempty_spans[partition][1]
                    offsets[label(partition)] += [record.offset for record in records if record.offset < end]
                unfinished = {
                    partition for partition in unfinished if positions[partition] < nonempty_spans[partition][1]
                }
        for partition in unfinished:
            offsets[label(partition)] += range(positions[partition], nonempty_spans[partition][1])
        return offsets

    async def close(self) -> None:
        """Closes the idle connections and refuses new reads. A read under way closes its own connection at its end."""
        self._closed = True
        readers, self._idle_readers = [self._offset_reader, *self._idle_readers], []
        await asyncio.gather(*(stop_consumer(reader) for reader in readers if reader is not None))

    async def _offsets(self, get: Any, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Returns an offset of each partition, such as its end. Retries until the deadline.

        Args:
            get: the request of a Kafka client that returns the offsets of partitions.

        Raises:
            BusError: no broker answers, or the bus is closed.
        """
        partition_list = list(partitions)
        self._check_open()
        if not partition_list:
            return {}

        async def get_offsets() -> dict[TopicPartition, int]:
            self._check_open()
            offsets: dict[TopicPartition, int] = await get(partition_list)
            return offsets

        return await request(self._cluster, "the offsets of partitions cannot be read", get_offsets)

    def _check_open(self) -> None:
        if self._closed:
            raise BusError("the bus is closed", where=self._cluster.url)

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[Any]:
        """Yields a Kafka client that reads no partition yet: an idle one or a new one.

        Keeps it for reuse afterwards. Stops it instead if the body failed or was left early, if the bus was closed, or
        if `_MAX_IDLE_READERS` are kept already.

        Raises:
            BusError: the bus is closed, or no broker answers.
        """
        self._check_open()
        reader = self._idle_readers.pop() if self._idle_readers else await self._new_reader()
        try:
            yield reader
            reader.unsubscribe()
        except BaseException:
            await stop_consumer(reader)
            raise
        if self._closed or len(self._idle_readers) >= _MAX_IDLE_READERS:
            await stop_consumer(reader)
        else:
            self._idle_readers.append(reader)

    async def _new_reader(self) -> Any:
        """Returns a connected Kafka client that reads committed records, outside any group."""
        reader = AIOKafkaConsumer(
            **self._cluster.client_options(),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=_LONG_POLL_MS,
            max_partition_fetch_bytes=max(1 << 20, self._cluster.settings.max_record_bytes),
        )
        await start_consumer(reader, self._cluster)
        return reader


def label(partition: TopicPartition) -> str:
    """Returns `topic-partition`."""
    return f"{partition.topic}-{partition.partition}"


def to_message(topic: str, partition: int, record: Any) -> Message:
    """Returns a record of aiokafka as a message; `topic` is riskwire's name. A key that is not UTF-8 is replaced."""
    key = None if record.key is None else record.key.decode("utf-8", "replace")
    written_at = record.timestamp / 1_000 if record.timestamp >= 0 else None
    return Message(topic, partition, record.offset, key, record.value or b"", written_at)
