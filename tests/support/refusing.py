"""A real bus that refuses a step for a size, as brokers do whose topics take less than riskwire's settings say."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from riskwire.bus import Assignment, Bus, Outgoing, Publisher
from riskwire.errors import TooLargeError

STATE = "state"
"""Among the bounds: of what a step changes in the state."""
REFUSED = "the brokers refuse a record for its size"


class RefusingBus:
    """The bus itself, but for the steps of its assignments.

    Args:
        most: largest record by topic, in bytes; `STATE` for an entry of state. Others are not bounded.
    """

    def __init__(self, bus: Bus, most: Mapping[str, int]) -> None:
        self._bus = bus
        self.most = dict(most)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    async def assignments(self, group: str, topic: str) -> AsyncIterator[Assignment]:
        async for assignment in self._bus.assignments(group, topic):
            yield RefusingAssignment(assignment, self.most)

    @asynccontextmanager
    async def publisher(self, name: str) -> AsyncIterator[Publisher]:
        async with self._bus.publisher(name) as publisher:
            yield RefusingPublisher(publisher, self.most)


class RefusingAssignment:
    """An assignment whose steps are taken whole or refused whole."""

    def __init__(self, assignment: Any, most: Mapping[str, int]) -> None:
        self._assignment = assignment
        self._most = most
        self.refused = 0
        """Steps."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._assignment, name)

    async def commit(self, position: int, results: Sequence[Outgoing], state: Mapping[str, bytes | None]) -> None:
        """One step, unless something in it is too large."""
        if _is_too_large(results, state, self._most):
            self.refused += 1
            raise TooLargeError(REFUSED)
        await self._assignment.commit(position, results, state)


class RefusingPublisher:
    """A publisher whose steps are taken whole or refused whole."""

    def __init__(self, publisher: Any, most: Mapping[str, int]) -> None:
        self._publisher = publisher
        self._most = most

    def __getattr__(self, name: str) -> Any:
        return getattr(self._publisher, name)

    async def publish(self, results: Sequence[Outgoing], state: Mapping[str, bytes | None]) -> None:
        """One step, unless something in it is too large."""
        if _is_too_large(results, state, self._most):
            raise TooLargeError(REFUSED)
        await self._publisher.publish(results, state)


def _is_too_large(results: Sequence[Outgoing], state: Mapping[str, bytes | None], most: Mapping[str, int]) -> bool:
    sizes = [(str(result.topic), len(result.key or "") + len(result.value)) for result in results]
    sizes += [(STATE, len(key) + len(value or b"")) for key, value in state.items()]
    return any(size > most.get(topic, size) for topic, size in sizes)
