"""Runs the web server inside the event loop of the process."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
import uvicorn
from fastapi import FastAPI

from riskwire.errors import InUseError, SettingsError
from riskwire.settings import Settings, WebSettings

log = structlog.get_logger(__name__)

STOP_TIMEOUT_S = 5
"""Time for open requests to finish when the server stops; they are then cancelled."""


def bind(settings: WebSettings) -> socket.socket:
    """Returns a listening socket on `web.host` and `web.port`.

    Raises:
        SettingsError: the address cannot be used, or is not a loopback address and there is no token.
        InUseError: another process listens on the port.
    """
    try:
        addresses = socket.getaddrinfo(
            settings.host or None, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise SettingsError("web.host: no such address", value=settings.host) from error
    loopback = all(ipaddress.ip_address(sockaddr[0]).is_loopback for *_, sockaddr in addresses)
    if not loopback and settings.token is None:
        raise SettingsError(
            "web.host: listening on anything but loopback needs a token",
            value=settings.host,
            do="Set web.token_file (or RISKWIRE_WEB__TOKEN), or listen on 127.0.0.1.",
        )
    family, kind, protocol, _, address = addresses[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(256)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise InUseError(
                f"port {settings.port} is in use by another process",
                where=f"web.port on {settings.host}",
                do="Stop that process, or choose another port with --port (0 takes a free one).",
            ) from None
        raise SettingsError(
            f"web.host and web.port: cannot listen on port {settings.port}", value=settings.host
        ) from error
    return listener


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
    listener = listener or bind(settings.web)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,  # a query may contain the token
        proxy_headers=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=STOP_TIMEOUT_S,
    )
    server = _Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]), name="web-server")
    try:
        started = asyncio.create_task(server.answering.wait(), name="web-started")
        await asyncio.wait([started, running], return_when=asyncio.FIRST_COMPLETED)
        started.cancel()
        if server.started and on_started is not None:
            on_started(_url(listener))
        await asyncio.shield(running)
    finally:
        live = getattr(app.state, "live", None)  # a service without the page has no streams
        if live is not None:
            await live.stop()
        server.should_exit = True
        done, _ = await asyncio.wait([running], timeout=STOP_TIMEOUT_S + 2)
        if not done:
            log.warning("the web server does not stop; cancelling it")
            running.cancel()
            await asyncio.wait([running], timeout=1)
        listener.close()


class _Server(uvicorn.Server):
    """A server that leaves signals to its process, and sets an event when it answers requests."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answering = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.answering.set()


def _url(listener: socket.socket) -> str:
    """Returns the URL of a listening socket. For one that listens on all addresses, it has the loopback address."""
    host, port = listener.getsockname()[:2]
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        host = "::1" if address.version == 6 else "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
