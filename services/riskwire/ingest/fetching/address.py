"""Which addresses a fetch may reach: http(s) to public hosts, unless the settings name the host.

A host is checked where its address is used: `GuardedResolver` hands the connector only addresses that passed, so the
address that was checked is the address that is connected to and a second DNS answer changes nothing (DNS rebinding).
A literal address never goes through a resolver; `permitted` checks it, at every hop of a redirect.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Collection, Iterator

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from riskwire.errors import RefusedError

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_URL = 4_096

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_V4_COMPATIBLE = ipaddress.ip_network("::/96")
_ALLOW = "Add the host to ingest.allow_private_hosts if it is meant"


def is_public(address: IpAddress) -> bool:
    """Whether an address is on the public internet; an IPv4 address carried inside an IPv6 one is judged itself."""
    return all(part.is_global and not part.is_multicast and not part.is_reserved for part in _carried(address))


def _carried(address: IpAddress) -> Iterator[IpAddress]:
    """The IPv4 addresses that an address stands for (mapped, NAT64, 6to4, Teredo), or else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        yield address
    elif address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    elif address in _NAT64 or address in _V4_COMPATIBLE:
        yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    elif address.sixtofour is not None:
        yield address.sixtofour
    elif address.teredo is not None:
        yield from address.teredo
    elif address.is_site_local:
        yield ipaddress.IPv6Address("::1")
    else:
        yield address


def well_formed(url: str) -> URL:
    """Parse the address of a feed: http or https, with a host, without a user name or password.

    Raises:
        RefusedError: naming what is wrong with it.
    """
    if len(url) > MAX_URL:
        raise RefusedError(f"an address longer than {MAX_URL} characters", value=url)
    try:
        url.encode()
        parsed = URL(url)
        port = parsed.port
    except ValueError as error:
        raise RefusedError(f"not an address: {error}", value=url) from None
    if parsed.scheme not in {"http", "https"}:
        raise RefusedError("only http and https are fetched", value=url)
    if not parsed.host or port == 0:
        raise RefusedError("the address names no host or port", value=url)
    if parsed.user is not None or parsed.password is not None:
        raise RefusedError("an address with a user name or password", value=str(parsed.with_user(None)))
    return parsed


def permitted(url: str, allow: Collection[str]) -> URL:
    """Parse an address and refuse what can be refused before any name is looked up.

    Raises:
        RefusedError: malformed, or a literal address that is not public and not in `allow`.
    """
    parsed = well_formed(url)
    host = host_of(parsed)
    if host in allow:
        return parsed
    literal = _literal(host)
    if literal is None:
        if re.search(r"(^|\.)(\d+|0x[0-9a-f]*)$", host):
            raise RefusedError("neither a host name nor an IP address as it is usually written", value=url)
    elif not is_public(literal):
        raise RefusedError("a private address", value=url, do=_ALLOW)
    return parsed


def host_of(url: URL) -> str:
    """The host of an address in the form in which hosts are compared."""
    return (url.host or "").rstrip(".").lower()


def _literal(host: str) -> IpAddress | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


class GuardedResolver(AbstractResolver):
    """Resolves names to public addresses only; for hosts in `allow`, to whatever they are."""

    def __init__(self, allow: Collection[str], resolver: AbstractResolver | None = None) -> None:
        self._allow = frozenset(allow)
        self._resolver = resolver or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Addresses that may be connected to.

        Raises:
            RefusedError: the name stands for private addresses only.
        """
        found = await self._resolver.resolve(host, port, family)
        if host.rstrip(".").lower() in self._allow:
            return found
        public = [each for each in found if is_public(ipaddress.ip_address(each["host"]))]
        if not public:
            addresses = ", ".join(sorted({each["host"] for each in found}))
            raise RefusedError(f"the host has a private address ({addresses})", value=host, do=_ALLOW)
        return public

    async def close(self) -> None:
        """Let go of the resolver underneath."""
        await self._resolver.close()
