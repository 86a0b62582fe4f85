"""Which addresses may be fetched: http and https to public hosts, and private hosts that the settings name.

A host name is checked when it is resolved: `GuardedResolver` passes only permitted addresses to the HTTP client. The
client therefore connects to an address that was checked, and a second DNS answer cannot replace it (DNS rebinding). The
HTTP client does not resolve a literal IP address; `parse_permitted_url` checks it, at every redirect.
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
_NUMERIC_HOST = re.compile(r"(^|\.)(\d+|0x[0-9a-f]*)$")
"""The end of an IPv4 address in an unusual form, such as `2130706433` or `127.1`, which some resolvers accept."""
_ALLOW_HOST = "Add the host to ingest.allow_private_hosts if it is meant"


def is_public(address: IpAddress) -> bool:
    """Returns whether an address is on the public internet. IPv4 addresses embedded in IPv6 are judged as IPv4."""
    return all(
        part.is_global and not part.is_multicast and not part.is_reserved for part in _embedded_addresses(address)
    )


def _embedded_addresses(address: IpAddress) -> Iterator[IpAddress]:
    """Yields the addresses that an IPv6 address embeds (mapped, NAT64, 6to4, Teredo), or else the address itself."""
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
        yield ipaddress.IPv6Address("::1")  # deprecated private range, which `is_global` does not know
    else:
        yield address


def parse_url(url: str) -> URL:
    """Parses the address of a feed: http or https, with a host, without user name and password.

    Whether the host is public is not checked.

    Raises:
        RefusedError: the address does not have this form.
    """
    if len(url) > MAX_URL:
        raise RefusedError(f"an address longer than {MAX_URL} characters", value=url)
    try:
        url.encode()
        parsed = URL(url)
        host, port = parsed.host, parsed.port  # a host such as `xn--`, which cannot be decoded, is an error too
    except ValueError as error:
        raise RefusedError(f"not an address: {error}", value=url) from None
    if parsed.scheme not in {"http", "https"}:
        raise RefusedError("only http and https are fetched", value=url)
    if not host or port == 0:
        raise RefusedError("the address has no valid host or port", value=url)
    if parsed.user is not None or parsed.password is not None:
        raise RefusedError("an address with a user name or password", value=str(parsed.with_user(None)))
    return parsed


def parse_permitted_url(url: str, allow: Collection[str]) -> URL:
    """Parses the address of a feed, and refuses literal private addresses. A host name is not resolved here.

    Args:
        allow: private hosts that are permitted, as `host_of` returns them.

    Raises:
        RefusedError: the address is malformed, or a literal IP address that is neither public nor in `allow`.
    """
    parsed = parse_url(url)
    host = host_of(parsed)
    if host in allow:
        return parsed
    literal = _parse_ip(host)
    if literal is None:
        if _NUMERIC_HOST.search(host):
            raise RefusedError("neither a host name nor an IP address in its usual form", value=url)
    elif not is_public(literal):
        raise RefusedError("a private address", value=url, do=_ALLOW_HOST)
    return parsed


def host_of(url: URL) -> str:
    """Returns the host of an address in lower case and without a trailing dot, for comparison."""
    return (url.host or "").rstrip(".").lower()


def _parse_ip(host: str) -> IpAddress | None:
    """Returns the IP address that a host consists of, or None for a host name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


class GuardedResolver(AbstractResolver):
    """Resolves host names, and drops private addresses.

    Args:
        allow: hosts whose private addresses are permitted.
        resolver: resolves the names; by default the resolver of the operating system.
    """

    def __init__(self, allow: Collection[str], resolver: AbstractResolver | None = None) -> None:
        self._allow = frozenset(allow)
        self._resolver = resolver or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Returns the addresses of a host that may be connected to: the public ones, or all of an allowed host.

        Raises:
            RefusedError: the host has only private addresses.
            OSError: the host cannot be resolved.
        """
        results = await self._resolver.resolve(host, port, family)
        if host.rstrip(".").lower() in self._allow:
            return results
        public = [result for result in results if is_public(ipaddress.ip_address(result["host"]))]
        if not public:
            addresses = ", ".join(sorted({result["host"] for result in results}))
            raise RefusedError(f"the host has a private address ({addresses})", value=host, do=_ALLOW_HOST)
        return public

    async def close(self) -> None:
        """Closes the underlying resolver."""
        await self._resolver.close()
