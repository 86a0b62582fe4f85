"""A TCP proxy in front of the broker, which cuts, refuses, delays and stalls the traffic of the workers.

The proxy parses Kafka's protocol as far as the kind of a request. So a fault can hit a worker in the middle of a
transaction: a trap catches a request of a process before the request reaches the broker.
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
TRANSACTION_REQUESTS = {
    ADD_PARTITIONS: "AddPartitionsToTxn",
    ADD_OFFSETS: "AddOffsetsToTxn",
    COMMIT_OFFSETS: "TxnOffsetCommit",
    END: "EndTxn",
}
"""Names of the requests of a transaction, by their API key."""

_FENCED_ERRORS = {47, 90}
"""Error codes INVALID_PRODUCER_EPOCH and PRODUCER_FENCED: another producer uses the transactional id."""

_MAX_FRAME = 100_000_000
_CONNECT_S = 5.0


@dataclass(slots=True)
class Trap:
    """Catches the first request of a kind by one of several processes.

    Attributes:
        request: API key of the request.
        matches: whether the trap is meant for a process id.
        on_caught: called with the process id; must not block.
        hold: whether to delay the request until `release`, so that it reaches the broker late, as on a slow network.
        transaction: the start of the transactional id; empty for a transaction of any.
    """

    request: int
    matches: Callable[[int], bool]
    on_caught: Callable[[int], None]
    hold: bool
    transaction: str = ""
    caught: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        """Forwards the request that the trap holds."""
        self.released.set()


@dataclass(slots=True)
class TrafficDirection:
    """One direction of the traffic, which can be delayed or stalled."""

    latency_s: float = 0.0
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()

    async def forward(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        """Writes data after the latency, and not while the direction is stalled."""
        if self.latency_s:
            await asyncio.sleep(self.latency_s)
        await self.open.wait()
        writer.write(data)
        await writer.drain()


class Proxy:
    """Listens on a free port of 127.0.0.1 and forwards to another port. Initially no fault is active."""

    def __init__(self, rng: random.Random) -> None:
        """Creates a proxy that neither listens nor knows its target: see `listen` and `forward_to`.

        Args:
            rng: decides which connections `cut` resets.
        """
        self.refusing = False
        """Whether new connections are closed at once."""
        self.to_broker, self.to_workers = TrafficDirection(), TrafficDirection()
        self.connections = 0
        """The number of connections that were forwarded so far."""
        self.fenced: Counter[str] = Counter()
        """Requests of a transaction that the broker refused because another producer has the id, by name."""
        self._rng = rng
        self._traps: list[Trap] = []
        self._open: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._target = 0

    @property
    def port(self) -> int:
        """The port on which the proxy listens."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def forward_to(self, target: int) -> None:
        """Sets the port of 127.0.0.1 to which connections are forwarded."""
        self._target = target

    async def listen(self) -> None:
        """Starts listening."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def close(self) -> None:
        """Resets all connections and stops listening."""
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def cut(self, share: float = 1.0) -> int:
        """Resets each connection with that probability, and returns how many were reset."""
        connections = [pair for pair in self._open if self._rng.random() < share]
        for client, broker in connections:
            client.transport.abort()
            broker.transport.abort()
        return len(connections)

    def set_trap(self, trap: Trap) -> None:
        """Adds a trap."""
        self._traps.append(trap)

    def remove_trap(self, trap: Trap) -> None:
        """Removes a trap and forwards the request that it holds."""
        trap.release()
        if trap in self._traps:
            self._traps.remove(trap)

    def clear_faults(self) -> None:
        """Ends all faults and removes all traps."""
        self.refusing = False
        for direction in (self.to_broker, self.to_workers):
            direction.latency_s = 0.0
            direction.open.set()
        for trap in [*self._traps]:
            self.remove_trap(trap)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection until it ends, for whatever reason, and then resets it."""
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            await self._forward(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # a cancelled task belongs to the server: only `close` cancels it and waits for it
        finally:
            self._serving.discard(task)
            writer.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forwards one connection of a client to the broker, both ways, until either side closes it.

        While the proxy refuses connections, returns at once, and the caller resets the connection.
        """
        if self.refusing:
            return
        async with asyncio.timeout(_CONNECT_S):
            broker_reader, broker_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self.connections += 1
        connection = (writer, broker_writer)
        self._open.add(connection)
        client_port = int(writer.get_extra_info("peername")[1])
        pending: dict[int, int] = {}
        tasks = [
            asyncio.create_task(self._forward_requests(reader, broker_writer, client_port, pending)),
            asyncio.create_task(self._forward_responses(broker_reader, writer, pending)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._open.discard(connection)
            broker_writer.transport.abort()

    async def _forward_requests(
        self, reader: asyncio.StreamReader, broker: asyncio.StreamWriter, client_port: int, pending: dict[int, int]
    ) -> None:
        """Forwards requests to the broker, those of a transaction after the traps that are set for them.

        Args:
            client_port: the port of the client's end of the connection, by which its process is found.
            pending: takes the kind (API key) of each request of a transaction, by correlation id.
        """
        while (frame := await _read_frame(reader)) is not None:
            request = int.from_bytes(frame[4:6], "big")
            if request in TRANSACTION_REQUESTS:
                pending[int.from_bytes(frame[8:12], "big")] = request
                await self._check_traps(request, _transactional_id(frame), client_port)
            await self.to_broker.forward(frame, broker)

    async def _forward_responses(
        self, reader: asyncio.StreamReader, client: asyncio.StreamWriter, pending: dict[int, int]
    ) -> None:
        """Forwards responses to the client, and counts those that report a fenced producer.

        Args:
            pending: the kind (API key) of each unanswered request of a transaction, by correlation id.
        """
        while (frame := await _read_frame(reader)) is not None:
            request = pending.pop(int.from_bytes(frame[4:8], "big"), None)
            if request is not None and _error_code(request, frame[12:]) in _FENCED_ERRORS:
                self.fenced[TRANSACTION_REQUESTS[request]] += 1
            await self.to_workers.forward(frame, client)

    async def _check_traps(self, request: int, transaction: str, client_port: int) -> None:
        """Runs each trap that is set for this kind of request, in this transaction, by the process behind a port.

        A trap catches only once. If it holds the request, waits until it is released.
        """
        for trap in [*self._traps]:
            if trap.request != request or trap.caught.is_set() or not transaction.startswith(trap.transaction):
                continue
            process = next((pid for pid in _owners(client_port, self.port) if trap.matches(pid)), None)
            if process is None:
                continue
            trap.on_caught(process)
            trap.caught.set()
            if trap.hold:
                await trap.released.wait()


async def _read_frame(reader: asyncio.StreamReader) -> bytes | None:
    """Returns the next frame of Kafka's protocol with its length prefix, or None if the length is invalid.

    Raises:
        IncompleteReadError: the connection was closed.
    """
    size = await reader.readexactly(4)
    length = int.from_bytes(size, "big")
    return size + await reader.readexactly(length) if 0 < length <= _MAX_FRAME else None


def _transactional_id(frame: bytes) -> str:
    """Returns the transactional id of a request of a transaction; its body begins with it, in each version to 2."""
    start = 14 + max(0, int.from_bytes(frame[12:14], "big", signed=True))  # after the id of the client, or none
    return frame[start + 2 : start + 2 + int.from_bytes(frame[start : start + 2], "big")].decode(errors="replace")


def _error_code(request: int, body: bytes) -> int:
    """Returns the first error code of a response, after its throttle time. Parses version 0, which aiokafka uses.

    Args:
        request: the API key of the request. Responses to most hold an array of topics with partitions, each with a
            code.
    """
    if request in (ADD_OFFSETS, END):  # these have a single code
        return int.from_bytes(body[:2], "big", signed=True)
    topic_length = int.from_bytes(body[4:6], "big")
    position = 4 + 2 + topic_length + 4 + 4
    return int.from_bytes(body[position : position + 2], "big", signed=True)


def _owners(port: int, target: int) -> Iterator[int]:
    """Yields the ids of the processes that hold the connection between two local ports (Linux).

    The socket table may still list earlier connections of a port, whose inode is 0.

    Args:
        port: the port of the processes' end.
        target: the port of the other end.
    """
    inode = ""
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        columns = line.split()
        if columns[1:3] == [f"0100007F:{port:04X}", f"0100007F:{target:04X}"] and columns[9] != "0":
            inode = f"socket:[{columns[9]}]"
    if not inode:
        return
    for folder in Path("/proc").glob("[0-9]*/fd"):
        with suppress(OSError):
            for descriptor in os.scandir(folder):
                if os.readlink(descriptor.path) == inode:
                    yield int(folder.parent.name)
                    break
