"""Live updates: one watcher of the store's change sequence, and the event streams of the browsers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

import structlog
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Receive, Scope, Send

from riskwire import metrics
from riskwire.errors import StoreError
from riskwire.records import to_json
from riskwire.store import Change, Store
from riskwire.web.bounds import event_id
from riskwire.web.problems import Problem
from riskwire.web.status import StatusBoard

log = structlog.get_logger(__name__)

POLL_INTERVAL_S = 0.25
"""Time between two reads of the change sequence."""
STATUS_INTERVAL_S = 5.0
"""Longest time between two status events of a stream; longer than `StatusBoard` caches a status."""
HEARTBEAT_S = 15
SEND_TIMEOUT_S = 30
"""A client that accepts no data for this long is disconnected; it reconnects with Last-Event-ID."""
MAX_CHANGES = 500
"""The most changes that one read of the store returns."""


class Live:
    """Wakes the streams when the store changes, and ends them when the process stops."""

    def __init__(self, store: Store, board: StatusBoard, max_streams: int) -> None:
        """Takes the store to watch, the source of status events, and the most streams open at the same time.

        `_seq` is the newest number of the store's change sequence that `watch` has read.
        """
        self._store = store
        self._board = board
        self._max_streams = max_streams
        self._free_streams = max_streams
        self._seq = 0
        self._changed = asyncio.Condition()
        self._stopping = False

    async def watch(self) -> None:
        """Watches the change sequence of the store (a number that grows with each write), and wakes the streams.

        Runs until cancelled. An error of the store is logged, and the store is read again later.
        """
        while True:
            try:
                seq = await self._store.off_loop(self._store.last_change)
            except StoreError as error:
                log.warning("live updates cannot read the store", error=str(error))
                await asyncio.sleep(STATUS_INTERVAL_S)
                continue
            if seq != self._seq:
                async with self._changed:
                    self._seq = seq
                    self._changed.notify_all()
            await asyncio.sleep(POLL_INTERVAL_S)

    async def stop(self) -> None:
        """Ends every stream; new ones are refused."""
        async with self._changed:
            self._stopping = True
            self._changed.notify_all()

    async def open(self, last_event_id: str | None) -> EventSourceResponse:
        """Opens a stream that continues after an event, or starts with the next change.

        Args:
            last_event_id: the id of the last event that the client received, which is a number of the store's change
                sequence. The stream starts with the next change if it is None or not a number.

        Raises:
            Problem: 503 when too many streams are open, or when the process stops.
        """
        if self._stopping:
            raise Problem(503, "riskwire is stopping", {"Retry-After": "10"})
        self._require_free_stream()
        newest = await self._store.off_loop(self._store.last_change)
        known = event_id(last_event_id)
        after = newest if known is None else known
        self._require_free_stream()  # another request may have taken the last stream during the await
        self._free_streams -= 1
        metrics.OPEN_STREAMS.inc()
        # The sequence of a store that was emptied starts again at 0, so a larger id is from before that.
        return _Stream(self, self._events(min(after, newest)))

    def release(self) -> None:
        """Frees the place of a stream that ended."""
        self._free_streams += 1
        metrics.OPEN_STREAMS.dec()

    def _require_free_stream(self) -> None:
        if self._free_streams == 0:
            why = f"web.max_streams: {self._max_streams} streams are open already"
            raise Problem(503, why, {"Retry-After": "10"})

    async def _events(self, after: int) -> AsyncIterator[ServerSentEvent]:
        """Yields the events of one stream after change `after` of the store: changed rows, and the status at intervals.

        A change is a numbered entry of the store's change sequence. Runs until the process stops.
        """
        status_sent_at = 0.0
        while not self._stopping:
            if time.monotonic() - status_sent_at >= STATUS_INTERVAL_S:
                yield _event("status", await self._board.read(), after)
                status_sent_at = time.monotonic()
            changes = await self._store.off_loop(self._store.changes, after, MAX_CHANGES)
            if changes:
                for event in await self._change_events(changes):
                    yield event
                after = changes[-1].seq
            else:
                await self._wait_for_change(after)

    async def _change_events(self, changes: Sequence[Change]) -> list[ServerSentEvent]:
        """Returns the events of some changes: each changed alert, the ids of changed trends and targets, the status.

        The status is among them if it has changed, or if there is no other event. Only the last event has an id, so
        that a client which reconnects in between receives events twice rather than not at all.
        """
        bodies: list[tuple[str, object]] = []
        alert_ids = [change.key for change in changes if change.kind == "alert"]
        bodies += [("alert", row) for row in await self._store.off_loop(self._store.alerts_by_id, alert_ids)]
        for kind in ("trend", "target"):
            if targets := [change.key for change in changes if change.kind == kind]:
                bodies.append((kind, {"targets": targets}))
        if not bodies or any(change.kind == "status" for change in changes):
            bodies.append(("status", await self._board.read()))
        events = [_event(kind, body, None) for kind, body in bodies[:-1]]
        kind, body = bodies[-1]
        return [*events, _event(kind, body, changes[-1].seq)]

    async def _wait_for_change(self, after: int) -> None:
        """Returns after a change with a number above `after`, when the process stops, or after `STATUS_INTERVAL_S`."""
        try:
            async with asyncio.timeout(STATUS_INTERVAL_S), self._changed:
                await self._changed.wait_for(lambda: self._stopping or self._seq > after)
        except TimeoutError:
            return


class _Stream(EventSourceResponse):
    """A stream that frees its place, however it ends."""

    def __init__(self, live: Live, events: AsyncIterator[ServerSentEvent]) -> None:
        super().__init__(events, ping=HEARTBEAT_S, send_timeout=SEND_TIMEOUT_S)
        self._live = live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the events until the client or the stream ends, then frees its place among the open streams."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._live.release()


def _event(kind: str, body: object, seq: int | None) -> ServerSentEvent:
    return ServerSentEvent(to_json(body).decode(), event=kind, id=None if seq is None else str(seq))
