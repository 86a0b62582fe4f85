"""One input partition that is this worker's: its own consumer, its own transactional id, its own changelog partition.

Everything a batch was read with belongs to this one assignment and dies with it. So no batch can outlive its
assignment, and none of the group's client can slip in: that one only says whose partition it is.
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
from riskwire.bus.kafka.cluster import Cluster, Record, as_bus_error
from riskwire.bus.kafka.lag import Committed, Positions
from riskwire.bus.kafka.log import Log
from riskwire.bus.kafka.transactions import Transactions
from riskwire.bus.protocol import Message, Outgoing
from riskwire.errors import BusError, FencedError

log = structlog.get_logger(__name__)

_LOOK_AGAIN_S = 0.5
_LONG_POLL_MS = 250
_POSITION = "position"
"""What `<topic>#position` in the changelog keeps: where reading stood when the state (`<topic>/…`) was last changed."""


class KafkaAssignment:
    """The `Assignment` of protocol.py. Opened by its first use: fence the predecessor, then read the position."""

    def __init__(
        self,
        cluster: Cluster,
        log_: Log,
        positions: Positions,
        group: str,
        topic: str,
        partition: int,
        on_fenced: Callable[[], None],
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.group = group
        self.position: int | None = None
        """Where the last step of this assignment, or of its predecessors, left reading; None before it is opened."""
        self.active_at = time.monotonic()
        """When it last got on: looked for records, read a piece of its state, ended a step (monotonic seconds)."""
        self._cluster = cluster
        self._log = log_
        self._positions = positions
        self._on_fenced = on_fenced
        self._source = TopicPartition(cluster.name(topic), partition)
        self._changelog = TopicPartition(cluster.state_of(group), partition)
        self._transactions = Transactions(cluster, cluster.name(f"{group}-{topic}-{partition}"), self._last_step)
        self._prefix = f"{topic}/"
        self._beside = f"{topic}#"
        self._over = asyncio.Event()
        self._opening = asyncio.Lock()
        self._consumer: Any = None
        self._next = 0
        self._read = (0, 0)
        """The offset after the last record read, and where reading goes on: beyond the markers of transactions."""

    def note_activity(self) -> None:
        """Notes that the worker is active now."""
        self.active_at = time.monotonic()

    @property
    def revoked(self) -> bool:
        """True once the partition is someone else's or the bus is closed."""
        return self._over.is_set()

    def revoke(self) -> None:
        """The partition is someone else's from now on."""
        self._over.set()

    async def release(self) -> None:
        """End the step under way, undo what is not committed and let every connection go."""
        self.revoke()
        await self._transactions.close()
        async with self._opening:
            consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stop_consumer(consumer)

    async def restore(self) -> dict[str, bytes]:
        """The state of the last committed step; also puts the read position back to it.

        Raises:
            BusError: it was revoked, or the cluster does not answer.
        """
        position = await self._open()
        started = time.monotonic()
        state: dict[str, bytes] = {}
        async for records in self._changes():
            for record in records:
                key = record.key.decode()
                if not key.startswith(self._prefix):
                    continue
                if record.value is None:
                    state.pop(key[len(self._prefix) :], None)
                else:
                    state[key[len(self._prefix) :]] = record.value
        self._check()
        self._next = self.position if self.position is not None else position
        self._read = (self._next, self._next)
        self._consumer.seek(self._source, self._next)
        took = time.monotonic() - started
        metrics.RESTORE_SECONDS.labels(group=self.group).observe(took)
        log.info(
            "state restored",
            group=self.group,
            where=f"{self.topic}[{self.partition}]@{self._next}",
            keys=len(state),
            seconds=round(took, 3),
        )
        return state

    async def fetch(self, max_records: int, timeout_s: float) -> Sequence[Message]:
        """The next records in order, at most `max_records`; empty when none came within `timeout_s` or it was revoked.

        Raises:
            BusError: the partition cannot be read.
        """
        deadline = time.monotonic() + timeout_s
        try:
            await self._open()
            while not self.revoked:
                self.active_at = time.monotonic()
                left = deadline - self.active_at
                batch = await self._poll(max_records, max(0.0, min(left, _LOOK_AGAIN_S)))
                if batch or left <= 0:
                    return batch
        except (BusError, ConsumerStoppedError):
            if not self.revoked:
                raise
        return ()

    async def commit(self, position: int, results: Sequence[Outgoing], state: Mapping[str, bytes | None]) -> None:
        """One atomic step; never waits for room: Kafka holds what the next stage has not read (publishers wait).

        Raises:
            BusError: revoked, closed or failed; nothing of the step has happened, or else the message says it may have.
            SchemaError: a result cannot stand on its topic; nothing of the step has happened.
        """
        self._check()
        records = [self._cluster.record(result) for result in results]
        records += [
            self._cluster.state_record(self.group, self.partition, self._prefix, key, value)
            for key, value in state.items()
        ]
        await self._open()
        # Beyond the markers of transactions where nothing else is in between, so that lag ends at 0.
        goal = max(self._read[1] if position == self._read[0] else position, self.position or 0)
        if state:  # Kafka forgets where a group stands that was away for a week, but not its state
            at = b"%d" % goal
            records.append(self._cluster.state_record(self.group, self.partition, self._beside, _POSITION, at))

        await self._step(records, goal)
        if goal > self._next:
            self._next = goal
            if self._consumer is not None:
                self._consumer.seek(self._source, goal)

    async def _step(self, records: Sequence[Record], position: int) -> None:
        name = uuid.uuid4().hex
        move = {self._source: OffsetAndMetadata(position, name)}
        try:
            await self._transactions.take(name, records, self._cluster.name(self.group), move)
        except FencedError:
            self.revoke()
            self._on_fenced()
            raise
        self.position = position
        self.active_at = time.monotonic()

    async def _poll(self, most: int, wait_s: float) -> Sequence[Message]:
        consumer = self._consumer
        if consumer is None:
            return ()
        with as_bus_error(f"{self.topic}[{self.partition}] cannot be read", self._cluster.url):
            try:
                found = await consumer.getmany(self._source, timeout_ms=int(wait_s * 1000), max_records=most)
                position = await consumer.position(self._source)
            except OffsetOutOfRangeError:
                await self._skip_deleted()
                return ()
        if self.revoked:
            return ()
        records = [record for record in found.get(self._source, ()) if record.offset >= self._next]
        if records:
            self._next = records[-1].offset + 1
        if position >= self._next:
            self._read = (self._next, position)
        return [
            Message(
                self.topic,
                self.partition,
                record.offset,
                None if record.key is None else record.key.decode("utf-8", "replace"),
                record.value or b"",
            )
            for record in records
        ]

    async def _open(self) -> int:
        async with self._opening:
            self._check()
            if self._consumer is None:
                await self._transactions.open()
                position = await self._first_position()
                consumer = AIOKafkaConsumer(
                    **self._cluster.client(),
                    isolation_level="read_committed",
                    enable_auto_commit=False,
                    auto_offset_reset="none",
                    fetch_max_wait_ms=_LONG_POLL_MS,
                    max_partition_fetch_bytes=max(1 << 20, self._cluster.settings.max_record_bytes),
                )
                await start_consumer(consumer, self._cluster, self._check)
                consumer.assign([self._source])
                consumer.seek(self._source, position)
                self._consumer = consumer
                self.position, self._next, self._read = position, position, (position, position)
            assert self.position is not None
            return self.position

    async def _first_position(self) -> int:
        """Where to begin: after the predecessor's last step, now that it can take no further one."""
        committed = await self._committed()
        self._transactions.follows(None if committed is None else committed.step)
        start = (await self._log.beginnings([self._source]))[self._source]
        if committed is not None and committed.offset >= start:
            return committed.offset
        known = committed.offset if committed is not None else await self._left_at()
        if committed is None and known is not None:
            log.warning(
                "the group has lost its position: going on where its state was left",
                group=self.group,
                where=f"{self.topic}[{self.partition}]@{known}",
            )
        if known is not None and known < start:
            self._tell_missing(start - known)
        position = max(start, known or 0)
        await self._step((), position)  # so that the group is seen, and holds writers up, before its first batch
        return position

    async def _left_at(self) -> int | None:
        """Where the last step that changed the state left reading; None where there is no state."""
        key = f"{self._beside}{_POSITION}".encode()
        found: int | None = None
        async for records in self._changes():
            for record in records:
                if record.key == key:
                    found = None if record.value is None else int(record.value)
        return found

    async def _changes(self) -> AsyncIterator[list[Any]]:
        """The changelog, from its beginning, in pieces."""
        start = (await self._log.beginnings([self._changelog]))[self._changelog]
        async for records in self._log.scan(self._changelog, start):
            self.active_at = time.monotonic()
            yield records

    async def _skip_deleted(self) -> None:
        """Go on at the oldest record there is: what comes next was deleted before it was read."""
        start = (await self._log.beginnings([self._source]))[self._source]
        if start > self._next:
            self._tell_missing(start - self._next)
            await self._step((), start)
            self._next, self._read = start, (start, start)
        end = (await self._log.ends([self._source]))[self._source]
        if self._next > end:
            raise BusError(
                f"{self.topic}[{self.partition}] ends at {end}, and {self.group} has read it to {self._next}: "
                "the topic was made anew, or the brokers have lost records",
                where=self._cluster.url,
                do="Set the position of the group with Kafka's tools (kafka-consumer-groups --reset-offsets)",
            )
        self._consumer.seek(self._source, self._next)

    def _tell_missing(self, offsets: int) -> None:
        metrics.MISSED.labels(group=self.group, topic=self.topic).inc(offsets)
        log.error(
            "records were deleted before they were read: going on at the oldest there is",
            group=self.group,
            where=f"{self.topic}[{self.partition}]",
            missing=offsets,
        )

    async def _last_step(self) -> str | None:
        committed = await self._committed()
        return None if committed is None else committed.step

    async def _committed(self) -> Committed | None:
        return (await self._positions.of(self.group)).get((self.topic, self.partition))

    def _check(self) -> None:
        if self.revoked:
            raise BusError(
                f"{self.topic}[{self.partition}] is not (or no longer) this worker's, or the bus is closed",
                value=self.group,
                where=self._cluster.url,
            )
