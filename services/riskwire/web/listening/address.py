"""The addresses and TLS settings of the ports, checked before anything is started."""

from __future__ import annotations

import errno
import ipaddress
import socket
import ssl

from riskwire.errors import InUseError, SettingsError
from riskwire.settings import WebSettings

BACKLOG = 256
"""Connections that the system holds before they are accepted."""


def bind(settings: WebSettings) -> socket.socket:
    """Returns a listening socket on `web.host` and `web.port`.

    Raises:
        SettingsError: the address cannot be used, or there is no token and it is not a loopback address or any Host
            header is accepted.
        InUseError: another process listens on the port.
    """
    addresses = _resolve("web.host", settings.host, settings.port)
    loopback = all(ipaddress.ip_address(str(address[0])).is_loopback for *_, address in addresses)
    if not loopback and not (settings.token or settings.tokens):
        raise SettingsError(
            "web.host: listening on anything but loopback needs a token",
            value=settings.host,
            do="Set web.tokens or web.token_file (or RISKWIRE_WEB__TOKEN), or listen on 127.0.0.1.",
        )
    if "*" in settings.hosts and not (settings.token or settings.tokens):
        raise SettingsError(
            "web.hosts: accepting any Host header needs a token, since any web site could read the page otherwise",
            value=settings.hosts,
            do="Set web.tokens or web.token_file (or RISKWIRE_WEB__TOKEN), or list the host names.",
        )
    tls_context(settings)
    return _listen(addresses[0], "web", settings.host, settings.port)


def bind_probes(settings: WebSettings) -> socket.socket | None:
    """Returns a listening socket for the probes, or None without `web.probe_port`.

    It needs no token: the probes report the health of the process, and no content of the news.

    Raises:
        SettingsError: the address cannot be used.
        InUseError: another process, or the page, listens on the port.
    """
    if settings.probe_port is None:
        return None
    host = settings.host if settings.probe_host is None else settings.probe_host
    addresses = _resolve("web.probe_host", host, settings.probe_port)
    return _listen(addresses[0], "web.probe", host, settings.probe_port)


def tls_context(settings: WebSettings) -> ssl.SSLContext | None:
    """Returns the TLS context of `web.cert_file` and `web.key_file`, or None without them.

    Raises:
        SettingsError: one file is set without the other, or a file cannot be used.
    """
    cert, key = settings.cert_file, settings.key_file
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        missing = "web.cert_file" if cert is None else "web.key_file"
        raise SettingsError(f"{missing}: certificate and key belong together", do="Set both or neither.")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(cert, key, password=lambda: "")
    except OSError as error:
        raise SettingsError("web.cert_file: certificate and key cannot be used", where=f"{cert}, {key}") from error
    context.set_alpn_protocols(["http/1.1"])
    return context


def url_of(listener: socket.socket, scheme: str = "http") -> str:
    """Returns the URL of a listening socket. For one that listens on all addresses, it has the loopback address."""
    host, port = listener.getsockname()[:2]
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        host = "::1" if address.version == 6 else "127.0.0.1"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


_Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[str, int] | tuple[str, int, int, int]]


def _resolve(key: str, host: str, port: int) -> list[_Address]:
    """Returns the socket addresses of a host. Raises a `SettingsError` that names `key` if there are none."""
    try:
        addresses = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise SettingsError(f"{key}: no such address", value=host) from error
    return addresses  # type: ignore[return-value]  # neither address is a pair of integers: IPv6 is compiled in


def _listen(address: _Address, section: str, host: str, port: int) -> socket.socket:
    """Returns a socket that listens on an address.

    Args:
        section: how the settings of host and port begin, for errors.
    """
    dot = "_" if section.endswith("probe") else "."
    family, kind, protocol, _, place = address
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise InUseError(
                f"port {port} is in use by another process",
                where=f"{section}{dot}port on {host}",
                do=f"Stop that process, or choose another port with {'--port' if dot == '.' else 'web.probe_port'} "
                "(0 takes a free one).",
            ) from None
        raise SettingsError(
            f"{section}{dot}host and {section}{dot}port: cannot listen on port {port}", value=host
        ) from error
    return listener
