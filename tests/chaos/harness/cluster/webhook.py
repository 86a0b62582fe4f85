"""`AlertWebhook` receives the notifications of a run, and answers a part with an error."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import suppress

from aiohttp import web

_ERROR_SHARE = 0.15


class AlertWebhook:
    """Counts the notifications that arrive, by idempotency key and body."""

    def __init__(self, rng: random.Random) -> None:
        """Creates a webhook that does not listen yet. The generator decides which notifications are refused."""
        self.arrived: Counter[tuple[str, bytes]] = Counter()
        self.refused = 0
        self._rng = rng
        self._runner: web.AppRunner | None = None
        self._arrival = asyncio.Event()
        self.url = ""

    async def listen(self) -> None:
        """Starts listening on a free port of 127.0.0.1, and sets ``url``."""
        app = web.Application()
        app.router.add_post("/alerts", self._receive)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/alerts"

    async def close(self) -> None:
        """Stops listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def wait_for(self, bodies: set[bytes], timeout_s: float) -> None:
        """Waits until all these bodies have arrived, or until the timeout."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not bodies <= {body for _, body in self.arrived}:
                    self._arrival.clear()
                    await self._arrival.wait()

    async def _receive(self, request: web.Request) -> web.Response:
        """Counts a notification and answers 204, or, for a random part, answers 503 and only counts it as refused."""
        body = await request.read()
        if self._rng.random() < _ERROR_SHARE:
            self.refused += 1
            return web.Response(status=503)
        self._arrival.set()
        self.arrived[request.headers.get("Idempotency-Key", ""), body] += 1
        return web.Response(status=204)
