"""One input partition that this worker owns, with its own consumer, transactional id and changelog partition.

Every batch is read by the consumer of one assignment, and both end together. So a batch never outlives its assignment.
The consumer that is the member of the group fetches nothing: it only tells which partitions this worker owns.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import ConsumerStoppedError, OffsetOutOfRangeError
from aiokafka.structs import OffsetAndMetadata

from riskwire import metrics
from riskwire.bus.kafka.clients import start_consumer, stop_consumer
from riskwire.bus.kafka.cluster import Cluster, KafkaRecord, as_bus_error
from riskwire.bus.kafka.log import Log, to_message
from riskwire.bus.kafka.metadata import ClusterMetadata, CommittedPosition
from riskwire.bus.kafka.transactions import Transactions
from riskwire.bus.protocol import Message, Outgoing
from riskwire.errors import BusError, FencedError

log = structlog.get_logger(__name__)

_POLL_S = 0.5
_LONG_POLL_MS = 250
_POSITION = "position"
"""`<topic>#position` in the changelog is the read position of the last step that changed the state (`<topic>/…`)."""


class KafkaAssignment:
    """The `Assignment` of protocol.py.

    Its first use opens it: it fences the previous owner of the partition first, and then reads the committed position.
    """

    def __init__(
        self,
        cluster: Cluster,
        log_: Log,
        metadata: ClusterMetadata,
        group: str,
        topic: str,
        partition: int,
        on_fenced: Callable[[], None],
    ) -> None:
        """Makes an assignment that connects at its first use.

        Args:
            log_: reads the changelog, which is the topic that keeps the group's state, and offsets.
            metadata: reads the committed position.
            group, topic: by riskwire's names (without prefix).
            on_fenced: called when another worker has taken over.
        """
        self.topic = topic
        self.partition = partition
        self.group = group
        self.position: int | None = None
        """The committed position; None before the assignment is opened."""
        self.active_at = time.monotonic()
        """When this worker last fetched, read a chunk of its state or ended a step (`time.monotonic()`)."""
        self._cluster = cluster
        self._log = log_
        self._metadata = metadata
        self._on_fenced = on_fenced
        self._source = TopicPartition(cluster.name(topic), partition)
        self._changelog = TopicPartition(cluster.changelog(group), partition)
        self._transactions = Transactions(cluster, cluster.name(f"{group}-{topic}-{partition}"), self._last_step)
        self._state_prefix = f"{topic}/"
        self._position_prefix = f"{topic}#"
        self._revoked = asyncio.Event()
        self._open_lock = asyncio.Lock()
        self._consumer: Any = None
        self._next = 0
        """The lowest offset that `fetch` may still return."""
        self._read = (0, 0)
        """The offset after the last record read, and the consumer's position: beyond the markers of transactions."""

    def note_activity(self) -> None:
        """Notes that the worker is active now."""
        self.active_at = time.monotonic()

    @property
    def revoked(self) -> bool:
        """True once this worker has lost the partition or the bus is closed."""
        return self._revoked.is_set()

    def revoke(self) -> None:
        """Marks the partition as lost."""
        self._revoked.set()

    async def release(self) -> None:
        """Revokes the assignment, ends the step under way, aborts what is not committed, and closes the connections."""
        self.revoke()
        await self._transactions.close()
        async with self._open_lock:
            consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stop_consumer(consumer)

    async def restore(self) -> dict[str, bytes]:
        """Returns the state of the last committed step (value by key), and resets the read position to that step.

        Reads this partition of the group's changelog from its beginning: a later record of a key replaces an earlier
        one, and a record without a value deletes the key. Records the duration in a metric and a log line.

        Raises:
            BusError: the assignment was revoked, or the cluster does not answer.
        """
        position = await self._open()
        started = time.monotonic()
        state: dict[str, bytes] = {}
        async for records in self._scan_changelog():
            for record in records:
                key = record.key.decode()
                if not key.startswith(self._state_prefix):
                    continue
                if record.value is None:
                    state.pop(key[len(self._state_prefix) :], None)
                else:
                    state[key[len(self._state_prefix) :]] = record.value
        self._check_owned()
        self._next = self.position if self.position is not None else position
        self._read = (self._next, self._next)
        self._consumer.seek(self._source, self._next)
        elapsed_s = time.monotonic() - started
        metrics.RESTORE_SECONDS.labels(group=self.group).observe(elapsed_s)
        log.info(
            "state restored",
            group=self.group,
            where=f"{self.topic}[{self.partition}]@{self._next}",
            keys=len(state),
            seconds=round(elapsed_s, 3),
        )
        return state

    async def fetch(self, max_records: int, timeout_s: float) -> Sequence[Message]:
        """Returns the next records in order; none if none arrived within `timeout_s` or the partition was revoked.

        The first call opens the assignment, and so fences the previous owner. Returns at most `max_records`.

        Raises:
            BusError: the partition cannot be opened or read.
        """
        deadline = time.monotonic() + timeout_s
        try:
            await self._open()
            while not self.revoked:
                self.note_activity()
                remaining_s = deadline - self.active_at
                batch = await self._poll(max_records, max(0.0, min(remaining_s, _POLL_S)))
                if batch or remaining_s <= 0:
                    return batch
        except (BusError, ConsumerStoppedError):
            if not self.revoked:
                raise
        return ()

    async def commit(self, position: int, results: Sequence[Outgoing], state: Mapping[str, bytes | None]) -> None:
        """Publishes results, changes the state and moves the position in one atomic step.

        Never waits for backpressure: Kafka stores what the next stage has not read, and only publishers wait. The next
        `fetch` reads from `position`, or from where it has already read on. The position never goes backward.

        Args:
            position: the offset of the next record to read.
            state: the new value of each changed key; None deletes the key.

        Raises:
            BusError: revoked, closed or failed. The step had no effect, unless the message says that it may have.
            SchemaError: a result has no valid topic, partition or key. The step had no effect.
        """
        self._check_owned()
        records = [self._cluster.to_record(result) for result in results]
        records += [
            self._cluster.to_state_record(self.group, self.partition, self._state_prefix, key, value)
            for key, value in state.items()
        ]
        await self._open()
        # If only markers of transactions follow the last record read, the position skips these markers: lag becomes 0.
        new_position = max(self._read[1] if position == self._read[0] else position, self.position or 0)
        if state:
            # Kafka deletes the position of a group that is away for a week, but not its changelog: keep it there too.
            value = b"%d" % new_position
            records.append(
                self._cluster.to_state_record(self.group, self.partition, self._position_prefix, _POSITION, value)
            )

        await self._commit_step(records, new_position)
        if new_position > self._next:
            self._next = new_position
            if self._consumer is not None:
                self._consumer.seek(self._source, new_position)

    async def _commit_step(self, records: Sequence[KafkaRecord], position: int) -> None:
        """Commits records and the read position in one transaction.

        Stores a new random id of the step beside the position, which tells later whether the step was committed.

        Args:
            position: the offset of the next record to read.

        Raises:
            FencedError: another worker has taken over the partition. The assignment is revoked.
            BusError: the step could not be committed.
        """
        step = uuid.uuid4().hex
        offsets = {self._source: OffsetAndMetadata(position, step)}
        try:
            await self._transactions.commit_step(step, records, self._cluster.name(self.group), offsets)
        except FencedError:
            self.revoke()
            self._on_fenced()
            raise
        self.position = position
        self.note_activity()

    async def _poll(self, max_records: int, timeout_s: float) -> Sequence[Message]:
        """Returns the next records, at most `max_records`; none after `timeout_s`, or once revoked or released.

        Records below the read position are left out. If the next records were deleted, skips to the oldest stored one
        and returns none this time.

        Raises:
            BusError: the partition cannot be read.
        """
        consumer = self._consumer
        if consumer is None:
            return ()
        with as_bus_error(f"{self.topic}[{self.partition}] cannot be read", self._cluster.url):
            try:
                batches = await consumer.getmany(
                    self._source, timeout_ms=int(timeout_s * 1000), max_records=max_records
                )
                position = await consumer.position(self._source)
            except OffsetOutOfRangeError:
                await self._skip_deleted_records()
                return ()
        if self.revoked:
            return ()
        records = [record for record in batches.get(self._source, ()) if record.offset >= self._next]
        if records:
            self._next = records[-1].offset + 1
        if position >= self._next:  # larger if only markers of transactions follow; `commit` skips them
            self._read = (self._next, position)
        return [to_message(self.topic, self.partition, record) for record in records]

    async def _open(self) -> int:
        """Opens the assignment on the first call: connects, fences the previous owner and finds the position.

        Returns:
            the committed position: the offset of the next record to read.

        Raises:
            BusError: the assignment was revoked, or the brokers do not answer within the deadline.
        """
        async with self._open_lock:
            self._check_owned()
            if self._consumer is None:
                await self._transactions.open()
                position = await self._first_position()
                consumer = AIOKafkaConsumer(
                    **self._cluster.client_options(),
                    isolation_level="read_committed",
                    enable_auto_commit=False,
                    auto_offset_reset="none",
                    fetch_max_wait_ms=_LONG_POLL_MS,
                    max_partition_fetch_bytes=max(1 << 20, self._cluster.settings.max_record_bytes),
                )
                await start_consumer(consumer, self._cluster, self._check_owned)
                consumer.assign([self._source])
                consumer.seek(self._source, position)
                self._consumer = consumer
                self.position, self._next, self._read = position, position, (position, position)
            assert self.position is not None
            return self.position

    async def _first_position(self) -> int:
        """Returns the offset to begin at, and commits it if the group has no valid position.

        It is the offset after the last step of the previous owner, who is fenced by now, or the oldest stored record if
        there is none. If retention deleted unread records, they are reported, and it is the oldest stored record too.
        """
        committed = await self._committed_position()
        self._transactions.set_last_step(None if committed is None else committed.step)
        beginning = await self._beginning()
        if committed is not None and committed.offset >= beginning:
            return committed.offset
        known = committed.offset if committed is not None else await self._position_of_state()
        if committed is None and known is not None:
            log.warning(
                "the group has lost its position: continuing from the position of its state",
                group=self.group,
                where=f"{self.topic}[{self.partition}]@{known}",
            )
        if known is not None and known < beginning:
            self._report_deleted_records(beginning - known)
        position = max(beginning, known or 0)
        # Committed before the first batch: from now on the group has a lag, which holds publishers back.
        await self._commit_step((), position)
        return position

    async def _beginning(self) -> int:
        return (await self._log.beginnings([self._source]))[self._source]

    async def _position_of_state(self) -> int | None:
        """Returns the read position of the last step that changed the state, or None if there is no state.

        Each such step writes it to the changelog of the group, beside the state.
        """
        key = f"{self._position_prefix}{_POSITION}".encode()
        position: int | None = None
        async for records in self._scan_changelog():
            for record in records:
                if record.key == key:
                    position = None if record.value is None else int(record.value)
        return position

    async def _scan_changelog(self) -> AsyncIterator[list[Any]]:
        """Yields chunks of records of this partition of the group's changelog (its state), oldest first."""
        start = (await self._log.beginnings([self._changelog]))[self._changelog]
        async for records in self._log.scan(self._changelog, start):
            self.note_activity()
            yield records

    async def _skip_deleted_records(self) -> None:
        """Continues at the oldest stored record, after the next ones were deleted before they were read.

        Reports their number and commits the new position.

        Raises:
            BusError: the read position is beyond the end of the partition, or the brokers do not answer.
        """
        beginning = await self._beginning()
        if beginning > self._next:
            self._report_deleted_records(beginning - self._next)
            await self._commit_step((), beginning)
            self._next, self._read = beginning, (beginning, beginning)
        end = (await self._log.ends([self._source]))[self._source]
        if self._next > end:
            raise BusError(
                f"{self.topic}[{self.partition}] ends at {end}, and {self.group} has read it to {self._next}: "
                "the topic was created again, or the brokers have lost records",
                where=self._cluster.url,
                do="Set the position of the group with Kafka's tools (kafka-consumer-groups --reset-offsets)",
            )
        self._consumer.seek(self._source, self._next)

    def _report_deleted_records(self, count: int) -> None:
        """Counts in a metric and logs as an error how many records retention deleted before they were read."""
        metrics.MISSED_RECORDS.labels(group=self.group, topic=self.topic).inc(count)
        log.error(
            "records were deleted before they were read: continuing at the oldest stored record",
            group=self.group,
            where=f"{self.topic}[{self.partition}]",
            missing=count,
        )

    async def _last_step(self) -> str | None:
        committed = await self._committed_position()
        return None if committed is None else committed.step

    async def _committed_position(self) -> CommittedPosition | None:
        return (await self._metadata.positions(self.group)).get((self.topic, self.partition))

    def _check_owned(self) -> None:
        """Raises a `BusError` if this worker has lost the partition, or the bus is closed."""
        if self.revoked:
            raise BusError(
                f"this worker does not own {self.topic}[{self.partition}] (any more), or the bus is closed",
                value=self.group,
                where=self._cluster.url,
            )
