"""A real bus that refuses steps for their size, like brokers whose limits are below riskwire's settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from riskwire.bus import Assignment, Bus, Outgoing, Publisher
from riskwire.errors import TooLargeError

STATE = "state"
"""The key of the limit for an entry of state."""
REFUSED = "the brokers refuse a record for its size"


class RefusingBus:
    """A bus whose assignments and publishers refuse a step that contains a record or state entry that is too large.

    Args:
        max_bytes: the largest size of a record, by topic, and of an entry of state, under `STATE`.
    """

    def __init__(self, bus: Bus, max_bytes: Mapping[str, int]) -> None:
        self._bus = bus
        self.max_bytes = dict(max_bytes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    async def assignments(self, group: str, topic: str) -> AsyncIterator[Assignment]:
        async for assignment in self._bus.assignments(group, topic):
            yield RefusingAssignment(assignment, self.max_bytes)

    @asynccontextmanager
    async def publisher(self, name: str) -> AsyncIterator[Publisher]:
        async with self._bus.publisher(name) as publisher:
            yield RefusingPublisher(publisher, self.max_bytes)


class RefusingAssignment:
    """An assignment that refuses steps; `refused` counts them."""

    def __init__(self, assignment: Any, max_bytes: Mapping[str, int]) -> None:
        self._assignment = assignment
        self._max_bytes = max_bytes
        self.refused = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._assignment, name)

    async def commit(self, position: int, results: Sequence[Outgoing], state: Mapping[str, bytes | None]) -> None:
        """Commits a step.

        Raises:
            TooLargeError: a record or state entry is too large; nothing was committed.
        """
        if _is_too_large(results, state, self._max_bytes):
            self.refused += 1
            raise TooLargeError(REFUSED)
        await self._assignment.commit(position, results, state)


class RefusingPublisher:
    """A publisher that refuses steps."""

    def __init__(self, publisher: Any, max_bytes: Mapping[str, int]) -> None:
        self._publisher = publisher
        self._max_bytes = max_bytes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._publisher, name)

    async def publish(self, results: Sequence[Outgoing], state: Mapping[str, bytes | None]) -> None:
        """Publishes a step.

        Raises:
            TooLargeError: a record or state entry is too large; nothing was published.
        """
        if _is_too_large(results, state, self._max_bytes):
            raise TooLargeError(REFUSED)
        await self._publisher.publish(results, state)


def _is_too_large(results: Sequence[Outgoing], state: Mapping[str, bytes | None], max_bytes: Mapping[str, int]) -> bool:
    sizes = [(str(result.topic), len(result.key or "") + len(result.value)) for result in results]
    sizes += [(STATE, len(key) + len(value or b"")) for key, value in state.items()]
    return any(size > max_bytes.get(topic, size) for topic, size in sizes)
