"""The open connections of one port: accepts them, and keeps their number bounded.

uvicorn's `limit_concurrency` looks at a connection when the head of its request is complete, so it does not count a
half-sent request. asyncio's server does not report a connection before the end of its TLS handshake (decision 0028).
"""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
from collections.abc import Callable

import structlog

from riskwire import metrics
from riskwire.web.listening.protocol import BoundedProtocol

log = structlog.get_logger(__name__)

_PAUSE_S = 0.5
"""Wait after the system refused a connection, such as for want of file descriptors."""


def connection_limit(wanted: int) -> int:
    """Returns the most connections: as many as wanted, but at most half of the files that the process may open."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if files == resource.RLIM_INFINITY else max(1, min(wanted, files // 2))


class Connections:
    """The connections of one port. A new one beyond the limit replaces that which has waited longest for a request.

    Args:
        limit: the most open connections, including those in a TLS handshake.
        new_protocol: returns the protocol of a new connection.
        tls: the TLS context, or None for plain HTTP.
        handshake_s: deadline of a TLS handshake in seconds.
    """

    def __init__(
        self,
        limit: int,
        new_protocol: Callable[[], BoundedProtocol],
        tls: ssl.SSLContext | None,
        handshake_s: float,
    ) -> None:
        self._limit = limit
        self._new_protocol = new_protocol
        self._tls = tls
        self._handshake_s = handshake_s
        self._open: dict[BoundedProtocol, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        return len(self._open)

    async def accept(self, listener: socket.socket) -> None:
        """Accepts connections until cancelled; those that are open then stay open."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:  # no file descriptor or memory is left, or the client has gone
                metrics.CLOSED_CONNECTIONS.labels(reason="system").inc()
                if not self._displace():
                    log.warning("a connection cannot be accepted", error=str(error))
                    await asyncio.sleep(_PAUSE_S)
                continue
            if len(self._open) >= self._limit and not self._displace():
                metrics.CLOSED_CONNECTIONS.labels(reason="too many").inc()
                connection.close()
                await asyncio.sleep(0)
                continue
            protocol = self._new_protocol()
            self._open[protocol] = asyncio.create_task(self._run(protocol, connection), name="web-connection")
            await asyncio.sleep(0)  # a full backlog is accepted without a pause otherwise

    async def stop(self) -> None:
        """Ends the connections that are open."""
        tasks = list(self._open.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=1)

    async def _run(self, protocol: BoundedProtocol, connection: socket.socket) -> None:
        """Runs a connection from its handshake to its end."""
        loop = asyncio.get_running_loop()
        handshake_s = self._handshake_s if self._tls else None
        try:
            await loop.connect_accepted_socket(
                lambda: protocol, connection, ssl=self._tls, ssl_handshake_timeout=handshake_s
            )
            await protocol.closed.wait()
        except OSError:  # of a failed handshake, for one: what a stranger sends is no error of this process
            metrics.CLOSED_CONNECTIONS.labels(reason="handshake").inc()
        finally:
            self._open.pop(protocol, None)
            protocol.abort()

    def _displace(self) -> bool:
        """Ends the connection that has waited longest for a request. Returns False if every one is in a request."""
        waiting = [protocol for protocol in self._open if protocol.waiting_since is not None]
        if not waiting:
            return False
        oldest = min(waiting, key=lambda protocol: protocol.waiting_since or 0.0)
        metrics.CLOSED_CONNECTIONS.labels(reason="displaced").inc()
        self._open.pop(oldest).cancel()
        return True
