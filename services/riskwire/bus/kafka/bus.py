"""The bus on Apache Kafka: the same promise as on the embedded bus, between many processes.

Kafka shares the partitions of a group out among its workers. Within one process a newer worker of a group replaces the
older one. Stages never wait for backpressure, because Kafka keeps the records that are not read yet; publishers do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager

from aiokafka import TopicPartition

from riskwire.bus.kafka.cluster import CREATE, PUBLISHERS, Cluster, parse_servers
from riskwire.bus.kafka.lag import Backpressure, LagReader, LocalPosition
from riskwire.bus.kafka.layout import LAYOUT, partitions_in_use, read_layout, warn_of_unused_partitions
from riskwire.bus.kafka.log import Log, to_message
from riskwire.bus.kafka.members import KafkaMember
from riskwire.bus.kafka.metadata import ClusterMetadata
from riskwire.bus.kafka.partition import KafkaAssignment
from riskwire.bus.kafka.publisher import KafkaPublisher, read_publisher
from riskwire.bus.protocol import Lag, Membership, Message, PartitionActivity
from riskwire.errors import BusError
from riskwire.pipeline import TOPICS
from riskwire.settings import BusSettings, KafkaSettings

_OPEN_S = 15.0


class KafkaBus:
    """The `Bus` of protocol.py; `open` creates it, inside a running event loop."""

    def __init__(self, cluster: Cluster, log: Log, metadata: ClusterMetadata, settings: BusSettings) -> None:
        """Makes a bus on connections that are open already; `open` calls it.

        Members are kept by (group, topic), publishers by name.

        Args:
            log: reads records and offsets outside any group.
            metadata: reads topics and committed positions.
        """
        self._cluster = cluster
        self._log = log
        self._metadata = metadata
        self._lag = LagReader(cluster, log, metadata, self._local_positions)
        self._backpressure = Backpressure(self._lag, settings.backlog, self._check_open)
        self._members: dict[tuple[str, str], KafkaMember] = {}
        self._publishers: dict[str, KafkaPublisher] = {}
        self._opened_at = time.monotonic()
        self._closed = False

    @classmethod
    async def open(cls, settings: BusSettings, kafka: KafkaSettings) -> KafkaBus:
        """Opens the bus of the cluster that `bus.url` names. Creates no topics; warns of partitions not in use.

        Raises:
            SettingsError: the URL or the security settings are not valid.
            BusError: no broker answers, the broker refuses the connection, or topics are missing.
        """
        parse_servers(settings.url)
        cluster = Cluster(settings.url, kafka)
        cluster.client_options()
        log, metadata = Log(cluster), ClusterMetadata(cluster)
        try:
            await log.open(min(_OPEN_S, kafka.deadline_s))
            await metadata.open()
            existing = await metadata.topics()
            used = [*(str(topic) for topic in TOPICS), f"{PUBLISHERS}-state"]  # the last keeps the state of publishers
            missing = [cluster.name(topic) for topic in (*used, LAYOUT) if cluster.name(topic) not in existing]
            if missing:
                raise BusError(f"topics are missing: {', '.join(missing)}", where=settings.url, do=CREATE)
            layout = await read_layout(cluster, log)
            cluster.partitions.update((topic, partitions_in_use(topic, cluster, layout, existing)) for topic in used)
            warn_of_unused_partitions(cluster, existing)
        except BaseException:
            await metadata.close()
            await log.close()
            raise
        return cls(cluster, log, metadata, settings)

    def partitions(self, topic: str) -> int:
        """Returns how many partitions of a topic are in use. Kafka may have more, which nothing writes or reads."""
        return self._cluster.partitions_of(str(topic))

    def assignments(self, group: str, topic: str) -> AsyncIterator[KafkaAssignment]:
        """Yields each partition when the group assigns it to this worker. A partition that is taken away is revoked.

        Joins the group when the first partition is asked for. Partitions that Kafka has but that are not in use are
        left out.

        Raises:
            BusError: there is no such topic; raised by the call itself.
        """
        self.partitions(topic)

        def assign(partition: int, on_fenced: Callable[[], None]) -> KafkaAssignment | None:
            if partition >= self.partitions(topic):
                return None
            return KafkaAssignment(self._cluster, self._log, self._metadata, group, str(topic), partition, on_fenced)

        return KafkaMember(self._cluster, group, str(topic), assign, self._join)

    def publisher(self, name: str) -> AbstractAsyncContextManager[KafkaPublisher]:
        """Opens the publisher of a name. A second one of the same name, in any process, fences the first."""
        return self._publisher(name)

    async def publisher_state(self, name: str) -> dict[str, bytes]:
        """Returns the committed state of a publisher without fencing it; empty if it has none."""
        self._check_open()
        state, _ = await read_publisher(self._cluster, self._log, name)
        return state

    async def group_state(self, group: str, topic: str, prefix: str) -> dict[str, bytes]:
        """Returns the committed state of a group under keys that start with `prefix`: value by key, prefix included.

        Merges the states of all partitions of `topic`, an input of the group. Reads the whole changelog of the group,
        which is the topic that keeps its state.

        Raises:
            BusError: the bus is closed, there is no such topic, or the changelog cannot be read.
        """
        self._check_open()
        changelogs = [TopicPartition(self._cluster.changelog(group), p) for p in range(self.partitions(topic))]
        return await self._log.latest(changelogs, f"{topic}/", prefix)

    async def records(self) -> dict[str, int]:
        """Returns the sum of the end offsets of each topic.

        That is the number of records ever published, plus one marker for each transaction and partition.
        """
        self._check_open()
        topics = {
            TopicPartition(self._cluster.name(topic), partition): str(topic)
            for topic in TOPICS
            for partition in range(self.partitions(topic))
        }
        totals = dict.fromkeys((str(topic) for topic in TOPICS), 0)
        for partition, end in (await self._log.ends(topics)).items():
            totals[topics[partition]] += end
        return totals

    async def ends(self, topic: str) -> list[int]:
        """Returns the end offset of each partition of a topic: the offset of its next record."""
        self._check_open()
        partitions = [TopicPartition(self._cluster.name(str(topic)), p) for p in range(self.partitions(topic))]
        ends = await self._log.ends(partitions)
        return [ends[partition] for partition in partitions]

    async def lag(self) -> list[Lag]:
        """Returns the lag of every group that has a changelog and a position.

        The changelog is the topic that keeps the state of a group. A lag above `EXACT_WITHIN` (256) offsets also counts
        the markers of transactions; a smaller one counts records only.
        """
        self._check_open()
        return await self._lag.lag()

    async def lag_of_waiting_stage(self, group: str) -> list[Lag]:
        """Returns the same as `lag`; also counts as activity of `group`, which waits in the middle of a step.

        Raises:
            BusError: this process owns no partition of the group any more, so the step could not be committed.
        """
        owned = self._owned(group)
        if not owned:
            raise BusError(f"another worker owns the partitions of {group} now", where=self._cluster.url)
        for assignment in owned:
            assignment.note_activity()
        return await self.lag()

    def membership(self, group: str) -> Membership:
        """Returns whether this process is a member of a group, and its activity on each partition."""
        activity = (PartitionActivity(owned.topic, owned.partition, owned.active_at) for owned in self._owned(group))
        return Membership(self._outside_since(group), tuple(activity))

    async def reach(self, timeout_s: float) -> None:
        """Returns if the cluster answers a request for its metadata.

        Raises:
            BusError: it does not answer within `timeout_s` or refuses the request, or the bus is closed.
        """
        self._check_open()
        try:
            async with asyncio.timeout(timeout_s):
                await self._metadata.topics()
        except TimeoutError as error:
            raise BusError(f"Kafka does not answer within {timeout_s:g} s", where=self._cluster.url) from error

    async def read(self, topic: str, partition: int, start: int, max_records: int) -> Sequence[Message]:
        """Returns records of a partition from offset `start` on, outside any group, at most `max_records`.

        Waits for the steps that were under way when it was called, but not for new records.

        Raises:
            BusError: there is no such topic or partition, it cannot be read, or the bus is closed.
        """
        self._check_open()
        count = self.partitions(topic)
        if not 0 <= partition < count:
            raise BusError(f"{topic} has partitions 0 to {count - 1}", value=partition)
        messages: list[Message] = []
        scan = self._log.scan(TopicPartition(self._cluster.name(str(topic)), partition), start)
        async with aclosing(scan) as chunks:
            async for records in chunks:
                messages += [to_message(str(topic), partition, record) for record in records]
                if len(messages) >= max_records:
                    break
        return messages[:max_records]

    async def close(self) -> None:
        """Ends all iterators, fetches and waits, finishes the steps under way, and leaves the groups."""
        self._closed = True
        members, self._members = list(self._members.values()), {}
        publishers, self._publishers = list(self._publishers.values()), {}
        for publisher in publishers:
            publisher.revoke()
        await asyncio.gather(*(member.end() for member in members), *(publisher.close() for publisher in publishers))
        await self._metadata.close()
        await self._log.close()

    async def _join(self, member: KafkaMember) -> bool:
        """Makes an older member of the same group and topic in this process leave, before `member` joins.

        Keeps `member` as the one of its group and topic. It joins by itself when this function has returned True.

        Returns:
            False if the bus is closed, else True.

        Raises:
            BusError: the topic with the group's state (its changelog) has fewer partitions than are in use.
        """
        if self._closed:
            return False
        changelog = self._cluster.changelog(member.group)
        partitions = (await self._metadata.topics()).get(changelog, 0)
        in_use = self.partitions(member.topic)
        if partitions < in_use:
            raise BusError(
                f"{changelog} has {partitions} partitions, and {in_use} of {member.topic} are in use",
                where=self._cluster.url,
                do="Add partitions with Kafka's tools (that moves no state)" if partitions else CREATE,
            )
        older = self._members.get((member.group, member.topic))
        if older is not None:
            await older.end()
        self._members[member.group, member.topic] = member
        return True

    @asynccontextmanager
    async def _publisher(self, name: str) -> AsyncIterator[KafkaPublisher]:
        """Yields the publisher of a name, and closes it at the end. Revokes the previous one of this process.

        Raises:
            BusError: the bus is closed, or no broker answers.
        """
        self._check_open()
        publisher = KafkaPublisher(self._cluster, self._log, self._backpressure, name)
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

    def _members_of(self, group: str) -> list[KafkaMember]:
        return [member for (name, _), member in self._members.items() if name == group]

    def _owned(self, group: str) -> list[KafkaAssignment]:
        return [assignment for member in self._members_of(group) for assignment in member.assigned]

    def _outside_since(self, group: str) -> float | None:
        """Returns since when this process has not been a member of a group (`time.monotonic()`), or None if it is one.

        A group that was never joined counts from when the bus was opened. If this process waits for several topics of
        the group, the earliest time counts. After `close` the result is None.
        """
        if self._closed:
            return None
        members = self._members_of(group)
        if not members:
            return self._opened_at
        return min((member.outside_since for member in members if member.outside_since is not None), default=None)

    def _local_positions(self) -> Iterator[LocalPosition]:
        for (group, topic), member in self._members.items():
            for assignment in member.assigned:
                yield LocalPosition(group, topic, assignment.partition, assignment.position)

    def _check_open(self) -> None:
        if self._closed:
            raise BusError("the bus is closed", where=self._cluster.url)
