"""A real HTTP server that receives notifications, and an alert to send."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from aiohttp import web

from riskwire.records import Alert, AlertEvidence

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


@dataclass
class HttpReceiver:
    """An HTTP server that stores requests.

    Attributes:
        requests: headers and body of each request.
        answers: the status codes of the next answers; 200 when there are none left.
        headers: the headers of answers that are not 200.
        body: the body of each answer.
        hang: whether requests are never answered.
        wait: what an answer waits for; None for nothing.
    """

    url: str = ""
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    hang: bool = False
    wait: asyncio.Event | None = None
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Records a request, and answers with the next prepared status, else 200; never answers while `hang` is set."""
        raw = await request.read()
        async with self.changed:
            self.requests.append((dict(request.headers), raw))
            self.changed.notify_all()
        if self.hang:
            await asyncio.Event().wait()
        if self.wait is not None:
            await self.wait.wait()
        status = self.answers.pop(0) if self.answers else 200
        return web.Response(status=status, headers=self.headers if status != 200 else {}, body=self.body)

    async def wait_for_requests(self, count: int, timeout_s: float = 10.0) -> None:
        """Waits until this many requests have been received."""
        async with asyncio.timeout(timeout_s), self.changed:
            await self.changed.wait_for(lambda: len(self.requests) >= count)


@pytest.fixture
async def start_receiver() -> AsyncIterator[Callable[[], Awaitable[HttpReceiver]]]:
    """Yields a function that starts an HTTP receiver on a free port of 127.0.0.1; stops all receivers at the end."""
    runners: list[web.AppRunner] = []

    async def start() -> HttpReceiver:
        """Starts a receiver on a free port of 127.0.0.1, and returns it with its URL."""
        receiver = HttpReceiver()
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", receiver.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        runners.append(runner)
        port = runner.addresses[0][1]
        receiver.url = f"http://127.0.0.1:{port}/hook"
        return receiver

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
def alert() -> Callable[..., Alert]:
    """Returns a function that makes an alert which fired at `NOW`, with the given fields changed."""

    def make(**changes: object) -> Alert:
        """Returns an alert that fired at `NOW`, with the given fields changed."""
        fields: dict[str, object] = {
            "id": "c0de",
            "target": "entity:norrland",
            "name": "Norrland Motors",
            "status": "firing",
            "severity": "high",
            "opened_at": NOW,
            "at": NOW,
            "window_s": 21_600,
            "stories": 4,
            "sources": 4,
            "expected": 0.2,
            "surprise": 5.0,
            "threshold": 3.8,
            "summary": "4 negative stories in 6 h where 0.2 are usual",
            "would_not_fire": "with 2 negative stories or fewer",
            "evidence": (
                AlertEvidence(
                    story="5a",
                    title="Brake recall widens",
                    url="https://wire.example/1",
                    source="wire",
                    seen_at=NOW,
                    text="Brake recall widens",
                    start=0,
                    end=5,
                    negative=0.9,
                ),
            ),
        }
        return Alert.model_validate(fields | changes)

    return make
