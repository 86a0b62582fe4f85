"""`StoreFaults` injects faults into the PostgreSQL server of the store: killed, frozen, its connections cut."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress

from stores.postgresql import PostgresServer

from harness.faults.plan import Fault


class StoreFaults:
    """Faults of one server. Only one fault stops the server at a time."""

    def __init__(self, server: PostgresServer, session_s: float, log: Callable[[str], None]) -> None:
        """Makes the faults of a running server. A frozen server sleeps for longer than `session_s` at times."""
        self._server = server
        self._session_s = session_s
        self._log = log
        self._lock = asyncio.Lock()

    async def kill(self, fault: Fault, rng: random.Random) -> None:
        """Ends the server without a checkpoint, and starts it again after up to 8 s."""
        async with self._lock:
            away_s = rng.uniform(0, 8)
            self._say(fault, f"for {away_s:.1f} s")
            await asyncio.to_thread(self._server.kill)
            try:
                await asyncio.sleep(away_s)
            finally:
                await asyncio.to_thread(self._server.start)

    async def freeze(self, fault: Fault, rng: random.Random) -> None:
        """Suspends every process of the server, and resumes them after up to three session timeouts."""
        async with self._lock:
            frozen_s = rng.uniform(1, self._session_s * 3)
            self._say(fault, f"for {frozen_s:.1f} s")
            self._server.suspend()
            try:
                await asyncio.sleep(frozen_s)
            finally:
                self._server.resume()

    async def cut_connections(self, fault: Fault, rng: random.Random) -> None:
        """Ends all connections, up to five times in a row, so that some are in a transaction."""
        async with self._lock:
            cuts = rng.randint(1, 5)
            self._say(fault, f"{cuts} times")
            for _ in range(cuts):
                with suppress(OSError):
                    await asyncio.to_thread(self._server.cut_connections)
                await asyncio.sleep(rng.uniform(0, 0.5))

    def _say(self, fault: Fault, details: str) -> None:
        self._log(f"#{fault.number} {fault.kind}: {details}")
