"""The clients of the embedded bus: assignments of a worker, and publishers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from riskwire.bus.embedded import ledger
from riskwire.bus.embedded.connection import Connection
from riskwire.bus.embedded.file_state import FileState
from riskwire.bus.embedded.ledger import Owner
from riskwire.bus.embedded.steps import Steps
from riskwire.bus.protocol import Message, Outgoing
from riskwire.errors import BusError, FencedError


class EmbeddedPublisher:
    """The `Publisher` of protocol.py."""

    def __init__(
        self, owner: Owner, steps: Steps, reader: Connection, file_state: FileState, is_read: Callable[[str], bool]
    ) -> None:
        """Makes a publisher that has joined already.

        Args:
            owner: its name and epoch in the file.
            steps: commits its steps.
            is_read: whether a stage of this process reads a topic.
        """
        self.owner = owner
        self.revoked = False
        self._steps = steps
        self._reader = reader
        self._file_state = file_state
        self._is_read = is_read

    def revoke(self) -> None:
        """Marks this publisher as replaced by another of its name, or as ended."""
        self.revoked = True
        self._file_state.space.wake_all()

    async def restore(self) -> dict[str, bytes]:
        """Returns the state of the last committed step: value by key.

        Raises:
            FencedError: a newer publisher has this name.
            BusError: the bus is closed, or the file cannot be read.
        """
        _, state = await self._reader.run(ledger.restore, self.owner)
        return state

    async def publish(self, results: Sequence[Outgoing], state: Mapping[str, bytes | None]) -> None:
        """Publishes and changes the state in one atomic step; waits for space first (`EmbeddedBus.publisher`).

        Args:
            state: the new value of each changed key; None deletes the key.

        Raises:
            BusError: fenced, closed or failed; the step had no effect.
            SchemaError: a result does not fit its topic; the step had no effect.
        """
        await self._steps.take(self, None, results, state, self._is_read)


class EmbeddedAssignment:
    """The `Assignment` of protocol.py."""

    def __init__(
        self, topic: str, partition: int, owner: Owner, steps: Steps, reader: Connection, file_state: FileState
    ) -> None:
        """Makes an assignment of a partition that this process has taken over; reads nothing yet.

        Args:
            owner: the group on this partition, its epoch, and the number of the partition in the file (slot).
            steps: commits its steps.
        """
        self.topic = topic
        self.partition = partition
        self.owner = owner
        self._revoked = False
        self._steps = steps
        self._reader = reader
        self._file_state = file_state
        self._next: int | None = None
        """The offset that `fetch` reads next; None before `restore` or the first `fetch`."""
        self.position: int | None = None
        """The committed position; None before `restore` or the first `fetch`."""
        self.active_at = time.monotonic()
        """When this worker last fetched, restored or committed."""

    @property
    def revoked(self) -> bool:
        """True once another worker has the partition or the bus is closed."""
        return self._revoked or self._file_state.closed

    def revoke(self) -> None:
        """Gives up the partition. Wakes the tasks that wait for its records, or for space to write."""
        self._revoked = True
        self._file_state.arrivals.wake(self.owner.slot)
        self._file_state.space.wake_all()

    def note_activity(self) -> None:
        """Notes that the worker is active now."""
        self.active_at = time.monotonic()

    async def restore(self) -> dict[str, bytes]:
        """Returns the state of the last committed step (value by key), and moves the read position back to that step.

        Raises:
            FencedError: another worker has taken over; the assignment is revoked.
            BusError: the bus is closed, or the file cannot be read.
        """
        try:
            self._next, state = await self._reader.run(ledger.restore, self.owner)
            self.position = self._next
            self.note_activity()
        except FencedError:
            self.revoke()
            raise
        return state

    async def fetch(self, max_records: int, timeout_s: float) -> Sequence[Message]:
        """Returns the next records in order, at most `max_records`. The first call reads the committed position.

        Returns nothing when no record came within `timeout_s`, or the assignment was revoked.

        Raises:
            BusError: the file cannot be read, or records are missing from it.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        try:
            if self._next is None:
                await self.restore()
            while not self.revoked:
                wakeup = self._file_state.arrivals.subscribe(self.owner.slot)
                self.note_activity()
                start = self._next or 0
                if start < self._file_state.end(self.owner.slot):
                    batch = await self._reader.run(
                        ledger.fetch, self.topic, self.partition, self.owner.slot, start, max_records
                    )
                    if start == self._next and not self.revoked:  # else `restore` or `commit` moved it meanwhile
                        return self._read(start, batch)
                elif self._file_state.failure is not None:
                    self._file_state.check()
                elif not await wakeup.wait(deadline - loop.time()):
                    return ()
        except BusError:
            if not self.revoked:
                raise
        return ()

    def _read(self, start: int, batch: Sequence[Message]) -> Sequence[Message]:
        """Returns a batch read from offset `start`, and moves the read position after it.

        Raises:
            BusError: the batch is empty, or an offset is missing from it.
        """
        for offset, message in enumerate(batch, start):
            if message.offset != offset:
                raise BusError(f"records are missing before {message.where}", where=str(self._file_state.path))
        if not batch:
            raise BusError(f"records are missing from {self.topic}[{self.partition}]@{start}")
        self._next = start + len(batch)
        return batch

    async def commit(self, position: int, results: Sequence[Outgoing], state: Mapping[str, bytes | None]) -> None:
        """Publishes results, changes the state and moves the position in one atomic step; waits for space first.

        The next `fetch` reads from `position`, or from where it has already read on.

        Args:
            position: the offset of the next record to read.
            state: the new value of each changed key; None deletes the key.

        Raises:
            BusError: revoked, closed or failed; the step had no effect.
            SchemaError: a result does not fit its topic; the step had no effect.
        """
        await self._steps.take(self, position, results, state)
        self._next = max(position, self._next or 0)
        self.position = position
        self.note_activity()


class EmbeddedAssignments:
    """The partitions of a worker, as they are assigned.

    An iterator and not a generator: a generator that is dropped unfinished would give up its partitions.
    """

    def __init__(
        self,
        group: str,
        topic: str,
        file_state: FileState,
        join: Callable[[EmbeddedAssignments], Awaitable[list[EmbeddedAssignment]]],
    ) -> None:
        """Makes the iterator; the group is joined when the first partition is asked for.

        Args:
            join: joins the group for this iterator. Returns one assignment for each partition of the topic.
        """
        self.group = group
        self.topic = topic
        self.assigned: list[EmbeddedAssignment] = []
        self._file_state = file_state
        self._join = join
        self._joined = False
        self._pending: list[EmbeddedAssignment] = []
        self._ended = asyncio.Event()
        self.ended_at: float | None = None
        """When another worker took over (`time.monotonic()`); None while this one owns the partitions."""

    @property
    def ended(self) -> bool:
        """True once the bus is closed or another worker has taken over."""
        return self._ended.is_set()

    def __aiter__(self) -> EmbeddedAssignments:
        return self

    async def __anext__(self) -> EmbeddedAssignment:
        """Returns the next partition that this process owns. Joins the group on the first call.

        After the last partition, waits until the iterator ends. Then leaves out those not returned yet.

        Raises:
            StopAsyncIteration: the bus is closed, or another worker has taken over.
            BusError: the group cannot be joined.
        """
        if not self._joined and not self._file_state.closed:
            self._joined = True
            try:
                self.assigned = await self._join(self)
            except BusError:
                if not self._file_state.closed:
                    raise
            self._pending = list(self.assigned)
        if not self._pending and not self._file_state.closed:
            await self._ended.wait()
        if self.ended or self._file_state.closed:
            raise StopAsyncIteration
        return self._pending.pop(0)

    def end(self) -> None:
        """Gives up every partition: the bus is closed or another worker has joined. `ended_at` is set only once."""
        self._ended.set()
        self.ended_at = self.ended_at or time.monotonic()
        for assignment in self.assigned:
            assignment.revoke()
