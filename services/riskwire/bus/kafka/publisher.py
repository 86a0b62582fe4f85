"""Publishers on Kafka: each has a transactional id made of its name, and its state in a changelog that all share."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence

from aiokafka import TopicPartition

from riskwire.bus.kafka.cluster import PUBLISHERS, Cluster
from riskwire.bus.kafka.lag import Backpressure
from riskwire.bus.kafka.log import Log
from riskwire.bus.kafka.transactions import Transactions
from riskwire.bus.protocol import WITHOUT_BACKPRESSURE, Outgoing, partition_of
from riskwire.errors import FencedError

_STATE, _STEP = "key", "step"
"""In the changelog, `<name>/key/…` are the keys of a publisher's state, and `<name>/step` names its last step."""


class KafkaPublisher:
    """The `Publisher` of protocol.py."""

    def __init__(self, cluster: Cluster, log_: Log, backpressure: Backpressure, name: str) -> None:
        """Makes a publisher; `open` connects it.

        Args:
            log_: reads the changelog, which is the topic that keeps the state of all publishers.
            backpressure: makes `publish` wait for slow groups.
        """
        self.revoked = False
        self._cluster = cluster
        self._log = log_
        self._backpressure = backpressure
        self._name = name
        self._transactions = Transactions(cluster, cluster.name(f"publisher-{name}"), self._last_step)
        self._changelog = _changelog_of(cluster, name)

    async def open(self) -> None:
        """Fences the publisher that had the name before."""
        await self._transactions.open()

    def revoke(self) -> None:
        """Marks this publisher as replaced by a newer one of its name, or as closed."""
        self.revoked = True

    async def restore(self) -> dict[str, bytes]:
        """Returns the state of the last committed step: value by key.

        Raises:
            FencedError: another publisher has the name, or this one is closed.
            BusError: the state cannot be read.
        """
        self._check_owned()
        state, step = await read_publisher(self._cluster, self._log, self._name)
        self._transactions.set_last_step(step)
        return state

    async def publish(self, results: Sequence[Outgoing], state: Mapping[str, bytes | None]) -> None:
        """Publishes results and changes the state in one atomic step. Without results and changes, writes nothing.

        Waits first until every topic of `results` has space: what its slowest group has not read and the new records
        are at most `bus.backlog`, or that group has read everything. Topics in `WITHOUT_BACKPRESSURE` have no limit.

        Args:
            state: the new value of each changed key; None deletes the key.

        Raises:
            BusError: fenced, closed or failed. The step had no effect, unless the message says that it may have.
            SchemaError: a result has no valid topic, partition or key. The step had no effect.
        """
        self._check_owned()
        partition, step = self._changelog.partition, uuid.uuid4().hex
        records = [self._cluster.to_record(result) for result in results]
        records += [
            self._cluster.to_state_record(PUBLISHERS, partition, f"{self._name}/{_STATE}/", key, value)
            for key, value in state.items()
        ]
        if not records:
            return
        records.append(self._cluster.to_state_record(PUBLISHERS, partition, f"{self._name}/", _STEP, step.encode()))
        counts = Counter(str(result.topic) for result in results if result.topic not in WITHOUT_BACKPRESSURE)
        await self._backpressure.wait(counts, self._check_owned)

        try:
            await self._transactions.commit_step(step, records)
        except FencedError:
            self.revoke()
            raise
        finally:  # a cancelled step may have happened too
            self._backpressure.count(counts)

    async def close(self) -> None:
        """Ends the step under way and releases the name."""
        self.revoke()
        await self._transactions.close()

    async def _last_step(self) -> str | None:
        return (await read_publisher(self._cluster, self._log, self._name))[1]

    def _check_owned(self) -> None:
        """Raises a `FencedError` if another publisher of this name has taken over, or this one is closed."""
        if self.revoked:
            raise FencedError(
                f"another publisher has the name {self._name}, or this one is closed", where=self._cluster.url
            )


async def read_publisher(cluster: Cluster, log_: Log, name: str) -> tuple[dict[str, bytes], str | None]:
    """Returns the committed state of a publisher (value by key), and the random name of its last step or None.

    Reads them from the topic that keeps the state of all publishers.

    Raises:
        BusError: the changelog cannot be read.
    """
    entries = await log_.latest([_changelog_of(cluster, name)], f"{name}/", "")
    prefix = f"{_STATE}/"
    state = {key.removeprefix(prefix): value for key, value in entries.items() if key.startswith(prefix)}
    step = entries.get(_STEP)
    return state, None if step is None else step.decode()


def _changelog_of(cluster: Cluster, name: str) -> TopicPartition:
    partitions = cluster.partitions_of(f"{PUBLISHERS}-state")
    return TopicPartition(cluster.changelog(PUBLISHERS), partition_of(name, partitions))
