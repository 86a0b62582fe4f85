"""The proxy forwards requests and responses, and each of its faults has its effect."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from harness.faults.proxy import ADD_PARTITIONS, END, Proxy, Trap

FETCH = 1
SLOW_S = 0.3


def frame(request: int, correlation: int, body: bytes = b"", client: bytes = b"\xff\xff") -> bytes:
    """Returns a request in a frame of Kafka's protocol.

    Args:
        client: the id of the client after its length; by default there is none.
    """
    content = request.to_bytes(2, "big") + b"\0\0" + correlation.to_bytes(4, "big") + client + body
    return len(content).to_bytes(4, "big") + content


class FakeBroker:
    """Answers each request with its correlation id, no throttle time and one error code, and records the requests."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.first_request = asyncio.Event()
        self.error = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Keeps each request of a connection, and answers it with `error` in Kafka's framing, until it is closed."""
        try:
            while True:
                size = await reader.readexactly(4)
                request = await reader.readexactly(int.from_bytes(size, "big"))
                self.requests.append(request)
                self.first_request.set()
                body = request[4:8] + b"\0\0\0\0" + self.error.to_bytes(2, "big")
                writer.write(len(body).to_bytes(4, "big") + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            writer.close()


@asynccontextmanager
async def open_proxy() -> AsyncIterator[tuple[Proxy, FakeBroker]]:
    """Yields a proxy that listens and forwards to a fake broker; closes both at the end."""
    broker = FakeBroker()
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0)
    proxy = Proxy(random.Random(1))
    await proxy.listen()
    proxy.forward_to(server.sockets[0].getsockname()[1])
    try:
        async with asyncio.timeout(20):
            yield proxy, broker
    finally:
        await proxy.close()
        server.close()


async def send_request(proxy: Proxy, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(request)
    return reader, writer


async def read_response(reader: asyncio.StreamReader) -> int:
    """Returns the correlation id of the next response."""
    size = await reader.readexactly(4)
    return int.from_bytes((await reader.readexactly(int.from_bytes(size, "big")))[:4], "big")


async def test_requests_and_responses_are_forwarded_in_order() -> None:
    async with open_proxy() as (proxy, broker):
        reader, writer = await send_request(proxy, frame(FETCH, 1, b"x" * 200_000) + frame(FETCH, 2))
        assert [await read_response(reader), await read_response(reader)] == [1, 2]
        # A request has a header of 10 bytes.
        assert [len(request) for request in broker.requests] == [200_010, 10]
        writer.close()


async def test_a_cut_resets_the_connections_and_new_ones_are_let_in() -> None:
    async with open_proxy() as (proxy, _):
        reader, _writer = await send_request(proxy, frame(FETCH, 1))
        assert await read_response(reader) == 1
        assert proxy.cut() == 1
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            await read_response(reader)
        reader, _writer = await send_request(proxy, frame(FETCH, 2))
        assert await read_response(reader) == 2


async def test_connections_are_refused_while_the_fault_is_active() -> None:
    async with open_proxy() as (proxy, broker):
        proxy.refusing = True
        reader, _writer = await send_request(proxy, frame(FETCH, 1))
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            await read_response(reader)
        assert broker.requests == []


async def test_stalled_traffic_is_forwarded_when_the_fault_ends() -> None:
    async with open_proxy() as (proxy, broker):
        proxy.to_workers.open.clear()
        reader, _writer = await send_request(proxy, frame(FETCH, 1))
        waiting = asyncio.create_task(read_response(reader))
        async with asyncio.timeout(20):
            await broker.first_request.wait()
        done, _pending = await asyncio.wait([waiting], timeout=SLOW_S)
        assert not done
        assert len(broker.requests) == 1
        proxy.clear_faults()
        assert await waiting == 1


async def test_delayed_traffic_arrives_after_the_latency() -> None:
    async with open_proxy() as (proxy, _):
        proxy.to_broker.latency_s = SLOW_S
        started_at = time.monotonic()
        reader, _writer = await send_request(proxy, frame(FETCH, 1))
        assert await read_response(reader) == 1
        assert time.monotonic() - started_at >= SLOW_S


async def test_a_trap_catches_one_request_of_its_process_and_holds_it() -> None:
    """Two traps wait for an EndTxn request, which this process sends; only one matches this process.

    The request reaches the broker when its trap is removed, and the trap catches no second one.
    """
    async with open_proxy() as (proxy, broker):
        pids: list[int] = []
        trap = Trap(END, lambda pid: pid == os.getpid(), pids.append, hold=True)
        other_process_trap = Trap(END, lambda pid: False, pids.append, hold=True)
        proxy.set_trap(trap)
        proxy.set_trap(other_process_trap)
        reader, writer = await send_request(proxy, frame(FETCH, 1) + frame(END, 2))
        assert await read_response(reader) == 1
        await trap.caught.wait()
        assert len(broker.requests) == 1
        proxy.remove_trap(trap)
        assert await read_response(reader) == 2
        writer.write(frame(END, 3))
        assert await read_response(reader) == 3
        assert pids == [os.getpid()]
        assert not other_process_trap.caught.is_set()


async def test_a_trap_may_wait_for_the_transaction_of_one_writer() -> None:
    """Both transactions are of this process. The id of the client comes before that of the transaction."""
    async with open_proxy() as (proxy, broker):
        trap = Trap(END, lambda pid: True, lambda pid: None, hold=True, transaction="infer-articles-")
        proxy.set_trap(trap)
        reader, writer = await send_request(proxy, frame(END, 1, b"\0\x0bpublisher-x"))
        assert await read_response(reader) == 1
        assert not trap.caught.is_set()
        writer.write(frame(END, 2, b"\0\x10infer-articles-3", client=b"\0\x02me"))
        await trap.caught.wait()
        assert len(broker.requests) == 1
        proxy.remove_trap(trap)
        assert await read_response(reader) == 2


@pytest.mark.parametrize(("error", "fenced"), [(0, 0), (47, 1), (90, 1), (51, 0)])
async def test_requests_that_the_broker_refuses_as_fenced_are_counted(error: int, fenced: int) -> None:
    """Errors 47 and 90 mean that another producer uses the transactional id. Only requests of a transaction count.

    The broker answers both requests with the error: a fetch, which never counts, and an EndTxn.
    """
    async with open_proxy() as (proxy, broker):
        broker.error = error
        reader, _writer = await send_request(proxy, frame(FETCH, 1) + frame(END, 2))
        assert [await read_response(reader), await read_response(reader)] == [1, 2]
        assert sum(proxy.fenced.values()) == fenced
        assert proxy.fenced["EndTxn"] == fenced
        assert proxy.fenced[str(ADD_PARTITIONS)] == 0
