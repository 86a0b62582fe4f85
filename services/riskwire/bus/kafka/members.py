"""Membership of a group: Kafka says which partitions are this worker's; each becomes an assignment of its own."""

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

_LOOK_S = 1.0
_LONGEST_SILENCE_MS = 24 * 3_600_000

Assign = Callable[[int, Callable[[], None]], KafkaAssignment | None]
"""Makes the assignment of a partition, None where it is not in use; the second argument is called when it finds itself
fenced."""


class Assignments:
    """The partitions a worker is given, as they are; a plain iterator, so that dropping it gives nothing up."""

    def __init__(
        self,
        cluster: Cluster,
        group: str,
        topic: str,
        assign: Assign,
        join: Callable[[Assignments], Awaitable[bool]],
    ) -> None:
        self.group = group
        self.topic = topic
        self.outside_since: float | None = None
        """Since when it wants to be in its group and is not (monotonic seconds); None while it is, with or without a
        partition."""
        self._cluster = cluster
        self._assign = assign
        self._join = join
        self._current: list[KafkaAssignment] = []
        self._pending: list[KafkaAssignment] = []
        self._came = asyncio.Event()
        self._member: asyncio.Task[None] | None = None
        self._fenced = asyncio.Event()
        self._failure: BusError | None = None
        self._ended = False

    @property
    def assigned(self) -> list[KafkaAssignment]:
        """What is this worker's now."""
        return [assignment for assignment in self._current if not assignment.revoked]

    @property
    def ended(self) -> bool:
        """True once the bus is closed or a newer worker of this process has taken over."""
        return self._ended

    def __aiter__(self) -> Assignments:
        return self

    async def __anext__(self) -> KafkaAssignment:
        if self._ended:
            raise StopAsyncIteration
        if self._member is None:
            if not await self._join(self):
                raise StopAsyncIteration
            self._member = asyncio.create_task(self._be_member(), name=f"member-{self.group}-{self.topic}")
        while True:
            if self._ended:
                raise StopAsyncIteration
            if self._failure is not None:
                raise self._failure
            while self._pending:
                assignment = self._pending.pop(0)
                if not assignment.revoked:
                    return assignment
            self._came.clear()
            await self._came.wait()

    async def end(self) -> None:
        """Leave the group and give every partition up, when the steps under way are done."""
        self._ended = True
        self.outside_since = None
        self._came.set()
        for assignment in self._current:
            assignment.revoke()
        member, self._member = self._member, None
        if member is not None:
            member.cancel()
            await asyncio.wait([member])
        await self._release()

    async def _be_member(self) -> None:
        """Join, and join anew after having been fenced: then the group must say again whose the partition is."""
        try:
            while not self._ended:
                self._fenced.clear()
                self._is_outside()
                consumer = self._consumer()
                try:
                    await start_consumer(consumer, self._cluster)
                    consumer.subscribe([self._cluster.name(self.topic)], listener=_Listener(self, consumer))
                    await self._stay(consumer)
                finally:
                    await self._release()
                    await stop_consumer(consumer)
                if not self._ended:
                    log.warning("another worker took a partition over: joining anew", group=self.group)
        except BusError as error:
            self._failure = error
        except Exception as error:  # noqa: BLE001 (whatever the client raises, nobody may wait for ever)
            self._failure = BusError(f"membership of group {self.group} has failed", where=self._cluster.url)
            self._failure.__cause__ = error
        finally:
            self._came.set()

    async def _stay(self, consumer: Any) -> None:
        while not self._fenced.is_set():
            with (
                as_bus_error(f"group {self.group} cannot be joined", self._cluster.url),
                suppress(ConsumerStoppedError),
            ):
                # Fetches nothing (every partition is paused); tells of what the group's client met in the background.
                await consumer.getmany(timeout_ms=0)
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._fenced.wait()

    def _consumer(self) -> Any:
        settings = self._cluster.settings
        session_ms = int(settings.session_timeout_s * 1000)
        return AIOKafkaConsumer(
            **self._cluster.client(),
            group_id=self._cluster.name(self.group),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=max(100, session_ms // 5),
            rebalance_timeout_ms=int(settings.deadline_s * 1000) + session_ms,
            max_poll_interval_ms=_LONGEST_SILENCE_MS,
            max_partition_fetch_bytes=1,
        )

    async def given(self, partitions: Iterable[int]) -> None:
        """The group has given these to this worker."""
        if self._ended:
            return
        self.outside_since = None
        made = [self._assign(partition, self._fenced.set) for partition in sorted(partitions)]
        given = [assignment for assignment in made if assignment is not None]
        self._current += given
        self._pending += given
        log.info("partitions assigned", group=self.group, topic=self.topic, partitions=[a.partition for a in given])
        self._came.set()

    async def taken(self) -> None:
        """The group shares its partitions out anew: nothing is this worker's until it says so."""
        self._is_outside()
        await self._release()

    def _is_outside(self) -> None:
        if self.outside_since is None and not self._ended:
            self.outside_since = time.monotonic()

    async def _release(self) -> None:
        released, self._current, self._pending = self._current, [], []
        for assignment in released:
            assignment.revoke()
        await asyncio.gather(*(assignment.release() for assignment in released))


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, assignments: Assignments, consumer: Any) -> None:
        self._assignments = assignments
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        await self._assignments.taken()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        if assigned:
            with suppress(KafkaError):
                self._consumer.pause(*assigned)
        await self._assignments.given(partition.partition for partition in assigned)
