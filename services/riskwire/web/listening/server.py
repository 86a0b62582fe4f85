"""Runs the web server inside the event loop of the process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
import uvicorn
from fastapi import FastAPI

from riskwire import metrics
from riskwire.settings import Settings, WebSettings
from riskwire.web.listening.address import bind, tls_context, url_of
from riskwire.web.listening.connections import Connections, connection_limit
from riskwire.web.listening.protocol import MAX_HEAD, BoundedProtocol, Deadlines

log = structlog.get_logger(__name__)

STOP_TIMEOUT_S = 5
"""Time for open requests to finish when the server stops; they are then cancelled."""
PROBE_CONNECTIONS = 32
"""The most open connections to `web.probe_port`."""


async def serve(
    app: FastAPI,
    settings: Settings,
    on_started: Callable[[str], None] | None = None,
    *,
    listener: socket.socket | None = None,
) -> None:
    """Serves until cancelled; then ends streams, and lets requests finish for `STOP_TIMEOUT_S` seconds.

    Args:
        on_started: called with the URL as soon as requests are answered.
        listener: a socket from `bind`, for a caller that checks early whether the port is free.

    Raises:
        SettingsError, InUseError: see `bind`.
    """
    web = settings.web
    listener = listener or bind(web)
    limit = connection_limit(web.max_connections)
    if limit < web.max_connections:
        log.warning("fewer connections than web.max_connections: the process may open too few files", limit=limit)
    server = _Server(_config(app, web), web, listener, limit, tls=True)
    await _run(app, server, "web", on_started)


async def serve_probes(app: FastAPI, settings: Settings, listener: socket.socket) -> None:
    """Serves the probes on a port of their own until cancelled. Without TLS.

    Args:
        app: the app of `create_probes`.
        listener: the socket of `bind_probes`.
    """
    web = settings.web
    server = _Server(_config(app, web), web, listener, connection_limit(PROBE_CONNECTIONS), tls=False)
    await _run(app, server, "probes", None)


def _config(app: FastAPI, web: WebSettings) -> uvicorn.Config:
    """Returns the configuration of uvicorn."""
    return uvicorn.Config(
        app,
        http=BoundedProtocol.with_deadlines(Deadlines(web.header_timeout_s, web.body_timeout_s)),
        h11_max_incomplete_event_size=MAX_HEAD,
        log_config=None,
        access_log=False,  # a query may contain the token
        proxy_headers=bool(web.proxies),
        forwarded_allow_ips=list(web.proxies),
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=STOP_TIMEOUT_S,
    )


async def _run(app: FastAPI, server: _Server, name: str, on_started: Callable[[str], None] | None) -> None:
    """Runs a server until cancelled, and stops it.

    Args:
        name: what the names of its tasks begin with.
        on_started: called with the URL as soon as requests are answered.
    """
    running = asyncio.create_task(server.serve(sockets=[]), name=f"{name}-server")
    try:
        started = asyncio.create_task(server.answering.wait(), name=f"{name}-started")
        await asyncio.wait([started, running], return_when=asyncio.FIRST_COMPLETED)
        started.cancel()
        if server.started and on_started is not None:
            on_started(server.url)
        await asyncio.shield(running)
    finally:
        live = getattr(app.state, "live", None)  # a service without the page has no streams
        if live is not None:
            await live.stop()
        server.should_exit = True
        finished, _ = await asyncio.wait([running], timeout=STOP_TIMEOUT_S + 2)
        if not finished:
            log.warning("the web server does not stop; cancelling it")
            running.cancel()
            await asyncio.wait([running], timeout=1)
        server.listener.close()


class _Server(uvicorn.Server):
    """A server that accepts a bounded number of connections, and leaves signals to its process.

    Attributes:
        listener: the socket that it accepts connections from.
        answering: set when it answers requests.
    """

    def __init__(
        self, config: uvicorn.Config, web: WebSettings, listener: socket.socket, limit: int, *, tls: bool
    ) -> None:
        """Prepares the server.

        Args:
            listener: a listening socket; it is closed with the server.
            limit: the most open connections.
            tls: whether it speaks TLS if there is a certificate.
        """
        super().__init__(config)
        self.listener = listener
        self.answering = asyncio.Event()
        self._accepting: asyncio.Task[None] | None = None
        context = tls_context(web) if tls else None
        self.url = url_of(listener, "https" if context else "http")
        self._connections = Connections(limit, self._new_protocol, context, web.header_timeout_s)
        if tls:
            metrics.OPEN_CONNECTIONS.set_function(lambda: len(self._connections))

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts the app, then accepts connections. uvicorn itself listens on no socket."""
        await super().startup(sockets)
        self._accepting = asyncio.create_task(self._connections.accept(self.listener), name="web-accept")
        self.answering.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accepts no more connections, lets requests finish, and ends the connections that are left."""
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait([self._accepting], timeout=1)
        self.listener.close()
        await super().shutdown(sockets)
        await self._connections.stop()

    def _new_protocol(self) -> BoundedProtocol:
        protocol: BoundedProtocol = self.config.http_protocol_class(  # type: ignore[call-arg, assignment]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol
