"""One HTTP connection: uvicorn's protocol on h11, with deadlines and in small steps.

uvicorn has a deadline for a connection between two requests only. h11 takes 0.3 s to parse a 64 kB chunked body of
single bytes, and uvicorn parses all that was received in one step of the event loop (decision 0028).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import h11
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol

from riskwire import metrics

SLICE = 4_096
"""Bytes that are parsed in one step of the event loop: at most 20 ms."""
MAX_HEAD = 32_768
"""Largest head of a request in bytes."""
LINGER_S = 2.0
"""Time that a refused client has to read the answer while it still sends."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a client may take.

    Attributes:
        head_s: seconds from the first byte (or the connection) to the end of the request's head.
        body_s: seconds for the body, and for a client that does not read its answer.
    """

    head_s: float
    body_s: float


class SlicedFlow(FlowControl):
    """Flow control that continues with the bytes which were received already, before it reads more.

    Args:
        feed: parses the next bytes that were received; it resumes reading when there are none.
    """

    def __init__(self, transport: asyncio.Transport, feed: Callable[[], None]) -> None:
        super().__init__(transport)
        self._feed = feed

    def resume_reading(self) -> None:
        """Continues with parsing, which resumes reading in turn."""
        if self.read_paused:
            self.read_paused = False
            self._feed()


class LingeringTransport:
    """A transport that, when it is closed while the client still sends, first lets the client read the answer.

    A socket that is closed with unread bytes resets the connection, and the client may lose the answer. So reading goes
    on for up to `LINGER_S`, without parsing (RFC 9112, section 9.6).
    """

    def __init__(self, transport: asyncio.Transport, still_sends: Callable[[], bool]) -> None:
        """Takes the transport, and a function that returns whether the client still sends a request."""
        self._transport = transport
        self._still_sends = still_sends
        self._lingers = False

    def __getattr__(self, name: str) -> Any:
        """Returns an attribute of the transport itself."""
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Returns whether nothing more is parsed or sent."""
        return self._lingers or self._transport.is_closing()

    def close(self) -> None:
        """Closes the transport, or ends only the sending side if the client still sends."""
        if self.is_closing():
            return
        if not self._still_sends():
            self._transport.close()
            return
        self._lingers = True
        self._transport.resume_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        asyncio.get_running_loop().call_later(LINGER_S, self._transport.close)


class BoundedProtocol(H11Protocol):
    """A connection that ends when its client misses a deadline, and that never parses much in one step.

    Attributes:
        closed: set when the connection has ended.
    """

    deadlines = Deadlines(head_s=10.0, body_s=30.0)
    """The deadlines of a subclass: see `with_deadlines`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Takes what uvicorn passes to its protocols."""
        super().__init__(*args, **kwargs)
        self.closed = asyncio.Event()
        self._free_since = self.loop.time()
        self._unparsed = bytearray()
        self._next_step: asyncio.Handle | None = None
        self._phase = ""
        """What the client is to send before the deadline: `head`, `body`, or nothing."""
        self._send_deadline: asyncio.TimerHandle | None = None
        self._receive_deadline: asyncio.TimerHandle | None = None

    @classmethod
    def with_deadlines(cls, deadlines: Deadlines) -> type[BoundedProtocol]:
        """Returns a protocol with these deadlines. uvicorn is configured with a class."""
        return type(cls.__name__, (cls,), {"deadlines": deadlines})

    @property
    def waiting_since(self) -> float | None:
        """The loop time since which no request is in progress; None during a request."""
        in_request = self.cycle is not None and not self.cycle.response_complete
        return None if in_request else self._free_since

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts the deadline of the first head."""
        lingering: Any = LingeringTransport(transport, lambda: self.conn.their_state is h11.SEND_BODY)
        super().connection_made(lingering)
        self.flow = SlicedFlow(lingering, self._schedule_step)
        self._watch_client()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the deadlines, and forgets what was not parsed."""
        self._unparsed.clear()
        self._disarm()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self.closed.set()

    def data_received(self, data: bytes) -> None:
        """Parses the first bytes now, and the others in later steps. Meanwhile nothing is read."""
        if self.transport.is_closing():
            return
        self._unparsed += data
        if len(self._unparsed) > SLICE:
            self.transport.pause_reading()
        if self._next_step is None and not self.flow.read_paused:
            self._step()

    def on_response_complete(self) -> None:
        """Waits for the next head, or makes sure that the connection closes although the client does not read."""
        self._free_since = self.loop.time()
        super().on_response_complete()
        if self.transport.is_closing():
            self._abort_later()
        self._watch_client()

    def send_400_response(self, msg: str) -> None:
        """Refuses what is no HTTP, and ends a request in progress. A response that has begun is broken off."""
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.abort()
            return
        super().send_400_response(msg)
        self._abort_later()

    def timeout_keep_alive_handler(self) -> None:
        """Closes a connection that was idle; see `on_response_complete`."""
        super().timeout_keep_alive_handler()
        self._abort_later()

    def pause_writing(self) -> None:
        """Starts the deadline of a client that does not take its answer."""
        super().pause_writing()
        self._abort_later()

    def resume_writing(self) -> None:
        """Ends the deadline: the client has taken what was sent."""
        super().resume_writing()
        if self._send_deadline is not None and not self.transport.is_closing():
            self._send_deadline.cancel()
            self._send_deadline = None

    def abort(self) -> None:
        """Ends the connection now, whatever was not sent."""
        if self.transport is not None:
            self.transport.abort()

    def _step(self) -> None:
        """Parses the next slice of what was received. Reads more when all of it is parsed."""
        self._next_step = None
        if self.transport.is_closing():
            self._unparsed.clear()
            return
        data = bytes(self._unparsed[:SLICE])
        del self._unparsed[:SLICE]
        if data:
            super().data_received(data)
        self._watch_client()
        if self.transport.is_closing():
            self._unparsed.clear()
        elif self._unparsed:
            if not self.flow.read_paused:
                self._schedule_step()
        elif not self.flow.read_paused:
            self.transport.resume_reading()  # has no effect while it reads

    def _schedule_step(self) -> None:
        if self._next_step is None:
            self._next_step = self.loop.call_soon(self._step)

    def _watch_client(self) -> None:
        """Starts the deadline for what the client is to send next, unless it runs already."""
        state = self.conn.their_state
        if state is h11.SEND_BODY:
            phase, seconds = "body", self.deadlines.body_s
        elif state is h11.IDLE and self.timeout_keep_alive_task is None:
            phase, seconds = "head", self.deadlines.head_s
        else:
            phase, seconds = "", 0.0
        if phase == self._phase:
            return
        self._phase = phase
        if self._receive_deadline is not None:
            self._receive_deadline.cancel()
        self._receive_deadline = self.loop.call_later(seconds, self._miss, phase) if phase else None

    def _miss(self, phase: str) -> None:
        """Ends the connection because its client missed the deadline of a phase: `head`, `body` or `sending` to it."""
        metrics.CLOSED_CONNECTIONS.labels(reason=f"{phase} deadline").inc()
        self.abort()

    def _abort_later(self) -> None:
        """Ends the connection after the deadline, unless the client accepts the sent bytes before."""
        if self._send_deadline is None:
            self._send_deadline = self.loop.call_later(self.deadlines.body_s, self._miss, "sending")

    def _disarm(self) -> None:
        for handle in (self._next_step, self._send_deadline, self._receive_deadline):
            if handle is not None:
                handle.cancel()
        self._next_step = self._send_deadline = self._receive_deadline = None
