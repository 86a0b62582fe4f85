"""What brokers answer without reading a record: the topics of the cluster, and the committed positions of groups."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from riskwire.bus.kafka.cluster import Cluster
from riskwire.bus.kafka.retry import request
from riskwire.errors import BusError

_CLOSE_S = 5


class CommittedPosition(NamedTuple):
    """A committed position, and the name of the step that committed it."""

    offset: int
    step: str


class ClusterMetadata:
    """Asks the brokers for topics and positions, over one connection."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._admin: Any = None
        self._closed = False

    async def open(self) -> None:
        """Connects to the cluster.

        Raises:
            BusError: the cluster cannot be reached within the deadline.
        """
        self._admin = AIOKafkaAdminClient(**self._cluster.client_options())
        await request(self._cluster, "Kafka cannot be reached", self._admin.start)

    async def topics(self) -> dict[str, int]:
        """Returns the number of partitions of every topic of the cluster, by the name on Kafka.

        Raises:
            BusError: the cluster does not answer within the deadline.
        """

        async def describe() -> dict[str, int]:
            self._check_open()
            return {topic["topic"]: len(topic["partitions"]) for topic in await self._admin.describe_topics()}

        return await request(self._cluster, "the topics cannot be listed", describe)

    async def positions(self, group: str) -> dict[tuple[str, int], CommittedPosition]:
        """Returns the committed positions of a group by (topic, partition); topics by riskwire's names.

        Partitions without a committed position are left out. The result is empty for a group that never committed.

        Raises:
            BusError: the cluster does not answer within the deadline.
        """
        prefix = self._cluster.settings.prefix

        async def list_offsets() -> dict[tuple[str, int], CommittedPosition]:
            """Returns the committed position of the group by (topic, partition); topics by riskwire's names."""
            self._check_open()
            offsets = await self._admin.list_consumer_group_offsets(self._cluster.name(group))
            return {
                (partition.topic.removeprefix(prefix), partition.partition): CommittedPosition(
                    committed.offset, committed.metadata or ""
                )
                for partition, committed in offsets.items()
                if committed.offset >= 0
            }

        return await request(self._cluster, f"the position of {group} cannot be read", list_offsets)

    async def close(self) -> None:
        """Closes the connection, within `_CLOSE_S`. Errors of Kafka and the network are ignored."""
        self._closed = True
        if self._admin is not None:
            with suppress(KafkaError, TimeoutError, OSError):
                async with asyncio.timeout(_CLOSE_S):
                    await self._admin.close()

    def _check_open(self) -> None:
        if self._closed:
            raise BusError("the bus is closed", where=self._cluster.url)
