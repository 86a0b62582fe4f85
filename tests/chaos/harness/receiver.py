"""Where notifications arrive: a webhook that now and then has trouble of its own."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import suppress

from aiohttp import web

_TROUBLE = 0.15


class Receiver:
    """Counts what arrives, by idempotency key and body."""

    def __init__(self, chance: random.Random) -> None:
        self.arrived: Counter[tuple[str, bytes]] = Counter()
        self.refused = 0
        self._chance = chance
        self._runner: web.AppRunner | None = None
        self._came = asyncio.Event()
        self.url = ""

    async def listen(self) -> None:
        """Begin, on a free port of 127.0.0.1."""
        app = web.Application()
        app.router.add_post("/alerts", self._take)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/alerts"

    async def close(self) -> None:
        """Let the port go."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def until(self, bodies: set[bytes], within_s: float) -> None:
        """Return when all of these have arrived, or the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not bodies <= {body for _, body in self.arrived}:
                    self._came.clear()
                    await self._came.wait()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if self._chance.random() < _TROUBLE:
            self.refused += 1
            return web.Response(status=503)
        self._came.set()
        self.arrived[request.headers.get("Idempotency-Key", ""), body] += 1
        return web.Response(status=204)
