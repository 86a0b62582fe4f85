"""Raw connections to a web port, as somebody opens them who means no good, and how long the event loop was held."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from yarl import URL


@dataclass
class Stranger:
    """A client that sends bytes as they are.

    Attributes:
        url: the address of the server.
    """

    url: str
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def connect(self, data: bytes = b"") -> asyncio.StreamReader:
        """Opens a connection, sends bytes and keeps it open. Returns what the server answers, as a stream."""
        url = URL(self.url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        self._writers.append(writer)
        with suppress(ConnectionError):
            writer.write(data)
        return reader

    async def send_slowly(self, data: bytes, *, times: int, every_s: float) -> None:
        """Sends bytes repeatedly over the newest connection, as long as it is open."""
        with suppress(ConnectionError):
            for _ in range(times):
                self._writers[-1].write(data)
                await self._writers[-1].drain()
                await asyncio.sleep(every_s)

    async def answer(self, data: bytes, within_s: float = 10.0) -> bytes:
        """Sends bytes over a new connection. Returns all that comes back until the server closes it, b"" for nothing.

        Raises:
            TimeoutError: the server keeps the connection open for longer.
        """
        reader = await self.connect(data)
        async with asyncio.timeout(within_s):
            try:
                return await reader.read()
            except ConnectionError:
                return b""

    def close(self) -> None:
        """Closes the connections."""
        for writer in self._writers:
            writer.close()
        self._writers.clear()


@dataclass
class LoopWatch:
    """How long the event loop was held at the worst.

    Attributes:
        worst_s: the longest time between two turns of a task that does nothing.
        worst_cpu_s: the most computing time of this thread between two turns, whatever else the machine does.
    """

    worst_s: float = 0.0
    worst_cpu_s: float = 0.0


@asynccontextmanager
async def watched_loop() -> AsyncIterator[LoopWatch]:
    """Measures how long the event loop is held while the body runs."""
    watch = LoopWatch()

    async def tick() -> None:
        while True:
            begun, computed = time.perf_counter(), time.thread_time()
            await asyncio.sleep(0.001)
            watch.worst_cpu_s = max(watch.worst_cpu_s, time.thread_time() - computed)
            watch.worst_s = max(watch.worst_s, time.perf_counter() - begun - 0.001)

    ticking = asyncio.create_task(tick())
    try:
        await asyncio.sleep(0)
        yield watch
        await asyncio.sleep(0)
    finally:
        ticking.cancel()
        await asyncio.wait([ticking])


def head(path: str = "/api/v1/alerts", *lines: str, method: str = "GET") -> bytes:
    """Returns the head of a request, complete with its blank line.

    Args:
        lines: further headers.
    """
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()
