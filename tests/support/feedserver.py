"""A publisher of feeds on this machine: real HTTP with validators, and a note of who asked for what."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeVar


@dataclass(frozen=True, slots=True)
class Asked:
    """One request; `validator` is what made it conditional, `at` a clock that never jumps."""

    feed: str
    agent: str
    validator: str | None
    status: int
    at: float


class Publisher:
    """Feeds by name, each a list of item numbers; `publish` adds items."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[Asked] = []
        self._items: dict[str, list[int]] = {}
        self._lock = threading.Lock()

    def url(self, feed: str) -> str:
        return f"http://127.0.0.1:{self.port}/{feed}"

    def publish(self, feed: str, *items: int) -> None:
        """Add items to a feed, making it."""
        with self._lock:
            self._items.setdefault(feed, []).extend(items)

    def links(self) -> set[str]:
        """The page of every item that was ever published."""
        with self._lock:
            return {link(feed, item) for feed, items in self._items.items() for item in items}

    def since(self, moment: float) -> list[Asked]:
        """Requests after a moment of `time.monotonic`."""
        with self._lock:
            return [asked for asked in self.asked if asked.at > moment]

    def body(self, feed: str, items: list[int]) -> bytes:
        """What a feed of these items says."""
        return document(feed, items)

    def answer(self, feed: str, agent: str, validator: str | None) -> tuple[int, str, bytes]:
        """Status, entity tag and body."""
        with self._lock:
            items = self._items.get(feed)
            if items is None:
                status, tag, body = 404, "", b""
            else:
                body = self.body(feed, items)
                tag = f'"{blake2b(body, digest_size=8).hexdigest()}"'
                status = 304 if validator == tag else 200
            self.asked.append(Asked(feed, agent, validator, status, time.monotonic()))
            return status, tag, b"" if status == 304 else body


def link(feed: str, item: int) -> str:
    """The page of an item."""
    return f"https://news.example/{feed}/{item}"


def document(feed: str, items: list[int]) -> bytes:
    """An RSS document."""
    entries = "".join(
        f"<item><title>Globex closes plant number {item} of {feed} after losses</title>"
        f"<link>{link(feed, item)}</link><guid>{feed}-{item}</guid></item>"
        for item in items
    )
    return f'<?xml version="1.0"?><rss version="2.0"><channel><title>x</title>{entries}</channel></rss>'.encode()


P = TypeVar("P", bound=Publisher)


@contextmanager
def publishing(make: Callable[[int], P] = Publisher) -> Iterator[P]:  # type: ignore[assignment]
    """A publisher on a free port, in threads of its own; `make` makes it, given the port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            validator = self.headers.get("If-None-Match")
            status, tag, body = publisher.answer(self.path[1:], self.headers.get("User-Agent", ""), validator)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if tag:
                self.send_header("ETag", tag)
            if body:
                self.send_header("Content-Type", "application/rss+xml")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    publisher = make(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield publisher
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)
