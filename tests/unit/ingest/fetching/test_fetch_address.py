"""Only public addresses are fetched, in whatever form they are written or resolved."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st

from riskwire.errors import RefusedError
from riskwire.ingest.fetching.address import GuardedResolver, is_public, parse_permitted_url

PRIVATE = [
    "127.0.0.1",
    "127.255.255.255",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "192.0.2.1",
    "198.18.0.1",
    "::1",
    "::",
    "fe80::1",
    "fc00::1",
    "fd12::1",
    "ff02::1",
    "fec0::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a00:1::",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "2606:4700::1111",
    "2001:4860:4860::8888",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_the_same_in_every_ipv6_form(address: ipaddress.IPv4Address) -> None:
    """The forms are mapped (::ffff:0:0/96), NAT64 (64:ff9b::/96) and 6to4 (2002::/16)."""
    number = int(address)
    forms = (0xFFFF << 32 | number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80)
    assert {is_public(ipaddress.IPv6Address(form)) for form in forms} == {is_public(address)}


@pytest.mark.parametrize(
    "url",
    [f"http://{f'[{address}]' if ':' in address else address}/feed" for address in PRIVATE]
    + ["http://2130706433/", "http://0x7f.1/", "http://0x7f000001/", "http://127.1/", "http://017700000001/"]
    + [
        "file:///etc/passwd",
        "ftp://e.example/",
        "gopher://e.example/",
        "http:///x",
        "http://u:p@e.example/",
        "http://u@e.example/",
    ]
    + [
        "http://e.example:0/",
        "http://e.example:99999/",
        "http://[::1/",
        "http://xn--/",
        "http://xn--a/",
        "http://xn--0.example/",
        "http://xn--\u00e9/",
        "http://\u2100.example/",
        pytest.param("http://" + "a" * 5_000, id="too long"),
        pytest.param("", id="empty"),
    ],
)
def test_private_addresses_unusual_forms_and_other_schemes_are_refused(url: str) -> None:
    with pytest.raises(RefusedError):
        parse_permitted_url(url, ())


def test_only_the_private_hosts_in_the_settings_are_permitted() -> None:
    """The second argument has the hosts of `ingest.allow_private_hosts`."""
    assert parse_permitted_url("http://127.0.0.1:8000/x", {"127.0.0.1"}).port == 8000
    with pytest.raises(RefusedError, match=r"allow_private_hosts"):
        parse_permitted_url("http://127.0.0.2/x", {"127.0.0.1"})


class FixedResolver(AbstractResolver):
    """Resolves every name to the same addresses."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Resolves every host to the same addresses."""
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in self.addresses
        ]

    async def close(self) -> None:
        pass


async def test_a_host_with_only_private_addresses_is_refused() -> None:
    with pytest.raises(RefusedError, match=r"private address \(10.0.0.1\)"):
        await GuardedResolver((), FixedResolver("10.0.0.1")).resolve("intranet.example")


async def test_private_addresses_of_a_host_are_dropped() -> None:
    results = await GuardedResolver((), FixedResolver("10.0.0.1", "1.1.1.1", "::1")).resolve("both.example")
    assert [result["host"] for result in results] == ["1.1.1.1"]


async def test_a_host_in_the_settings_may_resolve_to_a_private_address() -> None:
    results = await GuardedResolver({"intranet.example"}, FixedResolver("10.0.0.1")).resolve("Intranet.example.")
    assert [result["host"] for result in results] == ["10.0.0.1"]
