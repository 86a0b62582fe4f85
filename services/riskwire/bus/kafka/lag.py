"""How far groups have read, and how much a topic holds that some group has not: what publishers wait for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import structlog
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from riskwire import metrics
from riskwire.bus.kafka.cluster import PUBLISHERS, Cluster
from riskwire.bus.kafka.log import Log, label
from riskwire.bus.kafka.retry import answered
from riskwire.bus.protocol import Lag
from riskwire.errors import BusError

log = structlog.get_logger(__name__)

EXACT_WITHIN = 256
"""Lag of a partition up to this many offsets is counted record by record; beyond, markers of transactions count too."""

_COUNT_S = 1.0
_ASK_AGAIN_S = 0.25
_STALE_S = 1.0
_TELL_AFTER_S = 30.0

Local = Callable[[], Iterable[tuple[str, str, int, int | None]]]
"""Group, topic, partition, position of what this process itself reads; it knows that before the cluster tells."""


class Committed(NamedTuple):
    """A position, and the name of the step that set it."""

    offset: int
    step: str


class Positions:
    """What the brokers know by heart: which topics there are, and the committed positions of groups."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._admin: Any = None
        self._closed = False

    async def open(self) -> None:
        """Connect."""
        self._admin = AIOKafkaAdminClient(**self._cluster.client())
        await answered(self._cluster, "Kafka cannot be reached", self._admin.start)

    async def topics(self) -> dict[str, int]:
        """Every topic the cluster has now, as Kafka knows it, with its partitions.

        Raises:
            BusError: the cluster does not tell within the deadline.
        """

        async def asked() -> dict[str, int]:
            self._check()
            return {topic["topic"]: len(topic["partitions"]) for topic in await self._admin.describe_topics()}

        return await answered(self._cluster, "the topics cannot be listed", asked)

    async def of(self, group: str) -> dict[tuple[str, int], Committed]:
        """By topic and partition, as riskwire names them; empty for a group that never read.

        Raises:
            BusError: the cluster does not tell within the deadline.
        """
        prefix = self._cluster.settings.prefix

        async def asked() -> dict[tuple[str, int], Committed]:
            self._check()
            found = await self._admin.list_consumer_group_offsets(self._cluster.name(group))
            return {
                (partition.topic.removeprefix(prefix), partition.partition): Committed(
                    committed.offset, committed.metadata or ""
                )
                for partition, committed in found.items()
                if committed.offset >= 0
            }

        return await answered(self._cluster, f"the position of {group} cannot be read", asked)

    async def close(self) -> None:
        """Let the connection go."""
        self._closed = True
        if self._admin is not None:
            with suppress(KafkaError, TimeoutError, OSError):
                async with asyncio.timeout(5):
                    await self._admin.close()

    def _check(self) -> None:
        if self._closed:
            raise BusError("the bus is closed", where=self._cluster.url)


class Survey:
    """Lag of every group that has a changelog: those are riskwire's, whatever else reads the cluster."""

    def __init__(self, cluster: Cluster, log_: Log, positions: Positions, local: Local) -> None:
        self._cluster = cluster
        self._log = log_
        self._positions = positions
        self._local = local

    async def lag(self, topics: Iterable[str] | None = None) -> list[Lag]:
        """How far every group is behind, on some topics or all. Positions are read before ends, so that no lag
        anywhere means that no step was under way when they were read."""
        wanted = set(self._cluster.partitions if topics is None else map(str, topics))
        read = {at: position for at, position in (await self._read()).items() if at[1] in wanted}
        tps = {(topic, p): TopicPartition(self._cluster.name(topic), p) for _, topic, p in read}
        ends = await self._log.ends(tps.values())
        spans: dict[TopicPartition, tuple[int, int]] = {}
        for (_, topic, partition), position in read.items():
            tp = tps[topic, partition]
            if 0 < ends[tp] - position <= EXACT_WITHIN:
                start = min(position, spans[tp][0]) if tp in spans else position
                spans[tp] = (start, ends[tp])
        counted = await self._log.count(spans, _COUNT_S)
        return [
            Lag(group, topic, partition, self._behind(position, tps[topic, partition], ends, counted), position)
            for (group, topic, partition), position in sorted(read.items())
        ]

    async def unread(self, topic: str) -> tuple[int, str]:
        """Records of a topic that its slowest group has not read, and which group that is."""
        behind: dict[str, int] = {}
        for lag in await self.lag([topic]):
            behind[lag.group] = behind.get(lag.group, 0) + lag.records
        return max(((records, group) for group, records in behind.items()), default=(0, ""))

    def _behind(
        self,
        position: int,
        partition: TopicPartition,
        ends: Mapping[TopicPartition, int],
        counted: Mapping[str, list[int]],
    ) -> int:
        gap = max(0, ends[partition] - position)
        if gap > EXACT_WITHIN:
            return gap
        return sum(offset >= position for offset in counted.get(label(partition), ()))

    async def _read(self) -> dict[tuple[str, str, int], int]:
        prefix = self._cluster.settings.prefix
        names = [name.removeprefix(prefix) for name in await self._positions.topics() if name.startswith(prefix)]
        groups = {name.removesuffix("-state") for name in names if name.endswith("-state")} - {PUBLISHERS}
        # Before the cluster is asked: a step that ends meanwhile is then not missed.
        own = [(g, t, p, position or 0) for g, t, p, position in self._local()]
        ordered = sorted(groups)
        found = await asyncio.gather(*(self._positions.of(group) for group in ordered))
        read: dict[tuple[str, str, int], int] = {}
        for group, positions in zip(ordered, found, strict=True):
            for (topic, partition), committed in positions.items():
                if 0 <= partition < self._cluster.partitions.get(topic, 0):
                    read[group, topic, partition] = committed.offset
        for group, topic, partition, position in own:
            at = (group, topic, partition)
            read[at] = max(position, read.get(at, 0))
        return read


class Room:
    """Holds a publisher back while a topic it writes to has more unread than `bus.backlog`."""

    def __init__(self, survey: Survey, backlog: int, check: Callable[[], None]) -> None:
        self._survey = survey
        self._backlog = backlog
        self._check = check
        self._known: dict[str, tuple[float, int]] = {}
        """By topic: when it was asked, and what is unread since then at most, own records included."""

    async def wait(self, counts: Mapping[str, int], check: Callable[[], None]) -> None:
        """Return once there is room for so many records on each topic; one that is empty takes any number.

        Raises:
            BusError: the bus was closed meanwhile, or `check` raised it.
        """
        for topic, records in counts.items():
            waited = 0.0
            told = False
            while not self._fits(topic, records):
                unread, group = await self._survey.unread(topic)
                self._known[topic] = (time.monotonic(), unread)
                if self._fits(topic, records):
                    break
                self._check()
                check()
                started = time.perf_counter()
                try:
                    await asyncio.sleep(_ASK_AGAIN_S)
                finally:
                    passed = time.perf_counter() - started
                    waited += passed
                    metrics.BACKPRESSURE_SECONDS.labels(topic=topic).inc(passed)
                self._known.pop(topic, None)
                if waited > _TELL_AFTER_S and not told:
                    told = True
                    log.warning("waiting for room", topic=topic, unread=unread, slowest_group=group)
            self._check()
            check()

    def wrote(self, counts: Mapping[str, int]) -> None:
        """So many records were published to each topic."""
        for topic, records in counts.items():
            if topic in self._known:
                at, unread = self._known[topic]
                self._known[topic] = (at, unread + records)

    def _fits(self, topic: str, records: int) -> bool:
        at, unread = self._known.get(topic, (float("-inf"), 0))
        if time.monotonic() - at > _STALE_S:
            return False
        return unread == 0 or unread + records <= self._backlog
