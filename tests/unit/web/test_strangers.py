"""A stranger who sends half requests, endless ones or expensive ones: the work for him is bounded, and others go on."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import h11
import pytest
from attacks.strangers import Stranger, head, watched_loop
from pydantic import SecretStr
from tls_broker import make_certificates
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from riskwire import metrics
from riskwire.web.listening.connections import connection_limit
from riskwire.web.listening.protocol import MAX_HEAD, SLICE

TOKEN = SecretStr("a-token-of-these-tests")
CHUNKED = head("/api/v1/analyse", "Transfer-Encoding: chunked", "Content-Type: application/json", method="POST")


def closed(reason: str) -> float:
    """Returns the number of connections that were ended for a reason."""
    return metrics.CLOSED_CONNECTIONS.labels(reason=reason)._value.get()


@pytest.fixture
async def stranger() -> AsyncIterator[Callable[[aiohttp.ClientSession], Stranger]]:
    """Returns a function that makes a client of the server of an HTTP client."""
    strangers: list[Stranger] = []

    def make(client: aiohttp.ClientSession) -> Stranger:
        strangers.append(Stranger(str(client._base_url)))
        return strangers[-1]

    yield make
    for client in strangers:
        client.close()


async def is_answered(client: aiohttp.ClientSession) -> bool:
    """Returns whether a request on a new connection is answered within two seconds."""
    async with (
        aiohttp.ClientSession(client._base_url) as fresh,
        fresh.get("/healthz", timeout=aiohttp.ClientTimeout(total=2)) as response,
    ):
        return response.status == 200


async def test_half_sent_requests_are_bounded_and_keep_nobody_out(serving: Any, stranger: Any) -> None:
    """Of 60 connections with half a head, the port keeps 10. A new one replaces that which has waited longest."""
    displaced = closed("displaced")
    async with serving(max_connections=10, header_timeout_s=60) as client:
        half = stranger(client)
        for _ in range(60):
            await half.connect(b"GET /healthz HTTP/1.1\r\nHost: loc")
        assert await is_answered(client)
        assert next(iter(metrics.OPEN_CONNECTIONS.collect())).samples[0].value <= 10
        assert closed("displaced") - displaced >= 50


async def test_a_head_has_a_deadline_however_slowly_its_bytes_come(serving: Any, stranger: Any) -> None:
    """One header line every 50 ms does not extend the deadline of 0.3 s."""
    async with serving(header_timeout_s=0.3) as client:
        slow = stranger(client)
        reader = await slow.connect(b"GET /healthz HTTP/1.1\r\n")
        dripping = asyncio.create_task(slow.send_slowly(b"X-A: b\r\n", times=10_000, every_s=0.05))
        async with asyncio.timeout(60):  # the head would go on for longer
            with suppress(ConnectionError):
                assert await reader.read() == b""
            await dripping


async def test_a_connection_that_sends_nothing_has_a_deadline(serving: Any, stranger: Any) -> None:
    async with serving(header_timeout_s=0.2) as client:
        assert await stranger(client).answer(b"", within_s=60) == b""


@pytest.mark.parametrize("token", [None, TOKEN])
async def test_a_body_has_a_deadline(serving: Any, stranger: Any, token: SecretStr | None) -> None:
    """Also after a refusal, when uvicorn would wait for the rest of the body without any timer."""
    async with serving(token=token, body_timeout_s=0.3) as client:
        slow = stranger(client)
        reader = await slow.connect(CHUNKED)
        dripping = asyncio.create_task(slow.send_slowly(b"1\r\n[\r\n", times=10_000, every_s=0.05))
        async with asyncio.timeout(60):  # the body would go on for longer
            with suppress(ConnectionError):  # a reset, if bytes come after the server has closed
                await reader.read()
            await dripping


async def test_a_client_that_does_not_read_its_answer_is_disconnected(serving: Any, stranger: Any) -> None:
    """The client asks for the largest file of the page over and over, and reads nothing."""
    missed = closed("sending deadline")
    async with serving(body_timeout_s=0.3) as client:
        deaf = stranger(client)
        await deaf.connect(head("/static/vendor/uplot/uPlot.esm.js") * 400)
        for _ in range(400):
            await asyncio.sleep(0.05)
            if closed("sending deadline") > missed:
                return
        pytest.fail("the connection is still open")


async def test_requests_in_progress_are_not_displaced(serving: Any, stranger: Any) -> None:
    """With every connection in a request, a new connection is closed at once."""
    async with serving(max_connections=4, body_timeout_s=60) as client:
        busy = stranger(client)
        length = "Content-Length: 1000"
        readers = [
            await busy.connect(head("/api/v1/analyse", length, "Content-Type: application/json", method="POST"))
            for _ in range(4)
        ]
        await asyncio.sleep(0.3)
        refused = closed("too many")
        assert await stranger(client).answer(head("/healthz"), within_s=60) == b""
        assert closed("too many") == refused + 1
        assert not any(reader.at_eof() for reader in readers)


async def test_the_port_leaves_half_of_the_files_to_the_monitor(monkeypatch: pytest.MonkeyPatch) -> None:
    """With 256 files, as in the report of 226 half-sent requests, the port takes at most 128."""
    monkeypatch.setattr("resource.getrlimit", lambda _: (256, 256))
    assert connection_limit(10_000) == 128
    assert connection_limit(100) == 100


async def test_a_head_larger_than_the_limit_is_refused(serving: Any, stranger: Any) -> None:
    async with serving() as client:
        lines = [f"X-{number}: {'y' * 80}" for number in range(MAX_HEAD // 40)]
        answer = await stranger(client).answer(head("/healthz", *lines))
        assert answer.split()[1] in (b"400", b"431")


async def test_a_refused_body_of_tiny_chunks_is_not_parsed(
    serving: Any, stranger: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """h11 takes 5 µs a byte for chunks of one byte. The refusal comes first, and the rest is read away unparsed."""
    parsed: list[int] = []
    parse = h11.Connection.receive_data
    monkeypatch.setattr(
        h11.Connection, "receive_data", lambda self, data: (parsed.append(len(data)), parse(self, data))
    )
    async with serving(token=TOKEN) as client:
        answer = await stranger(client).answer(CHUNKED + b"1\r\nx\r\n" * 150_000)
        assert answer.startswith(b"HTTP/1.1 401")
        assert sum(parsed) <= 4 * SLICE


async def test_no_step_parses_more_than_a_slice(serving: Any, stranger: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The body is read to its end, and answered 422, since the texts are no list."""
    parsed: list[int] = []
    parse = H11Protocol.data_received

    def counted(protocol: H11Protocol, data: bytes) -> None:
        parsed.append(len(data))
        parse(protocol, data)

    monkeypatch.setattr(H11Protocol, "data_received", counted)
    async with serving() as client:
        answer = await stranger(client).answer(
            CHUNKED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + b"1\r\n1\r\n" * 4_000 + b"0\r\n\r\n"
        )
        assert answer.startswith(b"HTTP/1.1 422")
        assert max(parsed) <= SLICE
        assert sum(parsed) > 24_000


async def test_a_cookie_of_escapes_holds_nobody_up(serving: Any, stranger: Any) -> None:
    """Python's cookie parser took seconds for it. Half of it fits into a head; the whole is refused by h11."""
    async with serving(token=TOKEN) as client, watched_loop() as watch:
        for escapes, status in ((15_000, b"401"), (30_000, b"400")):
            answer = await stranger(client).answer(
                head("/", 'Cookie: a="' + "\\a" * escapes + '"', "Connection: close")
            )
            assert answer.split()[1] == status
    assert watch.worst_cpu_s < 1.0


async def test_what_is_no_http_gets_a_plain_refusal(serving: Any, stranger: Any) -> None:
    async with serving() as client:
        for data in (b"\x16\x03\x01" * 5_000, b"GET\r\n\r\n", CHUNKED + b"zz\r\n", head() + b"\0" * 100):
            assert b" 500 " not in await stranger(client).answer(data)
        assert await is_answered(client)


async def test_pipelined_requests_are_answered_one_by_one(serving: Any, stranger: Any) -> None:
    async with serving() as client:
        requests = head("/healthz") * 200 + head("/healthz", "Connection: close")
        assert (await stranger(client).answer(requests)).count(b"HTTP/1.1 200") == 201


async def test_a_tls_handshake_has_a_deadline_and_counts_as_a_connection(
    serving: Any, stranger: Any, tmp_path: Path
) -> None:
    """Strangers connect and say nothing. A client that speaks TLS is served in spite of them."""
    make_certificates(tmp_path / "tls")
    files = {"cert_file": tmp_path / "tls" / "client.pem", "key_file": tmp_path / "tls" / "client.key"}
    trust = ssl.create_default_context(cafile=str(tmp_path / "tls" / "ca.pem"))
    async with serving(max_connections=6, header_timeout_s=0.5, **files) as client:
        assert client._base_url.scheme == "https"
        silent = stranger(client)
        readers = [await silent.connect() for _ in range(20)]
        async with client.get("/healthz", ssl=trust) as response:
            assert response.status == 200
        async with asyncio.timeout(5):
            assert [await reader.read() for reader in readers] == [b""] * 20


def test_uvicorn_has_what_the_protocol_builds_on() -> None:
    """The subclass uses attributes that uvicorn does not document."""
    for method in ("data_received", "send_400_response", "on_response_complete", "timeout_keep_alive_handler"):
        assert callable(getattr(H11Protocol, method))
    assert "_unset_keepalive_if_required" in vars(H11Protocol)
    assert {"disconnected", "response_complete", "message_event"} <= set(
        RequestResponseCycle.__init__.__code__.co_names
    )
