"""The proxy passes on what it should, and every fault of it is one."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from harness.proxy import ADD_PARTITIONS, END, Proxy, Trap

FETCH = 1
SLOW_S = 0.3


def frame(request: int, correlation: int, body: bytes = b"") -> bytes:
    """A request as Kafka frames it."""
    head = request.to_bytes(2, "big") + b"\0\0" + correlation.to_bytes(4, "big") + b"\xff\xff" + body
    return len(head).to_bytes(4, "big") + head


class Broker:
    """Answers each request with its correlation id, no throttle and one error code; keeps what it has heard."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.first = asyncio.Event()
        self.error = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                size = await reader.readexactly(4)
                request = await reader.readexactly(int.from_bytes(size, "big"))
                self.heard.append(request)
                self.first.set()
                body = request[4:8] + b"\0\0\0\0" + self.error.to_bytes(2, "big")
                writer.write(len(body).to_bytes(4, "big") + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            writer.close()


@asynccontextmanager
async def opened() -> AsyncIterator[tuple[Proxy, Broker]]:
    broker = Broker()
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0)
    proxy = Proxy(random.Random(1))
    await proxy.listen()
    proxy.pass_on_to(server.sockets[0].getsockname()[1])
    try:
        async with asyncio.timeout(20):
            yield proxy, broker
    finally:
        await proxy.close()
        server.close()


async def asked(proxy: Proxy, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(request)
    return reader, writer


async def answer(reader: asyncio.StreamReader) -> int:
    """The correlation id of the next answer."""
    size = await reader.readexactly(4)
    return int.from_bytes((await reader.readexactly(int.from_bytes(size, "big")))[:4], "big")


async def test_requests_and_answers_pass_in_order() -> None:
    async with opened() as (proxy, broker):
        reader, writer = await asked(proxy, frame(FETCH, 1, b"x" * 200_000) + frame(FETCH, 2))
        assert [await answer(reader), await answer(reader)] == [1, 2]
        assert [len(request) for request in broker.heard] == [200_010, 10]
        writer.close()


async def test_a_cut_resets_the_connections_and_new_ones_are_let_in() -> None:
    async with opened() as (proxy, _):
        reader, _writer = await asked(proxy, frame(FETCH, 1))
        assert await answer(reader) == 1
        assert proxy.cut() == 1
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            await answer(reader)
        reader, _writer = await asked(proxy, frame(FETCH, 2))
        assert await answer(reader) == 2


async def test_while_it_refuses_nobody_is_let_in() -> None:
    async with opened() as (proxy, broker):
        proxy.refusing = True
        reader, _writer = await asked(proxy, frame(FETCH, 1))
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            await answer(reader)
        assert broker.heard == []


async def test_traffic_that_is_stalled_one_way_passes_when_it_is_healed() -> None:
    async with opened() as (proxy, broker):
        proxy.down.open.clear()
        reader, _writer = await asked(proxy, frame(FETCH, 1))
        waiting = asyncio.create_task(answer(reader))
        async with asyncio.timeout(20):
            await broker.first.wait()
        done, _pending = await asyncio.wait([waiting], timeout=SLOW_S)
        assert not done
        assert len(broker.heard) == 1
        proxy.heal()
        assert await waiting == 1


async def test_traffic_that_is_delayed_comes_late() -> None:
    async with opened() as (proxy, _):
        proxy.up.latency_s = SLOW_S
        began = time.monotonic()
        reader, _writer = await asked(proxy, frame(FETCH, 1))
        assert await answer(reader) == 1
        assert time.monotonic() - began >= SLOW_S


async def test_a_trap_springs_once_on_the_request_of_its_process_and_keeps_it_back() -> None:
    async with opened() as (proxy, broker):
        caught: list[int] = []
        trap = Trap(END, lambda pid: pid == os.getpid(), caught.append, hold=True)
        other = Trap(END, lambda pid: False, caught.append, hold=True)
        proxy.set(trap)
        proxy.set(other)
        reader, writer = await asked(proxy, frame(FETCH, 1) + frame(END, 2))
        assert await answer(reader) == 1
        await trap.sprung.wait()
        assert len(broker.heard) == 1
        proxy.lift(trap)
        assert await answer(reader) == 2
        writer.write(frame(END, 3))
        assert await answer(reader) == 3
        assert caught == [os.getpid()]
        assert not other.sprung.is_set()


@pytest.mark.parametrize(("error", "fenced"), [(0, 0), (47, 1), (90, 1), (51, 0)])
async def test_a_transaction_that_the_broker_refuses_as_fenced_is_counted(error: int, fenced: int) -> None:
    async with opened() as (proxy, broker):
        broker.error = error
        reader, _writer = await asked(proxy, frame(FETCH, 1) + frame(END, 2))
        assert [await answer(reader), await answer(reader)] == [1, 2]
        assert sum(proxy.fenced.values()) == fenced
        assert proxy.fenced["EndTxn"] == fenced
        assert proxy.fenced[str(ADD_PARTITIONS)] == 0
