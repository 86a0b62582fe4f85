"""The bus on Apache Kafka: the same promise, kept between many processes.

A group's partitions are shared out among its workers by Kafka; within one process a newer worker of a group takes over
from the older. Stages never wait for room (Kafka holds what is not read yet); publishers do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager

from aiokafka import TopicPartition

from riskwire.bus.kafka.cluster import CREATE, PUBLISHERS, Cluster, servers_of
from riskwire.bus.kafka.lag import Positions, Room, Survey
from riskwire.bus.kafka.layout import LAYOUT, in_use, read_layout, tell_unused
from riskwire.bus.kafka.log import Log
from riskwire.bus.kafka.members import Assignments
from riskwire.bus.kafka.partition import KafkaAssignment
from riskwire.bus.kafka.publisher import KafkaPublisher, last_step
from riskwire.bus.protocol import Lag, Membership, Message, PartitionActivity
from riskwire.errors import BusError
from riskwire.pipeline import Topic
from riskwire.settings import BusSettings, KafkaSettings

_OPEN_S = 15.0


class KafkaBus:
    """The `Bus` of protocol.py; `open` makes it, inside a running event loop."""

    def __init__(self, cluster: Cluster, log: Log, positions: Positions, settings: BusSettings) -> None:
        self._cluster = cluster
        self._log = log
        self._positions = positions
        self._survey = Survey(cluster, log, positions, self._own)
        self._room = Room(self._survey, settings.backlog, self._check)
        self._joined: dict[tuple[str, str], Assignments] = {}
        self._publishers: dict[str, KafkaPublisher] = {}
        self._opened_at = time.monotonic()
        self._closed = False

    @classmethod
    async def open(cls, settings: BusSettings, kafka: KafkaSettings) -> KafkaBus:
        """Open the bus of the cluster that `bus.url` names.

        Raises:
            SettingsError: the URL or the security settings cannot be used.
            BusError: no broker answers, it refuses us, or topics are missing.
        """
        servers_of(settings.url)
        cluster = Cluster(settings.url, kafka)
        cluster.client()
        log, positions = Log(cluster), Positions(cluster)
        try:
            await log.open(min(_OPEN_S, kafka.deadline_s))
            await positions.open()
            there = await positions.topics()
            needed = [*(str(topic) for topic in Topic), f"{PUBLISHERS}-state"]
            missing = [cluster.name(name) for name in (*needed, LAYOUT) if cluster.name(name) not in there]
            if missing:
                raise BusError(f"topics are missing: {', '.join(missing)}", where=settings.url, do=CREATE)
            pinned = await read_layout(cluster, log)
            cluster.partitions.update((name, in_use(name, cluster, pinned, there)) for name in needed)
            tell_unused(cluster, there)
        except BaseException:
            await positions.close()
            await log.close()
            raise
        return cls(cluster, log, positions, settings)

    def partitions(self, topic: str) -> int:
        """How many partitions of a topic are in use; it may have more, which nobody writes or reads."""
        return self._cluster.count(str(topic))

    def assignments(self, group: str, topic: str) -> AsyncIterator[KafkaAssignment]:
        """Each partition that the group gives to this worker, as it does; one that is taken away is revoked."""
        self.partitions(topic)

        def assign(partition: int, on_fenced: Callable[[], None]) -> KafkaAssignment | None:
            if partition >= self.partitions(topic):
                return None
            return KafkaAssignment(self._cluster, self._log, self._positions, group, str(topic), partition, on_fenced)

        return Assignments(self._cluster, group, str(topic), assign, self._join)

    def publisher(self, name: str) -> AbstractAsyncContextManager[KafkaPublisher]:
        """A publisher of that name; a second one of the same name fences the first, in whatever process it is."""
        return self._publisher(name)

    async def publisher_state(self, name: str) -> dict[str, bytes]:
        """The state of a publisher's last step, read without taking its name over; empty where there is none."""
        self._check()
        state, _ = await last_step(self._cluster, self._log, name)
        return state

    async def group_state(self, group: str, topic: str, prefix: str) -> dict[str, bytes]:
        """What the tasks of a group keep under keys of one prefix, over all partitions of the topic they read; reads
        their whole changelog."""
        self._check()
        changelogs = [TopicPartition(self._cluster.state_of(group), p) for p in range(self.partitions(topic))]
        return await self._log.latest(changelogs, f"{topic}/", prefix)

    async def records(self) -> dict[str, int]:
        """Offsets ever given out, per topic: records published, and a marker for each transaction and partition."""
        self._check()
        tps = {TopicPartition(self._cluster.name(t), p): str(t) for t in Topic for p in range(self.partitions(t))}
        found = dict.fromkeys((str(topic) for topic in Topic), 0)
        for partition, end in (await self._log.ends(tps)).items():
            found[tps[partition]] += end
        return found

    async def ends(self, topic: str) -> list[int]:
        """The offset that the next record of each partition of a topic gets."""
        self._check()
        tps = [TopicPartition(self._cluster.name(str(topic)), p) for p in range(self.partitions(topic))]
        found = await self._log.ends(tps)
        return [found[tp] for tp in tps]

    async def lag(self) -> list[Lag]:
        """How far every group is behind that has a changelog and a position; markers count where it is far behind."""
        self._check()
        return await self._survey.lag()

    async def lag_of_waiting_stage(self, group: str) -> list[Lag]:
        """`lag`, as a stage of that group asks in the middle of a step that waits on purpose: that is no standstill.

        Raises:
            BusError: no partition of the group is this process's any more: what it waits for would be refused.
        """
        owned = self._owned(group)
        if not owned:
            raise BusError(f"another worker owns the partitions of {group} now", where=self._cluster.url)
        for assignment in owned:
            assignment.note_activity()
        return await self.lag()

    async def read(self, topic: str, partition: int, start: int, max_records: int) -> Sequence[Message]:
        """Records of a partition from offset `start` on, outside any group; waits for steps that are being taken."""
        self._check()
        count = self.partitions(topic)
        if not 0 <= partition < count:
            raise BusError(f"{topic} has partitions 0 to {count - 1}", value=partition)
        found: list[Message] = []
        scan = self._log.scan(TopicPartition(self._cluster.name(str(topic)), partition), start)
        async with aclosing(scan) as pieces:
            async for records in pieces:
                found += [
                    Message(
                        str(topic),
                        partition,
                        r.offset,
                        None if r.key is None else r.key.decode("utf-8", "replace"),
                        r.value or b"",
                    )
                    for r in records
                ]
                if len(found) >= max_records:
                    break
        return found[:max_records]

    async def reach(self, timeout_s: float) -> None:
        """Ask the cluster something.

        Raises:
            BusError: it does not answer within `timeout_s`.
        """
        self._check()
        try:
            async with asyncio.timeout(timeout_s):
                await self._positions.topics()
        except TimeoutError as error:
            raise BusError(f"Kafka does not answer within {timeout_s:g} s", where=self._cluster.url) from error

    def membership(self, group: str) -> Membership:
        """Returns whether this process is a member of a group, and its activity on each partition."""
        activity = (PartitionActivity(owned.topic, owned.partition, owned.active_at) for owned in self._owned(group))
        return Membership(self._outside_since(group), tuple(activity))

    def _owned(self, group: str) -> list[KafkaAssignment]:
        return [
            assignment for (name, _), joined in self._joined.items() if name == group for assignment in joined.assigned
        ]

    def _outside_since(self, group: str) -> float | None:
        if self._closed:
            return None
        since = [joined.outside_since for (name, _), joined in self._joined.items() if name == group]
        if not since:
            return self._opened_at
        return min((at for at in since if at is not None), default=None)

    async def close(self) -> None:
        """End all iterators, fetches and waits, finish the steps that have begun, leave the groups."""
        self._closed = True
        joined, self._joined = list(self._joined.values()), {}
        publishers, self._publishers = list(self._publishers.values()), {}
        for publisher in publishers:
            publisher.revoke()
        await asyncio.gather(*(one.end() for one in joined), *(publisher.close() for publisher in publishers))
        await self._positions.close()
        await self._log.close()

    async def _join(self, joined: Assignments) -> bool:
        """Make way for a worker: the older one of this process leaves. False where the bus is closed."""
        if self._closed:
            return False
        changelog = self._cluster.state_of(joined.group)
        there = (await self._positions.topics()).get(changelog, 0)
        if there < self.partitions(joined.topic):
            raise BusError(
                f"{changelog} has {there} partitions, and {self.partitions(joined.topic)} of {joined.topic} are in use",
                where=self._cluster.url,
                do="Give it as many with Kafka's tools (nothing moves by that)" if there else CREATE,
            )
        older = self._joined.get((joined.group, joined.topic))
        if older is not None:
            await older.end()
        self._joined[joined.group, joined.topic] = joined
        return True

    @asynccontextmanager
    async def _publisher(self, name: str) -> AsyncIterator[KafkaPublisher]:
        self._check()
        publisher = KafkaPublisher(self._cluster, self._log, self._room, name)
        older = self._publishers.get(name)
        if older is not None:
            older.revoke()
        self._publishers[name] = publisher
        try:
            await publisher.open()
            yield publisher
        finally:
            await publisher.close()
            if self._publishers.get(name) is publisher:
                del self._publishers[name]

    def _own(self) -> Iterator[tuple[str, str, int, int | None]]:
        for (group, topic), joined in self._joined.items():
            for assignment in joined.assigned:
                yield group, topic, assignment.partition, assignment.position

    def _check(self) -> None:
        if self._closed:
            raise BusError("the bus is closed", where=self._cluster.url)
