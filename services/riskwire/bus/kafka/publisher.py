"""Publishers on Kafka: a transactional id by name, and their state in one changelog that they share."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence

from aiokafka import TopicPartition

from riskwire.bus.kafka.cluster import PUBLISHERS, Cluster
from riskwire.bus.kafka.lag import Room
from riskwire.bus.kafka.log import Log
from riskwire.bus.kafka.transactions import Transactions
from riskwire.bus.protocol import WITHOUT_BACKPRESSURE, Outgoing, partition_of
from riskwire.errors import FencedError

_KEY, _STEP = "key", "step"


class KafkaPublisher:
    """The `Publisher` of protocol.py. `<name>/key/…` is its state, `<name>/step` names its last step."""

    def __init__(self, cluster: Cluster, log_: Log, room: Room, name: str) -> None:
        self.revoked = False
        self._cluster = cluster
        self._log = log_
        self._room = room
        self._name = name
        self._transactions = Transactions(cluster, cluster.name(f"publisher-{name}"), self._last_step)
        self._changelog = _changelog(cluster, name)

    async def open(self) -> None:
        """Take the name over from whoever has it."""
        await self._transactions.open()

    def revoke(self) -> None:
        """A newer publisher has the name, or this one has ended."""
        self.revoked = True

    async def restore(self) -> dict[str, bytes]:
        """The state of the last step."""
        self._check()
        state, step = await last_step(self._cluster, self._log, self._name)
        self._transactions.follows(step)
        return state

    async def publish(self, results: Sequence[Outgoing], state: Mapping[str, bytes | None]) -> None:
        """Publish and change the state in one atomic step, once there is room: a topic that some group reads takes
        records up to `bus.backlog` beyond what its slowest group has read, unless it is `WITHOUT_BACKPRESSURE`.

        Raises:
            BusError: fenced, closed or failed; nothing of the step has happened, or else the message says it may have.
            SchemaError: a result cannot stand on its topic; nothing of the step has happened.
        """
        self._check()
        partition, step = self._changelog.partition, uuid.uuid4().hex
        records = [self._cluster.record(result) for result in results]
        records += [
            self._cluster.state_record(PUBLISHERS, partition, f"{self._name}/{_KEY}/", key, value)
            for key, value in state.items()
        ]
        if not records:
            return
        records.append(self._cluster.state_record(PUBLISHERS, partition, f"{self._name}/", _STEP, step.encode()))
        counts = Counter(str(result.topic) for result in results if result.topic not in WITHOUT_BACKPRESSURE)
        await self._room.wait(counts, self._check)

        try:
            await self._transactions.take(step, records)
        except FencedError:
            self.revoke()
            raise
        finally:  # also where it was cancelled and may have happened
            self._room.wrote(counts)

    async def close(self) -> None:
        """End the step under way and let the name go."""
        self.revoke()
        await self._transactions.close()

    async def _last_step(self) -> str | None:
        return (await last_step(self._cluster, self._log, self._name))[1]

    def _check(self) -> None:
        if self.revoked:
            raise FencedError(
                f"another publisher has the name {self._name}, or this one is closed", where=self._cluster.url
            )


async def last_step(cluster: Cluster, log_: Log, name: str) -> tuple[dict[str, bytes], str | None]:
    """The state of a publisher's last step, and what that step was called.

    Raises:
        BusError: the changelog cannot be read.
    """
    kept = await log_.latest([_changelog(cluster, name)], f"{name}/", "")
    state = {key.removeprefix(f"{_KEY}/"): value for key, value in kept.items() if key.startswith(f"{_KEY}/")}
    step = kept.get(_STEP)
    return state, None if step is None else step.decode()


def _changelog(cluster: Cluster, name: str) -> TopicPartition:
    return TopicPartition(cluster.state_of(PUBLISHERS), partition_of(name, cluster.count(f"{PUBLISHERS}-state")))
