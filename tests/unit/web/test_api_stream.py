"""The live stream: events of every change, resumption after a break, and its end."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

import aiohttp
import pytest

from riskwire.settings import Settings, WebSettings
from riskwire.store import Store
from riskwire.web import create_app, serve


class Events:
    """A reader of server-sent events."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def next(self, *kinds: str) -> dict[str, Any]:
        """Returns the fields of the next event of one of the kinds, with its data parsed; skips other events.

        Raises:
            TimeoutError: none came within 10 s.
            EOFError: the stream has ended.
        """
        async with asyncio.timeout(10):
            while True:
                event: dict[str, Any] = {}
                while line := (await self._response.content.readline()).decode().rstrip("\r\n"):
                    name, _, value = line.partition(": ")
                    event[name] = value
                if not event and self._response.content.at_eof():
                    raise EOFError
                if event.get("event") in kinds:
                    return event | {"data": json.loads(event["data"])}


@asynccontextmanager
async def stream(client: aiohttp.ClientSession, last: str | None = None) -> AsyncIterator[Events]:
    """Opens the live stream, and yields its events.

    Args:
        last: the id of the last event that the client has received, after which the stream resumes.
    """
    headers = {"Last-Event-ID": last} if last else {}
    async with client.get("/api/v1/stream", headers=headers) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        yield Events(response)


async def test_a_stream_starts_with_the_status(client: aiohttp.ClientSession) -> None:
    async with stream(client) as events:
        assert (await events.next("status"))["data"]["bundle"] == "fictional@1"


async def test_a_new_alert_is_sent(client: aiohttp.ClientSession, store: Store, news: ModuleType) -> None:
    async with stream(client) as events:
        await events.next("status")
        await store.write_off_loop(store.write_alerts, [news.alert()])
        event = await events.next("alert")
        assert event["data"]["id"] == news.alert().id
        assert event["data"]["summary"].startswith("Veldara Chemicals")


async def test_changed_targets_and_trends_are_named(
    client: aiohttp.ClientSession, store: Store, news: ModuleType
) -> None:
    """The events contain no data but the targets, whose data the page then reads again."""
    async with stream(client) as events:
        await events.next("status")
        await store.write_off_loop(store.write_signals, [news.signal("a"), news.signal("a", target="market")])
        assert (await events.next("target"))["data"] == {"targets": [news.VELDARA, "market"]}
        await store.write_off_loop(store.write_trends, [news.trend()])
        assert (await events.next("trend"))["data"] == {"targets": [news.VELDARA]}


async def test_a_client_that_reconnects_receives_the_events_it_missed(
    client: aiohttp.ClientSession, store: Store, news: ModuleType
) -> None:
    """The client sends the id of its last event; the second alert is written between the two streams."""
    async with stream(client) as events:
        await events.next("status")
        await store.write_off_loop(store.write_alerts, [news.alert("first")])
        last = (await events.next("alert"))["id"]
    await store.write_off_loop(store.write_alerts, [news.alert("missed")])
    async with stream(client, last) as events:
        assert (await events.next("alert"))["data"]["id"] == news.alert("missed").id


async def test_an_unknown_event_id_starts_with_the_next_change(
    client: aiohttp.ClientSession, store: Store, news: ModuleType
) -> None:
    """The id is larger than any that the store has given."""
    async with stream(client, "99999999") as events:
        await events.next("status")
        await store.write_off_loop(store.write_alerts, [news.alert()])
        assert (await events.next("alert"))["data"]["id"] == news.alert().id


async def test_streams_are_limited_and_an_ended_stream_frees_its_place(serving: Any) -> None:
    """One stream is allowed. After it has ended, the test tries again until a stream is accepted."""
    async with serving(max_streams=1) as client:
        async with stream(client) as events:
            await events.next("status")
            async with client.get("/api/v1/stream") as refusal:
                assert refusal.status == 503
                assert "web.max_streams" in (await refusal.json(content_type=None))["detail"]
        async with asyncio.timeout(10):
            while True:
                async with client.get("/api/v1/stream") as response:
                    if response.status == 200:
                        break


async def test_the_server_stops_promptly_with_streams_open(
    store: Store, process: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server would wait 40 s for requests under way; it must stop in less than 20 s."""
    monkeypatch.setattr("riskwire.web.listening.server.STOP_TIMEOUT_S", 40)
    settings = Settings(web=WebSettings(port=0))
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    server = asyncio.create_task(serve(create_app(settings, store, process.services()), settings, url.set_result))
    async with aiohttp.ClientSession(await url) as client, stream(client) as events:
        await events.next("status")
        begun = time.monotonic()
        server.cancel()
        await asyncio.wait([server], timeout=60)
        assert server.cancelled()
        assert time.monotonic() - begun < 20, "streams are ended, not waited for"
