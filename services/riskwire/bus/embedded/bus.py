"""The bus inside one process: a SQLite file, a writer thread and a reader thread.

The newest worker that joins a group gets all partitions of its topic; older workers are fenced, between processes too.
A write of another process is noticed within `POLL_S`; a write of this process wakes its readers at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path

import structlog

from riskwire.bus.embedded import ledger, schema
from riskwire.bus.embedded.clients import EmbeddedAssignment, EmbeddedAssignments, EmbeddedPublisher
from riskwire.bus.embedded.connection import Connection
from riskwire.bus.embedded.file_state import FileState
from riskwire.bus.embedded.steps import Steps
from riskwire.bus.protocol import Lag, Membership, Message, PartitionActivity
from riskwire.errors import BusError
from riskwire.settings import BusSettings

log = structlog.get_logger(__name__)

FILE = "bus.sqlite"
POLL_S = 0.2


class EmbeddedBus:
    """The `Bus` of protocol.py on `<data>/bus.sqlite`. `open` creates it, inside a running event loop."""

    def __init__(
        self, path: Path, settings: BusSettings, layout: schema.Layout, writer: Connection, reader: Connection
    ) -> None:
        """Makes a bus on two connections that are open already. `open` calls it, and starts the poller.

        Args:
            layout: the slot of each partition of each topic: its number in the file.
        """
        self._layout = layout
        self._writer = writer
        self._reader = reader
        self._file_state = FileState(path)
        self._steps = Steps(writer, layout, settings, self._file_state)
        self._positions = -1  # the sum of all positions in the file at the last poll
        self._joined: dict[tuple[str, str], EmbeddedAssignments] = {}
        self._publishers: dict[str, EmbeddedPublisher] = {}
        self._poller: asyncio.Task[None] | None = None
        self._opened_at = time.monotonic()
        self._unanswered: set[asyncio.Task[int]] = set()

    @classmethod
    async def open(cls, data_dir: Path, settings: BusSettings) -> EmbeddedBus:
        """Opens the bus in the file of a data directory. Creates the directory and the file if they are missing.

        Loads the end offsets and starts the task that polls the file for writes of other processes. The setting
        `bus.partitions` has an effect on a new file only.

        Returns:
            the open bus; the caller must `close` it.

        Raises:
            BusVersionError: written by another version of riskwire; the file is left as it is.
            BusError: the file is not a bus, or cannot be opened.
        """
        path = data_dir / FILE
        writer, reader = Connection(path, "bus-writer"), Connection(path, "bus-reader")
        try:
            layout = await writer.open(lambda: schema.create(path, settings.partitions))
            await reader.open(lambda: (schema.connect(path, read_only=True), None))
            bus = cls(path, settings, layout, writer, reader)
            bus._notice(await reader.run(ledger.snapshot))
        except BaseException:
            await reader.close()
            await writer.close()
            raise
        bus._poller = asyncio.create_task(bus._poll(), name="bus-poller")
        return bus

    def partitions(self, topic: str) -> int:
        """Returns the number of partitions of a topic."""
        return len(self._layout.of(topic))

    def assignments(self, group: str, topic: str) -> AsyncIterator[EmbeddedAssignment]:
        """Yields every partition of the topic; ends when the bus is closed or another worker of the group joins."""
        self._layout.of(topic)
        return EmbeddedAssignments(group, str(topic), self._file_state, self._join)

    def publisher(self, name: str) -> AbstractAsyncContextManager[EmbeddedPublisher]:
        """Returns a context that opens the publisher of a name; a second one of the same name fences the first.

        A topic has no space while its unread records and the new ones exceed `bus.backlog`. The publisher waits for
        space only while a reader runs: a stage of this bus, or another process that holds the data directory
        (`lock_data_dir`). Without a reader no space would ever come. Then it writes beyond `bus.backlog` and logs a
        warning; the disk is the limit.
        """
        return self._publisher(name)

    async def publisher_state(self, name: str) -> dict[str, bytes]:
        """Returns the committed state of a publisher without fencing it; empty if it has none."""
        return await self._reader.run(ledger.publisher_state, name)

    async def group_state(self, group: str, topic: str, prefix: str) -> dict[str, bytes]:
        """Returns the committed state of a group's tasks under keys with a prefix, over all partitions of the topic."""
        return await self._reader.run(ledger.group_state, group, self._layout.of(topic), prefix)

    async def records(self) -> dict[str, int]:
        """Returns how many records were ever published, by topic."""
        return await self._reader.run(ledger.records)

    async def ends(self, topic: str) -> list[int]:
        """Returns the end offset of each partition of a topic: the offset of its next record."""
        self._layout.of(topic)
        return await self._reader.run(ledger.ends, str(topic))

    async def lag(self) -> list[Lag]:
        """Returns the lag of every group that ever joined, all of one moment."""
        return await self._reader.run(ledger.lag)

    async def lag_of_waiting_stage(self, group: str) -> list[Lag]:
        """Returns the same as `lag`; also counts as activity of `group`, which waits in the middle of a step.

        Raises:
            BusError: this process owns no partition of the group any more.
        """
        owned = self._owned(group)
        if not owned:
            raise BusError(f"another worker owns the partitions of {group} now", where=str(self._file_state.path))
        for assignment in owned:
            assignment.note_activity()
        return await self.lag()

    def membership(self, group: str) -> Membership:
        """Returns whether this process is a member of a group, and its activity on each partition."""
        activity = (PartitionActivity(owned.topic, owned.partition, owned.active_at) for owned in self._owned(group))
        return Membership(self._outside_since(group), tuple(activity))

    async def reach(self, timeout_s: float) -> None:
        """Returns if the file can be read.

        Raises:
            BusError: it cannot, or not within `timeout_s`.
        """
        request = asyncio.create_task(self._reader.run(ledger.data_version), name="bus-reach")
        self._unanswered.add(request)  # the event loop alone would not keep the task alive
        request.add_done_callback(self._unanswered.discard)
        # A cancelled request waits for the reader thread. So it is cancelled and not awaited: the thread may hang.
        try:
            answered, _ = await asyncio.wait({request}, timeout=timeout_s)
        except asyncio.CancelledError:
            request.cancel()
            raise
        if not answered:
            request.cancel()
            raise BusError(f"the bus does not answer within {timeout_s:g} s", where=str(self._file_state.path))
        await request

    async def read(self, topic: str, partition: int, start: int, max_records: int) -> Sequence[Message]:
        """Returns records of a partition from offset `start` on, outside any group, at most `max_records`.

        Trimmed records are skipped. Does not wait for new records.

        Raises:
            BusError: there is no such topic or partition, or the file cannot be read.
        """
        slots = self._layout.of(topic)
        if not 0 <= partition < len(slots):
            raise BusError(f"{topic} has partitions 0 to {len(slots) - 1}", value=partition)
        return await self._reader.run(ledger.fetch, str(topic), partition, slots[partition], start, max_records)

    async def forget(self, group: str) -> None:
        """Deletes a group that will not return; its old positions would block trimming and writers for ever."""
        await self._writer.run(ledger.forget, group)
        self._file_state.wake_all()

    async def wait_for_change(self, timeout_s: float) -> None:
        """Returns after the next write, at the latest after `timeout_s`."""
        await self._file_state.writes.subscribe(None).wait(timeout_s)

    async def close(self) -> None:
        """Ends all iterators, fetches and waits, finishes the steps under way, and closes the file."""
        self._file_state.closed = True
        for joined in self._joined.values():
            joined.end()
        self._file_state.wake_all()
        if self._poller is not None:
            poller, self._poller = self._poller, None
            poller.cancel()
            with suppress(asyncio.CancelledError):
                await poller
        await self._reader.close()
        await self._writer.close()

    async def _join(self, joined: EmbeddedAssignments) -> list[EmbeddedAssignment]:
        """Makes this process the owner of every partition of the topic, for the group.

        Fences the previous owners in other processes, and ends the iterator that owned the partitions in this process.
        Wakes every waiting task of this process, to look again.

        Returns:
            one assignment for each partition, in order.

        Raises:
            BusError: the bus is closed, or the file cannot be read or written.
        """
        owners = await self._writer.run(ledger.join, joined.group, self._layout.of(joined.topic))
        self._file_state.check()
        previous = self._joined.get((joined.group, joined.topic))
        if previous is not None:
            previous.end()
        self._joined[joined.group, joined.topic] = joined
        self._file_state.wake_all()
        return [
            EmbeddedAssignment(joined.topic, partition, owner, self._steps, self._reader, self._file_state)
            for partition, owner in enumerate(owners)
        ]

    @asynccontextmanager
    async def _publisher(self, name: str) -> AsyncIterator[EmbeddedPublisher]:
        """Yields the publisher of a name. Revokes the publisher that had the name, and revokes this one at the end.

        A previous publisher in another process is fenced by the join: its next step fails.
        """
        (owner,) = await self._writer.run(ledger.join, name, (0,))  # publishers have slot 0
        publisher = EmbeddedPublisher(owner, self._steps, self._reader, self._file_state, self._is_read)
        previous = self._publishers.get(name)
        if previous is not None:
            previous.revoke()
        self._publishers[name] = publisher
        try:
            yield publisher
        finally:
            publisher.revoke()
            if self._publishers.get(name) is publisher:
                del self._publishers[name]

    def _owned(self, group: str) -> list[EmbeddedAssignment]:
        joined = (joined for (name, _), joined in self._joined.items() if name == group)
        return [assignment for member in joined for assignment in member.assigned if not assignment.revoked]

    def _outside_since(self, group: str) -> float | None:
        """Returns since when this process has not been a member of a group (`time.monotonic()`), or None if it is one.

        A group that was never joined counts from when the bus was opened. If other workers took over several topics of
        the group, the earliest time counts. After `close` the result is None.
        """
        if self._file_state.closed:
            return None
        ended_at = [joined.ended_at for (name, _), joined in self._joined.items() if name == group]
        if not ended_at:
            return self._opened_at
        return min((at for at in ended_at if at is not None), default=None)

    def _is_read(self, topic: str) -> bool:
        return any(joined.topic == topic and not joined.ended for joined in self._joined.values())

    async def _poll(self) -> None:
        """Polls the file for writes of other processes, until cancelled.

        An error wakes every waiting task and is kept as `failure` until a poll succeeds; only the first is logged.
        """
        seen = -1  # the version of the file at the last poll: it changes when another connection has written
        while True:
            await asyncio.sleep(POLL_S)
            try:
                version = await self._reader.run(ledger.data_version)
                if version != seen or self._file_state.failure is not None:
                    self._notice(await self._reader.run(ledger.snapshot))
                    seen = version
            except BusError as error:
                if self._file_state.failure is None:
                    log.error("the bus cannot be read", error=str(error))
                self._file_state.failure = error
                self._file_state.wake_all()
            else:
                self._file_state.failure = None

    def _notice(self, snapshot: ledger.FileSnapshot) -> None:
        """Applies what the file holds now: wakes the readers of topics that grew, and ends owners that were fenced.

        An owner is fenced if the file holds a larger epoch for it: an epoch counts how often an owner was replaced.
        If a topic grew or a position moved, also wakes the writers that wait for space and the waits for any write.
        """
        # The snapshot may be older than the last step of this process, so only increases count.
        grew = self._file_state.note_ends(snapshot.ends)
        for joined in self._joined.values():
            if any(snapshot.epochs.get(a.owner.id, 0) > a.owner.epoch for a in joined.assigned):
                joined.end()
        for publisher in self._publishers.values():
            if snapshot.epochs.get(publisher.owner.id, 0) > publisher.owner.epoch:
                publisher.revoke()
        if grew or snapshot.positions != self._positions:
            self._positions = snapshot.positions
            self._file_state.space.wake_all()
            self._file_state.writes.wake_all()
