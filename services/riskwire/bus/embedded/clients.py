"""Who uses the embedded bus: a worker with its assignments, and publishers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from riskwire.bus.embedded import ledger
from riskwire.bus.embedded.connection import Connection
from riskwire.bus.embedded.file_state import Watch
from riskwire.bus.embedded.ledger import Owner
from riskwire.bus.embedded.steps import Steps
from riskwire.bus.protocol import Message, Outgoing
from riskwire.errors import BusError, FencedError


class EmbeddedPublisher:
    """The `Publisher` of protocol.py."""

    def __init__(
        self, owner: Owner, steps: Steps, reader: Connection, watch: Watch, is_read: Callable[[str], bool]
    ) -> None:
        self.owner = owner
        self.revoked = False
        self._steps = steps
        self._reader = reader
        self._watch = watch
        self._is_read = is_read

    def revoke(self) -> None:
        """Another publisher has taken the name, or this one has ended."""
        self.revoked = True
        self._watch.room.ring_all()

    async def restore(self) -> dict[str, bytes]:
        """The state of the last step.

        Raises:
            BusError: a newer publisher has this name, or the bus is closed.
        """
        _, state = await self._reader.run(ledger.restore, self.owner)
        return state

    async def publish(self, results: Sequence[Outgoing], state: Mapping[str, bytes | None]) -> None:
        """Publish and change the state in one atomic step, once there is room (`EmbeddedBus.publisher`).

        Raises:
            BusError: fenced, closed or failed; nothing of the step has happened.
            SchemaError: a result cannot stand on its topic; nothing of the step has happened.
        """
        await self._steps.take(self, None, results, state, self._is_read)


class EmbeddedAssignment:
    """The `Assignment` of protocol.py."""

    def __init__(
        self, topic: str, partition: int, owner: Owner, steps: Steps, reader: Connection, watch: Watch
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.owner = owner
        self._revoked = False
        self._steps = steps
        self._reader = reader
        self._watch = watch
        self._next: int | None = None
        self.position: int | None = None
        """Where the last step left reading; None before `restore` or the first `fetch`."""

    @property
    def revoked(self) -> bool:
        """True once another worker has the partition or the bus is closed."""
        return self._revoked or self._watch.closed

    def revoke(self) -> None:
        """The partition is someone else's now."""
        self._revoked = True
        self._watch.arrivals.ring(self.owner.slot)
        self._watch.room.ring_all()

    async def restore(self) -> dict[str, bytes]:
        """The state of the last committed step; also puts the read position back to it.

        Raises:
            BusError: it was revoked, or the bus is closed.
        """
        try:
            self._next, state = await self._reader.run(ledger.restore, self.owner)
            self.position = self._next
        except FencedError:
            self.revoke()
            raise
        return state

    async def fetch(self, most: int, wait_s: float) -> Sequence[Message]:
        """The next records in order, at most `most`; empty when none came within `wait_s` or it was revoked.

        Raises:
            BusError: the file cannot be read, or records are missing from it.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        try:
            if self._next is None:
                await self.restore()
            while not self.revoked:
                bell = self._watch.arrivals.listen(self.owner.slot)
                start = self._next or 0
                if start < self._watch.end(self.owner.slot):
                    batch = await self._reader.run(
                        ledger.fetch, self.topic, self.partition, self.owner.slot, start, most
                    )
                    if start == self._next and not self.revoked:
                        return self._read(start, batch)
                elif self._watch.failure is not None:
                    self._watch.check()
                elif not await bell.wait(deadline - loop.time()):
                    return ()
        except BusError:
            if not self.revoked:
                raise
        return ()

    def _read(self, start: int, batch: Sequence[Message]) -> Sequence[Message]:
        for offset, message in enumerate(batch, start):
            if message.offset != offset:
                raise BusError(f"records are missing before {message.where}", where=str(self._watch.path))
        if not batch:
            raise BusError(f"records are missing from {self.topic}[{self.partition}]@{start}")
        self._next = start + len(batch)
        return batch

    async def commit(self, position: int, results: Sequence[Outgoing], state: Mapping[str, bytes | None]) -> None:
        """One atomic step, once there is room; reading goes on at `position` or where it already is beyond.

        Raises:
            BusError: revoked, closed or failed; nothing of the step has happened.
            SchemaError: a result cannot stand on its topic; nothing of the step has happened.
        """
        await self._steps.take(self, position, results, state)
        self._next = max(position, self._next or 0)
        self.position = position


class Assignments:
    """The partitions a worker is given; a plain iterator, so that dropping it unfinished gives up nothing."""

    def __init__(
        self, group: str, topic: str, watch: Watch, join: Callable[[Assignments], Awaitable[list[EmbeddedAssignment]]]
    ) -> None:
        self.group = group
        self.topic = topic
        self.assigned: list[EmbeddedAssignment] = []
        self._watch = watch
        self._join = join
        self._joined = False
        self._pending: list[EmbeddedAssignment] = []
        self._over = asyncio.Event()

    @property
    def ended(self) -> bool:
        """True once the bus is closed or another worker has taken over."""
        return self._over.is_set()

    def __aiter__(self) -> Assignments:
        return self

    async def __anext__(self) -> EmbeddedAssignment:
        if not self._joined and not self._watch.closed:
            self._joined = True
            try:
                self.assigned = await self._join(self)
            except BusError:
                if not self._watch.closed:
                    raise
            self._pending = list(self.assigned)
        if not self._pending and not self._watch.closed:
            await self._over.wait()
        if self.ended or self._watch.closed:
            raise StopAsyncIteration
        return self._pending.pop(0)

    def end(self) -> None:
        """Give up every partition: the bus is closed or another worker has joined."""
        self._over.set()
        for assignment in self.assigned:
            assignment.revoke()
