"""Membership of a consumer group: Kafka assigns partitions to this worker, and each becomes a `KafkaAssignment`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import ConsumerStoppedError, KafkaError

from riskwire.bus.kafka.clients import start_consumer, stop_consumer
from riskwire.bus.kafka.cluster import Cluster, as_bus_error
from riskwire.bus.kafka.partition import KafkaAssignment
from riskwire.errors import BusError

log = structlog.get_logger(__name__)

_POLL_S = 1.0
_MAX_POLL_INTERVAL_MS = 24 * 3_600_000

Assign = Callable[[int, Callable[[], None]], KafkaAssignment | None]
"""Returns a new assignment of a partition, or None if the partition is not in use. The second argument is a callback
for an assignment that finds itself fenced."""


class KafkaMember:
    """A member of a consumer group: yields each partition when it is assigned to this worker.

    It is an iterator and not a generator, because a generator that is dropped unfinished would give up its partitions.
    """

    def __init__(
        self,
        cluster: Cluster,
        group: str,
        topic: str,
        assign: Assign,
        join: Callable[[KafkaMember], Awaitable[bool]],
    ) -> None:
        """Makes the member; it joins the group when the first partition is asked for.

        Args:
            group, topic: riskwire's names (without prefix) of the consumer group and of the topic it reads.
            assign: returns a new assignment of a partition, or None if the partition is not in use. Its second
                argument is called when the assignment is fenced.
            join: called before the group is joined; returns False if the bus is closed.
        """
        self.group = group
        self.topic = topic
        self.outside_since: float | None = None
        """Since when it has been waiting for the group (`time.monotonic()`); None while it is a member, with or without
        a partition."""
        self._cluster = cluster
        self._assign = assign
        self._join = join
        self._current: list[KafkaAssignment] = []
        self._pending: list[KafkaAssignment] = []
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._fenced = asyncio.Event()
        self._failure: BusError | None = None
        self._ended = False

    @property
    def assigned(self) -> list[KafkaAssignment]:
        """The partitions that this worker owns now."""
        return [assignment for assignment in self._current if not assignment.revoked]

    @property
    def ended(self) -> bool:
        """True once the bus is closed or a newer worker of this process has taken over."""
        return self._ended

    def __aiter__(self) -> KafkaMember:
        return self

    async def __anext__(self) -> KafkaAssignment:
        """Returns the next partition that the group assigns to this worker. Joins the group on the first call.

        Waits while there is none. Skips a partition that was revoked before it could be returned.

        Raises:
            StopAsyncIteration: the bus is closed, or a newer worker of this process has taken over.
            BusError: the group cannot be joined, or the membership has failed.
        """
        if self._ended:
            raise StopAsyncIteration
        if self._task is None:
            if not await self._join(self):
                raise StopAsyncIteration
            self._task = asyncio.create_task(self._run(), name=f"member-{self.group}-{self.topic}")
        while True:
            if self._ended:
                raise StopAsyncIteration
            if self._failure is not None:
                raise self._failure
            while self._pending:
                assignment = self._pending.pop(0)
                if not assignment.revoked:
                    return assignment
            self._changed.clear()
            await self._changed.wait()

    async def end(self) -> None:
        """Leaves the group and gives up every partition, after the steps under way. Ends the iteration."""
        self._ended = True
        self.outside_since = None
        self._changed.set()
        for assignment in self._current:
            assignment.revoke()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        await self._release()

    async def _run(self) -> None:
        """Joins the group, and joins again after an assignment was fenced: the group must decide who owns it.

        Runs until the member ends or fails. A failure is raised by `__anext__`, not here.
        """
        try:
            while not self._ended:
                self._fenced.clear()
                self._note_outside()
                consumer = self._new_consumer()
                try:
                    await start_consumer(consumer, self._cluster)
                    consumer.subscribe([self._cluster.name(self.topic)], listener=_RebalanceListener(self, consumer))
                    await self._poll_until_fenced(consumer)
                finally:
                    await self._release()
                    await stop_consumer(consumer)
                if not self._ended:
                    log.warning("another worker took over a partition: joining the group again", group=self.group)
        except BusError as error:
            self._failure = error
        except Exception as error:  # noqa: BLE001 (whatever the client raises must end the wait in `__anext__`)
            self._failure = BusError(f"membership of group {self.group} has failed", where=self._cluster.url)
            self._failure.__cause__ = error
        finally:
            self._changed.set()

    async def _poll_until_fenced(self, consumer: Any) -> None:
        """Keeps the membership alive until an assignment is fenced: another worker has taken over its partition.

        Kafka drops a member that does not poll. Errors of the group surface in the poll too, not only while joining.

        Args:
            consumer: the client that is a member of the group. Its partitions are paused.

        Raises:
            BusError: the client fails.
        """
        while not self._fenced.is_set():
            with (
                as_bus_error(f"group {self.group} cannot be joined", self._cluster.url),
                suppress(ConsumerStoppedError),
            ):
                # Fetches no records, because every partition is paused. Raises errors of the client's background tasks.
                await consumer.getmany(timeout_ms=0)
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_S):
                    await self._fenced.wait()

    def _new_consumer(self) -> Any:
        """Returns a Kafka client for the membership alone: it owns partitions, and each assignment reads its own.

        A rebalance waits for a member as long as a step may last. A member without heartbeats is dropped after
        `kafka.session_timeout_s`. The interval of polls is no limit in practice.
        """
        settings = self._cluster.settings
        session_ms = int(settings.session_timeout_s * 1000)
        return AIOKafkaConsumer(
            **self._cluster.client_options(),
            group_id=self._cluster.name(self.group),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=max(100, session_ms // 5),
            rebalance_timeout_ms=int(settings.deadline_s * 1000) + session_ms,
            max_poll_interval_ms=_MAX_POLL_INTERVAL_MS,
            max_partition_fetch_bytes=1,
        )

    async def on_assigned(self, partitions: Iterable[int]) -> None:
        """Makes an assignment of each partition that the group has given to this worker, for `__anext__` to return.

        Leaves out partitions that are not in use. From now on this worker is a member, even without a partition. Has no
        effect once the member has ended.
        """
        if self._ended:
            return
        self.outside_since = None
        candidates = [self._assign(partition, self._fenced.set) for partition in sorted(partitions)]
        assigned = [assignment for assignment in candidates if assignment is not None]
        self._current += assigned
        self._pending += assigned
        log.info("partitions assigned", group=self.group, topic=self.topic, partitions=[a.partition for a in assigned])
        self._changed.set()

    async def on_revoked(self) -> None:
        """Gives up all partitions at the beginning of a rebalance."""
        self._note_outside()
        await self._release()

    def _note_outside(self) -> None:
        """Notes the time since which this worker is not a member, unless it is noted already."""
        if self.outside_since is None and not self._ended:
            self.outside_since = time.monotonic()

    async def _release(self) -> None:
        """Revokes every assignment and waits until each has ended the step under way."""
        released, self._current, self._pending = self._current, [], []
        for assignment in released:
            assignment.revoke()
        await asyncio.gather(*(assignment.release() for assignment in released))


class _RebalanceListener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, member: KafkaMember, consumer: Any) -> None:
        self._member = member
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        await self._member.on_revoked()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Pauses the partitions in the client of the membership, which does not read, and gives them to the member."""
        if assigned:
            with suppress(KafkaError):
                self._consumer.pause(*assigned)
        await self._member.on_assigned(partition.partition for partition in assigned)
