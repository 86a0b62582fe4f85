"""Only public addresses are reached, however they are written or resolved."""

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
def test_public_addresses_are(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_alike_in_all_its_ipv6_forms(address: ipaddress.IPv4Address) -> None:
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
    + ["http://e.example:0/", "http://e.example:99999/", "http://[::1/", "http://" + "a" * 5_000, ""],
)
def test_literal_private_addresses_odd_spellings_and_schemes_are_refused(url: str) -> None:
    with pytest.raises(RefusedError):
        parse_permitted_url(url, ())


def test_a_host_that_the_settings_name_is_allowed_and_no_other() -> None:
    assert parse_permitted_url("http://127.0.0.1:8000/x", {"127.0.0.1"}).port == 8000
    with pytest.raises(RefusedError, match=r"allow_private_hosts"):
        parse_permitted_url("http://127.0.0.2/x", {"127.0.0.1"})


class Answers(AbstractResolver):
    """A name server that answers with what it is given."""

    def __init__(self, *hosts: str) -> None:
        self.hosts = hosts

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=each, port=port, family=family, proto=0, flags=0) for each in self.hosts
        ]

    async def close(self) -> None:
        pass


async def test_a_name_that_stands_for_a_private_address_is_refused() -> None:
    with pytest.raises(RefusedError, match=r"private address \(10.0.0.1\)"):
        await GuardedResolver((), Answers("10.0.0.1")).resolve("intranet.example")


async def test_of_a_name_with_public_and_private_addresses_only_the_public_are_used() -> None:
    found = await GuardedResolver((), Answers("10.0.0.1", "1.1.1.1", "::1")).resolve("both.example")
    assert [each["host"] for each in found] == ["1.1.1.1"]


async def test_a_name_that_the_settings_allow_may_be_private() -> None:
    found = await GuardedResolver({"intranet.example"}, Answers("10.0.0.1")).resolve("Intranet.example.")
    assert [each["host"] for each in found] == ["10.0.0.1"]
