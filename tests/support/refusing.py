"""A real bus that refuses a step for a size, as brokers do whose topics take less than riskwire's settings say."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from riskwire.bus import Assignment, Bus, Outgoing
from riskwire.errors import TooLargeError

STATE = "state"
"""Among the bounds: of what a step changes in the state."""


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


class RefusingAssignment:
    """An assignment whose steps are taken whole or refused whole."""

    def __init__(self, assignment: Any, most: Mapping[str, int]) -> None:
        self._assignment = assignment
        self._most = most

    def __getattr__(self, name: str) -> Any:
        return getattr(self._assignment, name)

    async def commit(self, position: int, results: Sequence[Outgoing], state: Mapping[str, bytes | None]) -> None:
        """One step, unless something in it is too large."""
        sizes = [(str(result.topic), len(result.key or "") + len(result.value)) for result in results]
        sizes += [(STATE, len(key) + len(value or b"")) for key, value in state.items()]
        if any(size > self._most.get(topic, size) for topic, size in sizes):
            raise TooLargeError("the brokers refuse a record for its size")
        await self._assignment.commit(position, results, state)
