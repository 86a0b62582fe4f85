"""What every bus does. `tests/unit/bus/contract.py` states the promises as tests; both buses run it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

from riskwire.pipeline import Topic

UNBOUNDED = frozenset({Topic.COMMANDS})
"""Topics that nobody waits for room on: people write them, few records each time, and whoever decides something is not
to wait for a group that waits for others (history, while infer is behind)."""


@dataclass(frozen=True, slots=True)
class Message:
    """A record as it stands on a partition."""

    topic: str
    partition: int
    offset: int
    key: str | None
    value: bytes

    @property
    def where(self) -> str:
        """Its place, as error messages name it."""
        return f"{self.topic}[{self.partition}]@{self.offset}"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to publish; without a `partition` the key decides."""

    topic: str
    key: str | None
    value: bytes
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a group is behind on one partition, and the offset up to which it has read."""

    group: str
    topic: str
    partition: int
    records: int
    position: int = 0


class Assignment(Protocol):
    """One input partition that is this worker's alone until it is revoked."""

    @property
    def topic(self) -> str: ...

    @property
    def partition(self) -> int: ...

    @property
    def position(self) -> int | None:
        """Where the last step left reading; None before `restore` or the first `fetch`."""
        ...

    async def restore(self) -> dict[str, bytes]:
        """The state of the last committed step; also puts the read position back to it."""
        ...

    async def fetch(self, most: int, wait_s: float) -> Sequence[Message]:
        """The next records in order, at most `most`; empty when none came within `wait_s` or it was revoked."""
        ...

    async def commit(self, position: int, results: Sequence[Outgoing], state: Mapping[str, bytes | None]) -> None:
        """One atomic step: publish `results`, change `state` (None deletes a key), move the position to `position`
        (the offset of the next record to read; reading goes on there, or where it already is beyond). Waits while a
        topic of `results` has no room.

        Raises:
            BusError: revoked, closed or failed; nothing of the step has happened, or else the message says it may have.
            SchemaError: a result cannot stand on its topic (no such topic, partition or key); nothing has happened.
        """
        ...

    @property
    def revoked(self) -> bool:
        """True once the partition is someone else's; `fetch` then returns nothing and `commit` fails."""
        ...


class Publisher(Protocol):
    """Writes without reading (ingest, replay), with a state of its own under the same atomic promise."""

    async def restore(self) -> dict[str, bytes]:
        """The state of the last step."""
        ...

    async def publish(self, results: Sequence[Outgoing], state: Mapping[str, bytes | None]) -> None:
        """Publish and change the state in one atomic step; waits while a topic of `results` has no room (those that are
        `UNBOUNDED` always have).

        Raises:
            BusError: fenced, closed or failed; nothing of the step has happened, or else the message says it may have.
            SchemaError: a result cannot stand on its topic; nothing of the step has happened.
        """
        ...


class Bus(Protocol):
    """Topics with partitions, and groups with positions."""

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""
        ...

    def assignments(self, group: str, topic: str) -> AsyncIterator[Assignment]:
        """Join a group on a topic; yields each partition as it is assigned, until the bus is closed."""
        ...

    def publisher(self, name: str) -> AbstractAsyncContextManager[Publisher]:
        """A publisher of that name; a second one of the same name fences the first."""
        ...

    async def kept(self, name: str) -> dict[str, bytes]:
        """The state of a publisher's last step, read without taking its name over; empty where there is none."""
        ...

    async def kept_by(self, group: str, topic: str, prefix: str) -> dict[str, bytes]:
        """What the tasks of a group keep under keys of one prefix, as of their last steps, over all partitions of the
        topic they read; read without joining (tools)."""
        ...

    async def records(self) -> dict[str, int]:
        """Records ever published, per topic."""
        ...

    async def ends(self, topic: str) -> list[int]:
        """The offset that the next record of each partition of a topic gets."""
        ...

    async def lag(self) -> list[Lag]:
        """How far every group is behind on every partition it reads."""
        ...

    async def read(self, topic: str, partition: int, start: int, most: int) -> Sequence[Message]:
        """Records of a partition from offset `start` on, outside any group (tests, tools)."""
        ...

    async def close(self) -> None:
        """Let go of everything; iterators end, fetches return empty."""
        ...


def behind(lags: Iterable[Lag]) -> dict[str, int]:
    """How many records each group is behind, over all its partitions."""
    total: dict[str, int] = {}
    for lag in lags:
        total[lag.group] = total.get(lag.group, 0) + lag.records
    return total


def behind_by_partition(lags: Iterable[Lag]) -> dict[str, dict[str, dict[int, int]]]:
    """How many records each group is behind, by topic and partition."""
    found: dict[str, dict[str, dict[int, int]]] = {}
    for lag in lags:
        found.setdefault(lag.group, {}).setdefault(lag.topic, {})[lag.partition] = lag.records
    return found


def partition_of(key: str, partitions: int) -> int:
    """The partition of a key: stable over runs and machines."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big") % partitions


def broadcast(topic: str, value: bytes, partitions: int) -> Iterable[Outgoing]:
    """The same record on every partition of a topic: how time is told."""
    return (Outgoing(topic, None, value, partition) for partition in range(partitions))
