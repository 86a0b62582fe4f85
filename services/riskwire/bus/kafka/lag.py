"""The lag of every group, and the backpressure on publishers that follows from it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import structlog
from aiokafka import TopicPartition

from riskwire import metrics
from riskwire.bus.kafka.cluster import PUBLISHERS, Cluster
from riskwire.bus.kafka.log import Log, label
from riskwire.bus.kafka.metadata import ClusterMetadata
from riskwire.bus.protocol import Lag, lag_by_group

log = structlog.get_logger(__name__)

EXACT_WITHIN = 256
"""A lag of up to this many offsets is counted record by record. A larger one includes the markers of transactions."""

_COUNT_S = 1.0
_POLL_S = 0.25
_STALE_S = 1.0
_WARN_AFTER_S = 30.0


class LocalPosition(NamedTuple):
    """A position of a partition that this process owns; None before the first fetch."""

    group: str
    topic: str
    partition: int
    position: int | None


class LagReader:
    """Reads the lag of every group that has a changelog. Other groups on the cluster are not riskwire's.

    Args:
        local_positions: the positions of this process. They may be newer than what the cluster answers.
    """

    def __init__(
        self,
        cluster: Cluster,
        log_: Log,
        metadata: ClusterMetadata,
        local_positions: Callable[[], Iterable[LocalPosition]],
    ) -> None:
        """Keeps its sources; asks nothing yet.

        Args:
            cluster: gives the partitions in use and the names on Kafka.
            log_: reads records and end offsets.
            metadata: reads topics and committed positions.
            local_positions: returns the positions of the partitions that this process owns.
        """
        self._cluster = cluster
        self._log = log_
        self._metadata = metadata
        self._local_positions = local_positions

    async def lag(self, topics: Iterable[str] | None = None) -> list[Lag]:
        """Returns the lag (unread records) of every group on some topics; None for all.

        Positions are read before end offsets. So if no group has lag, no step was under way when they were read.
        A gap of up to `EXACT_WITHIN` offsets is read and its records are counted, without markers of transactions.

        Raises:
            BusError: the cluster does not answer within the deadline, or the bus is closed.
        """
        wanted_topics = set(self._cluster.partitions if topics is None else map(str, topics))
        positions = {
            owned: position for owned, position in (await self._positions()).items() if owned[1] in wanted_topics
        }
        sources = {
            (topic, partition): TopicPartition(self._cluster.name(topic), partition)
            for _, topic, partition in positions
        }
        ends = await self._log.ends(sources.values())
        spans: dict[TopicPartition, tuple[int, int]] = {}
        for (_, topic, partition), position in positions.items():
            source = sources[topic, partition]
            if 0 < ends[source] - position <= EXACT_WITHIN:
                start = min(position, spans[source][0]) if source in spans else position
                spans[source] = (start, ends[source])
        offsets = await self._log.record_offsets(spans, _COUNT_S)
        return [
            Lag(group, topic, partition, _unread(position, source, ends, offsets), position, ends[source])
            for (group, topic, partition), position in sorted(positions.items())
            if (source := sources[topic, partition])
        ]

    async def slowest(self, topic: str) -> tuple[int, str]:
        """Returns the largest lag of a group on a topic in records, and that group; 0 and "" if no group reads it."""
        lags = lag_by_group(await self.lag([topic]))
        return max(((records, group) for group, records in lags.items()), default=(0, ""))

    async def _positions(self) -> dict[tuple[str, str, int], int]:
        """Returns the committed position of each (group, topic, partition): the offset of its next record to read.

        A group counts if it has a changelog (`<group>-state`). Names are without the prefix. For a partition that this
        process owns, the local position counts if it is larger than Kafka's; partitions not in use are left out.
        """
        prefix = self._cluster.settings.prefix
        names = [name.removeprefix(prefix) for name in await self._metadata.topics() if name.startswith(prefix)]
        groups = sorted({name.removesuffix("-state") for name in names if name.endswith("-state")} - {PUBLISHERS})
        # Taken before the cluster is asked: a step that ends during the request would be missed otherwise.
        local_positions = list(self._local_positions())
        answers = await asyncio.gather(*(self._metadata.positions(group) for group in groups))
        positions: dict[tuple[str, str, int], int] = {}
        for group, committed_positions in zip(groups, answers, strict=True):
            for (topic, partition), committed in committed_positions.items():
                if 0 <= partition < self._cluster.partitions.get(topic, 0):
                    positions[group, topic, partition] = committed.offset
        for group, topic, partition, position in local_positions:
            owned = (group, topic, partition)
            positions[owned] = max(position or 0, positions.get(owned, 0))
        return positions


def _unread(
    position: int, source: TopicPartition, ends: Mapping[TopicPartition, int], offsets: Mapping[str, list[int]]
) -> int:
    """Returns how many records of a partition a group has not read yet.

    Kafka's offsets also count markers of transactions. A large gap is taken as it is; a small one is counted exactly.

    Args:
        position: the offset of the group's next record.
        ends: the end offset of each partition.
        offsets: the offsets of the records near the end of each partition, by `topic-partition`.
    """
    gap = max(0, ends[source] - position)
    if gap > EXACT_WITHIN:
        return gap
    return sum(offset >= position for offset in offsets.get(label(source), ()))


class Backpressure:
    """Makes a publisher wait while a group has more than `bus.backlog` unread records on a topic it writes to."""

    def __init__(self, lag: LagReader, backlog: int, check_open: Callable[[], None]) -> None:
        """Keeps the limit; knows no lag yet.

        Args:
            backlog: most unread records of a topic, for its slowest group.
            check_open: raises a `BusError` if the bus is closed.
        """
        self._lag = lag
        self._backlog = backlog
        self._check_open = check_open
        self._unread: dict[str, tuple[float, int]] = {}
        """By topic: when its lag was read, and an upper bound of the lag since then, with the records written since."""

    async def wait(self, counts: Mapping[str, int], check: Callable[[], None]) -> None:
        """Returns once each topic can take `counts` more records. A topic without unread records takes any number.

        Adds the time to the metric of backpressure, and logs one warning for a topic after 30 s.

        Args:
            counts: how many records the publisher wants to write, by topic.
            check: raises if the publisher may not write any more.

        Raises:
            BusError: the bus was closed during the wait, or `check` raised it.
        """
        for topic, records in counts.items():
            waited_s = 0.0
            warned = False
            while not self._fits(topic, records):
                unread, group = await self._lag.slowest(topic)
                self._unread[topic] = (time.monotonic(), unread)
                if self._fits(topic, records):
                    break
                self._check_open()
                check()
                started = time.perf_counter()
                try:
                    await asyncio.sleep(_POLL_S)
                finally:
                    passed_s = time.perf_counter() - started
                    waited_s += passed_s
                    metrics.BACKPRESSURE_SECONDS.labels(topic=topic).inc(passed_s)
                self._unread.pop(topic, None)
                if waited_s > _WARN_AFTER_S and not warned:
                    warned = True
                    log.warning("a publisher waits for a slow group", topic=topic, unread=unread, slowest_group=group)
            self._check_open()
            check()

    def count(self, counts: Mapping[str, int]) -> None:
        """Adds published records, by topic, to the lags last read, so that `wait` need not read them again at once.

        Topics whose lag was not read are left out.
        """
        for topic, records in counts.items():
            if topic in self._unread:
                read_at, unread = self._unread[topic]
                self._unread[topic] = (read_at, unread + records)

    def _fits(self, topic: str, records: int) -> bool:
        """Returns whether a topic certainly has space for this many records more, without asking the brokers.

        False if its lag was not read within the last `_STALE_S`: then the caller must read it.
        """
        read_at, unread = self._unread.get(topic, (float("-inf"), 0))
        if time.monotonic() - read_at > _STALE_S:
            return False
        return unread == 0 or unread + records <= self._backlog
