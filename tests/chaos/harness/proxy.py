"""A TCP proxy before the broker: cuts, refuses, delays and stalls what the workers say and hear.

It knows the frames of Kafka's protocol as far as the kind of a request, so that a fault can be aimed at the middle of
a transaction: a trap springs on the request of a process, before the request has reached the broker.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

ADD_PARTITIONS, ADD_OFFSETS, END, COMMIT_OFFSETS = 24, 25, 26, 28
TRANSACTION = {
    ADD_PARTITIONS: "AddPartitionsToTxn",
    ADD_OFFSETS: "AddOffsetsToTxn",
    COMMIT_OFFSETS: "TxnOffsetCommit",
    END: "EndTxn",
}
"""Requests that are made inside a transaction, by their key in the protocol."""

_FENCED = {47, 90}
"""Error codes INVALID_PRODUCER_EPOCH and PRODUCER_FENCED: another producer has the transactional id."""

_MOST_FRAME = 100_000_000
_CONNECT_S = 5.0


@dataclass(slots=True)
class Trap:
    """Springs once, on the first request of a kind by one of some processes.

    Attributes:
        wants: whether it is laid for a process.
        spring: called with the process; must not wait.
        hold: keep the request back until `release`: it then reaches the broker late, as from a slow network.
    """

    request: int
    wants: Callable[[int], bool]
    spring: Callable[[int], None]
    hold: bool
    sprung: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        """Let the request that was kept back go on."""
        self.released.set()


@dataclass(slots=True)
class Way:
    """One direction of the traffic."""

    latency_s: float = 0.0
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()

    async def pass_on(self, data: bytes, to: asyncio.StreamWriter) -> None:
        if self.latency_s:
            await asyncio.sleep(self.latency_s)
        await self.open.wait()
        to.write(data)
        await to.drain()


class Proxy:
    """Listens on a free port of 127.0.0.1 and passes on to another; all faults are off at first."""

    def __init__(self, chance: random.Random) -> None:
        self.refusing = False
        self.up, self.down = Way(), Way()
        self.connections = 0
        self.fenced: Counter[str] = Counter()
        """Requests inside a transaction that the broker refused because another producer has the id, by kind."""
        self._chance = chance
        self._traps: list[Trap] = []
        self._open: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._target = 0

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def pass_on_to(self, target: int) -> None:
        """The port of 127.0.0.1 that is behind it."""
        self._target = target

    async def listen(self) -> None:
        """Begin."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def close(self) -> None:
        """Cut everything and let the port go."""
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def cut(self, share: float = 1.0) -> int:
        """Reset connections, each with that probability; how many."""
        hit = [pair for pair in self._open if self._chance.random() < share]
        for client, broker in hit:
            client.transport.abort()
            broker.transport.abort()
        return len(hit)

    def set(self, trap: Trap) -> None:
        """Lay a trap."""
        self._traps.append(trap)

    def lift(self, trap: Trap) -> None:
        """Take a trap away and let go what it keeps back."""
        trap.release()
        if trap in self._traps:
            self._traps.remove(trap)

    def heal(self) -> None:
        """All faults off."""
        self.refusing = False
        for way in (self.up, self.down):
            way.latency_s = 0.0
            way.open.set()
        for trap in [*self._traps]:
            self.lift(trap)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            await self._pass_on(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # a task of the server's: `close` cancels it, nobody else waits for it
        finally:
            self._serving.discard(task)
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            return
        async with asyncio.timeout(_CONNECT_S):
            from_broker, to_broker = await asyncio.open_connection("127.0.0.1", self._target)
        self.connections += 1
        pair = (writer, to_broker)
        self._open.add(pair)
        port = int(writer.get_extra_info("peername")[1])
        asked: dict[int, int] = {}
        ways = [
            asyncio.create_task(self._requests(reader, to_broker, port, asked)),
            asyncio.create_task(self._answers(from_broker, writer, asked)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._open.discard(pair)
            to_broker.transport.abort()

    async def _requests(
        self, reader: asyncio.StreamReader, broker: asyncio.StreamWriter, port: int, asked: dict[int, int]
    ) -> None:
        while (frame := await _frame(reader)) is not None:
            request = int.from_bytes(frame[4:6], "big")
            if request in TRANSACTION:
                asked[int.from_bytes(frame[8:12], "big")] = request
                await self._look(request, port)
            await self.up.pass_on(frame, broker)

    async def _answers(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter, asked: dict[int, int]) -> None:
        while (frame := await _frame(reader)) is not None:
            request = asked.pop(int.from_bytes(frame[4:8], "big"), None)
            if request is not None and _error(request, frame[12:]) in _FENCED:
                self.fenced[TRANSACTION[request]] += 1
            await self.down.pass_on(frame, client)

    async def _look(self, request: int, port: int) -> None:
        """Spring the traps laid for this request, and hold it where one says so."""
        for trap in [*self._traps]:
            if trap.request != request or trap.sprung.is_set():
                continue
            process = next((pid for pid in _owners(port, self.port) if trap.wants(pid)), None)
            if process is None:
                continue
            trap.spring(process)
            trap.sprung.set()
            if trap.hold:
                await trap.released.wait()


async def _frame(reader: asyncio.StreamReader) -> bytes | None:
    """The next frame of Kafka's protocol, its length included; None where it is none that we know."""
    size = await reader.readexactly(4)
    length = int.from_bytes(size, "big")
    return size + await reader.readexactly(length) if 0 < length <= _MOST_FRAME else None


def _error(request: int, body: bytes) -> int:
    """The (first) error code of an answer, after its throttle time; version 0, which is what aiokafka speaks."""
    if request in (ADD_OFFSETS, END):
        return int.from_bytes(body[:2], "big", signed=True)
    topic = int.from_bytes(body[4:6], "big")
    at = 4 + 2 + topic + 4 + 4
    return int.from_bytes(body[at : at + 2], "big", signed=True)


def _owners(port: int, to: int) -> Iterator[int]:
    """The processes that hold the connection from this port to that one (Linux); a port may have had others before."""
    inode = ""
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        words = line.split()
        if words[1:3] == [f"0100007F:{port:04X}", f"0100007F:{to:04X}"] and words[9] != "0":
            inode = f"socket:[{words[9]}]"
    if not inode:
        return
    for folder in Path("/proc").glob("[0-9]*/fd"):
        with suppress(OSError):
            for descriptor in os.scandir(folder):
                if os.readlink(descriptor.path) == inode:
                    yield int(folder.parent.name)
                    break
