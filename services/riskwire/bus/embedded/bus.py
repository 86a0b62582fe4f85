"""The bus inside one process: a SQLite file, a writer thread, a reader thread, and bells that wake who waits.

All partitions of a topic go to one worker, the newest that asked; older ones are fenced, between processes too. What
other processes write is noticed within `POLL_S`; inside the process everything is told at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path

import structlog

from riskwire.bus.embedded import ledger, schema
from riskwire.bus.embedded.clients import Assignments, EmbeddedAssignment, EmbeddedPublisher
from riskwire.bus.embedded.connection import Connection
from riskwire.bus.embedded.file_state import Watch
from riskwire.bus.embedded.steps import Steps
from riskwire.bus.protocol import Lag, Message
from riskwire.errors import BusError
from riskwire.settings import BusSettings

log = structlog.get_logger(__name__)

FILE = "bus.sqlite"
POLL_S = 0.2


class EmbeddedBus:
    """The `Bus` of protocol.py on `<data>/bus.sqlite`; `open` makes it, inside a running event loop."""

    def __init__(
        self, path: Path, settings: BusSettings, layout: schema.Layout, writer: Connection, reader: Connection
    ) -> None:
        self._layout = layout
        self._writer = writer
        self._reader = reader
        self._watch = Watch(path)
        self._steps = Steps(writer, layout, settings, self._watch)
        self._positions = -1
        self._joined: dict[tuple[str, str], Assignments] = {}
        self._publishers: dict[str, EmbeddedPublisher] = {}
        self._poller: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, data_dir: Path, settings: BusSettings) -> EmbeddedBus:
        """Open the bus of a data directory, making both where there are none.

        Raises:
            BusVersionError: written by a newer riskwire; the file is left as it is.
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
        """How many partitions a topic has."""
        return len(self._layout.of(topic))

    def assignments(self, group: str, topic: str) -> AsyncIterator[EmbeddedAssignment]:
        """Every partition of the topic, at once; ends when the bus is closed or another worker of the group joins."""
        self._layout.of(topic)
        return Assignments(group, str(topic), self._watch, self._join)

    def publisher(self, name: str) -> AbstractAsyncContextManager[EmbeddedPublisher]:
        """A publisher of that name; a second one of the same name fences the first.

        It waits for room only while somebody reads: stages of this bus, or another process that holds the data
        directory (`lock_data_dir`). Where nobody does, nobody would ever make room: then it writes beyond
        `bus.backlog`, says so in the log, and the disk is the limit.
        """
        return self._publisher(name)

    async def kept(self, name: str) -> dict[str, bytes]:
        """The state of a publisher's last step, read without taking its name over; empty where there is none."""
        return await self._reader.run(ledger.kept, name)

    async def kept_by(self, group: str, topic: str, prefix: str) -> dict[str, bytes]:
        """What the tasks of a group keep under keys of one prefix, over all partitions of the topic they read."""
        return await self._reader.run(ledger.kept_by, group, self._layout.of(topic), prefix)

    async def records(self) -> dict[str, int]:
        """Records ever published, per topic."""
        return await self._reader.run(ledger.records)

    async def ends(self, topic: str) -> list[int]:
        """The offset that the next record of each partition of a topic gets."""
        self._layout.of(topic)
        return await self._reader.run(ledger.ends, str(topic))

    async def lag(self) -> list[Lag]:
        """How far every group that ever joined is behind, all of one moment."""
        return await self._reader.run(ledger.lag)

    async def read(self, topic: str, partition: int, start: int, most: int) -> Sequence[Message]:
        """Records of a partition from offset `start` on, outside any group; trimmed ones are skipped."""
        slots = self._layout.of(topic)
        if not 0 <= partition < len(slots):
            raise BusError(f"{topic} has partitions 0 to {len(slots) - 1}", value=partition)
        return await self._reader.run(ledger.fetch, str(topic), partition, slots[partition], start, most)

    async def forget(self, group: str) -> None:
        """Drop a group that will not come back, which else holds up trimming and writers for ever."""
        await self._writer.run(ledger.forget, group)
        self._watch.ring_all()

    async def changed(self, within_s: float) -> None:
        """Return when anything has been written, or after `within_s`."""
        await self._watch.any.listen(None).wait(within_s)

    async def close(self) -> None:
        """End all iterators, fetches and waits, finish the steps that have begun, and let go of the file."""
        self._watch.closed = True
        for joined in self._joined.values():
            joined.end()
        self._watch.ring_all()
        if self._poller is not None:
            poller, self._poller = self._poller, None
            poller.cancel()
            with suppress(asyncio.CancelledError):
                await poller
        await self._reader.close()
        await self._writer.close()

    async def _join(self, joined: Assignments) -> list[EmbeddedAssignment]:
        owners = await self._writer.run(ledger.join, joined.group, self._layout.of(joined.topic))
        self._watch.check()
        older = self._joined.get((joined.group, joined.topic))
        if older is not None:
            older.end()
        self._joined[joined.group, joined.topic] = joined
        self._watch.ring_all()
        return [
            EmbeddedAssignment(joined.topic, partition, owner, self._steps, self._reader, self._watch)
            for partition, owner in enumerate(owners)
        ]

    @asynccontextmanager
    async def _publisher(self, name: str) -> AsyncIterator[EmbeddedPublisher]:
        (owner,) = await self._writer.run(ledger.join, name, (0,))
        publisher = EmbeddedPublisher(owner, self._steps, self._reader, self._watch, self._is_read)
        older = self._publishers.get(name)
        if older is not None:
            older.revoke()
        self._publishers[name] = publisher
        try:
            yield publisher
        finally:
            publisher.revoke()
            if self._publishers.get(name) is publisher:
                del self._publishers[name]

    def _is_read(self, topic: str) -> bool:
        return any(joined.topic == topic and not joined.ended for joined in self._joined.values())

    async def _poll(self) -> None:
        """Notice what other processes have written."""
        seen = -1
        while True:
            await asyncio.sleep(POLL_S)
            try:
                version = await self._reader.run(ledger.data_version)
                if version != seen or self._watch.failure is not None:
                    self._notice(await self._reader.run(ledger.snapshot))
                    seen = version
            except BusError as error:
                if self._watch.failure is None:
                    log.error("the bus cannot be read", error=str(error))
                self._watch.failure = error
                self._watch.ring_all()
            else:
                self._watch.failure = None

    def _notice(self, snapshot: ledger.Snapshot) -> None:
        # A snapshot may be older than what this process has done since: only what is newer than that counts.
        news = self._watch.records_came(snapshot.ends)
        for joined in self._joined.values():
            if any(snapshot.epochs.get(a.owner.id, 0) > a.owner.epoch for a in joined.assigned):
                joined.end()
        for publisher in self._publishers.values():
            if snapshot.epochs.get(publisher.owner.id, 0) > publisher.owner.epoch:
                publisher.revoke()
        if news or snapshot.positions != self._positions:
            self._positions = snapshot.positions
            self._watch.room.ring_all()
            self._watch.any.ring_all()
