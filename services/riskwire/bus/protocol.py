"""The interface of every bus. `tests/unit/bus/*contract.py` state its promises as tests; both buses run them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, Protocol

from riskwire.pipeline import TOPICS

WITHOUT_BACKPRESSURE: Final = frozenset(spec.topic for spec in TOPICS.values() if not spec.backpressure)
"""The topics on which a publisher never waits for the groups that read them."""


@dataclass(frozen=True, slots=True)
class Message:
    """A record as read from a partition.

    Attributes:
        written_at: Unix time at which it was written, for tools; None if it is unknown. Stages do not look at it:
            their time is that of the records.
    """

    topic: str
    partition: int
    offset: int
    key: str | None
    value: bytes
    written_at: float | None = field(default=None, compare=False)

    @property
    def where(self) -> str:
        """Topic, partition and offset, in the form that error messages use."""
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
    """The records of one partition that a group has not read yet, and the group's committed position.

    Attributes:
        end: the offset of the next record of the partition; None if it is `position + records`, without gaps between.
    """

    group: str
    topic: str
    partition: int
    records: int
    position: int = 0
    end: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class PartitionActivity:
    """When a worker was last active on a partition that it owns.

    Attributes:
        active_at: when it last fetched, read state or ended a step (`time.monotonic()`).
    """

    topic: str
    partition: int
    active_at: float


@dataclass(frozen=True, slots=True)
class Membership:
    """The place of this process in a group.

    Attributes:
        outside_since: since when this process has been waiting to become a member (`time.monotonic()`), counted from
            the opening of the bus if it never asked to join; None while it is a member, with or without partitions.
        partitions: the partitions that this process owns.
    """

    outside_since: float | None
    partitions: tuple[PartitionActivity, ...]


class Assignment(Protocol):
    """One input partition that this worker owns until it is revoked."""

    @property
    def topic(self) -> str: ...

    @property
    def partition(self) -> int: ...

    @property
    def position(self) -> int | None:
        """The committed position; None before `restore` or the first `fetch`."""
        ...

    async def restore(self) -> dict[str, bytes]:
        """Returns the state of the last committed step, and resets the read position to that step."""
        ...

    async def fetch(self, max_records: int, timeout_s: float) -> Sequence[Message]:
        """Returns the next records in order; none if none arrived within `timeout_s` or the partition was revoked."""
        ...

    async def commit(self, position: int, results: Sequence[Outgoing], state: Mapping[str, bytes | None]) -> None:
        """Publishes results, changes the state and moves the position in one atomic step.

        Waits while a group lags too far behind on a topic of `results` (backpressure). The next `fetch` continues at
        `position`, or further on if the worker has already read further.

        Args:
            position: the offset of the next record to read.
            results: the records to publish.
            state: the new value of each changed key; None deletes the key.

        Raises:
            BusError: the partition was revoked, the bus is closed, or the write failed. The step had no effect, unless
                the text of the error says that it may have.
            SchemaError: a result has no valid topic, partition or key. The step had no effect.
        """
        ...

    @property
    def revoked(self) -> bool:
        """True once this worker has lost the partition; then `fetch` returns nothing and `commit` fails."""
        ...


class Publisher(Protocol):
    """Writes without reading (ingest, replay) and has its own state, under the same atomic promise."""

    async def restore(self) -> dict[str, bytes]:
        """Returns the state of the last committed step."""
        ...

    async def publish(self, results: Sequence[Outgoing], state: Mapping[str, bytes | None]) -> None:
        """Publishes results and changes the publisher's state in one atomic step.

        Waits while a topic of `results` has unread records that together with the new ones exceed `bus.backlog`; the
        slowest group counts. Topics in `WITHOUT_BACKPRESSURE` have no such limit.

        Args:
            results: the records to publish.
            state: the new value of each changed key; None deletes the key.

        Raises:
            BusError: the bus is closed, the write failed, or a newer publisher of this name has taken over (fenced).
                The step had no effect, unless the text of the error says that it may have.
            SchemaError: a result has no valid topic, partition or key. The step had no effect.
        """
        ...


class Bus(Protocol):
    """Topics with partitions, and consumer groups with positions."""

    def partitions(self, topic: str) -> int:
        """Returns the number of partitions of a topic."""
        ...

    def assignments(self, group: str, topic: str) -> AsyncIterator[Assignment]:
        """Joins a group on a topic; yields each partition as it is assigned, until the bus is closed."""
        ...

    def publisher(self, name: str) -> AbstractAsyncContextManager[Publisher]:
        """Opens the publisher of a name. A second one of the same name fences the first."""
        ...

    async def publisher_state(self, name: str) -> dict[str, bytes]:
        """Returns the committed state of a publisher without fencing it; empty if it has none."""
        ...

    async def group_state(self, group: str, topic: str, prefix: str) -> dict[str, bytes]:
        """Returns the committed state of a group: value by key, of the keys that start with `prefix`.

        The states of all partitions of `topic`, an input of the group, are merged. Does not join the group. For tools.
        """
        ...

    async def records(self) -> dict[str, int]:
        """Returns the number of records ever published, by topic."""
        ...

    async def ends(self, topic: str) -> list[int]:
        """Returns the end offset of each partition of a topic: the offset of its next record."""
        ...

    async def lag(self) -> list[Lag]:
        """Returns the lag of every group on every partition that it reads."""
        ...

    async def lag_of_waiting_stage(self, group: str) -> list[Lag]:
        """Returns the same as `lag`: of every group. The call counts as activity of `group`.

        For a stage that waits on purpose in the middle of a step, until other groups have read far enough. Without
        activity, such a stage would be taken for a stuck one.

        Raises:
            BusError: this process owns no partition of the group any more, so the step could not be committed.
        """
        ...

    def membership(self, group: str) -> Membership:
        """Returns whether this process is a member of a group, and its activity on each partition."""
        ...

    async def reach(self, timeout_s: float) -> None:
        """Returns if the bus answers a small request.

        Raises:
            BusError: it fails, or does not answer within `timeout_s`.
        """
        ...

    async def read(self, topic: str, partition: int, start: int, max_records: int) -> Sequence[Message]:
        """Returns records of a partition from offset `start` on, outside any group. For tools and tests."""
        ...

    async def close(self) -> None:
        """Ends all iterators and fetches, and closes every connection."""
        ...


def lag_by_group(lags: Iterable[Lag]) -> dict[str, int]:
    """Returns the lag of each group in records, over all its partitions."""
    totals: dict[str, int] = {}
    for lag in lags:
        totals[lag.group] = totals.get(lag.group, 0) + lag.records
    return totals


def lag_by_partition(lags: Iterable[Lag]) -> dict[str, dict[str, dict[int, int]]]:
    """Returns the lag in records as a nested mapping: group, then topic, then partition."""
    groups: dict[str, dict[str, dict[int, int]]] = {}
    for lag in lags:
        groups.setdefault(lag.group, {}).setdefault(lag.topic, {})[lag.partition] = lag.records
    return groups


def partition_of(key: str, partitions: int) -> int:
    """Returns the partition of a key, the same in every run and on every machine."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big") % partitions


def broadcast(topic: str, value: bytes, partitions: int) -> Iterable[Outgoing]:
    """Returns the same record for every partition of a topic, as ticks and marks need it."""
    return (Outgoing(topic, None, value, partition) for partition in range(partitions))
