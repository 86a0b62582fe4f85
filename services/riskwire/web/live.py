"""Live updates: one watcher of the change sequence, and the events of each stream."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import structlog
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Receive, Scope, Send

from riskwire import metrics
from riskwire.errors import StoreError
from riskwire.records import to_json
from riskwire.store import Change, Store
from riskwire.web.problems import Problem
from riskwire.web.status import StatusBoard

log = structlog.get_logger(__name__)

LOOK_S = 0.25
"""How often the change sequence is looked at."""
STATUS_S = 5.0
"""A stream gets a status at least this often, and not more often than `StatusBoard` makes new ones."""
HEARTBEAT_S = 15
SEND_S = 30
"""A client that takes nothing for this long is let go; it comes back with Last-Event-ID."""
MOST = 500
"""Changes told in one go."""


class Live:
    """Wakes the streams when the store changes, and ends them when the process stops."""

    def __init__(self, store: Store, board: StatusBoard, max_streams: int) -> None:
        self._store = store
        self._board = board
        self._free = max_streams
        self._max = max_streams
        self._seq = 0
        self._moved = asyncio.Condition()
        self._stopping = False

    async def watch(self) -> None:
        """Follow the change sequence until cancelled."""
        while True:
            try:
                seq = await self._store.off_loop(self._store.last_change)
            except StoreError as error:
                log.warning("live updates cannot read the store", error=str(error))
                await asyncio.sleep(STATUS_S)
                continue
            if seq != self._seq:
                async with self._moved:
                    self._seq = seq
                    self._moved.notify_all()
            await asyncio.sleep(LOOK_S)

    async def stop(self) -> None:
        """End every stream; new ones are refused."""
        async with self._moved:
            self._stopping = True
            self._moved.notify_all()

    async def open(self, last_event_id: str | None) -> EventSourceResponse:
        """A stream that goes on after an event, or starts now.

        Raises:
            Problem: 503 when too many are open.
        """
        if self._stopping or self._free == 0:
            why = "riskwire is stopping" if self._stopping else f"web.max_streams: {self._max} streams are open already"
            raise Problem(503, why, {"Retry-After": "10"})
        newest = await self._store.off_loop(self._store.last_change)
        after = int(last_event_id) if last_event_id and last_event_id.isdigit() else newest
        if self._free == 0:  # another stream may have taken the last place meanwhile
            raise Problem(503, f"web.max_streams: {self._max} streams are open already", {"Retry-After": "10"})
        self._free -= 1
        metrics.STREAMS.inc()
        # A store that was emptied starts to count anew: what the client knows is then of another life.
        return _Stream(self, self._events(min(after, newest)))

    def release(self) -> None:
        """Give a stream's place back."""
        self._free += 1
        metrics.STREAMS.dec()

    async def _events(self, after: int) -> AsyncIterator[ServerSentEvent]:
        told = 0.0
        while not self._stopping:
            if time.monotonic() - told >= STATUS_S:
                yield _event("status", await self._board.read(), after)
                told = time.monotonic()
            changes = await self._store.off_loop(self._store.changes, after, MOST)
            if changes:
                async for event in self._of(changes):
                    yield event
                after = changes[-1].seq
            else:
                await self._wait(after, STATUS_S)

    async def _of(self, changes: list[Change]) -> AsyncIterator[ServerSentEvent]:
        """The events of some changes; only the last carries an id, so that a broken stream repeats and never skips."""
        events: list[tuple[str, object]] = []
        ids = [change.key for change in changes if change.kind == "alert"]
        events += [("alert", row) for row in await self._store.off_loop(self._store.alerts_by_id, ids)]
        for kind in ("trend", "target"):
            if keys := [change.key for change in changes if change.kind == kind]:
                events.append((kind, {"targets": keys}))
        if not events or any(change.kind == "status" for change in changes):
            events.append(("status", await self._board.read()))
        for place, (kind, body) in enumerate(events, start=1):
            yield _event(kind, body, changes[-1].seq if place == len(events) else None)

    async def _wait(self, after: int, most_s: float) -> None:
        try:
            async with asyncio.timeout(most_s), self._moved:
                await self._moved.wait_for(lambda: self._stopping or self._seq > after)
        except TimeoutError:
            return


class _Stream(EventSourceResponse):
    """A stream that gives its place back however it ends."""

    def __init__(self, live: Live, events: AsyncIterator[ServerSentEvent]) -> None:
        super().__init__(events, ping=HEARTBEAT_S, send_timeout=SEND_S)
        self._live = live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._live.release()


def _event(kind: str, body: object, seq: int | None) -> ServerSentEvent:
    return ServerSentEvent(to_json(body).decode(), event=kind, id=None if seq is None else str(seq))
