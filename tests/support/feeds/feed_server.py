"""A local HTTP server of RSS feeds with validators, which records every request."""

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
class FeedRequest:
    """One request.

    Attributes:
        agent: the header `User-Agent`.
        validator: the header `If-None-Match`, which makes the request conditional.
        status: the status of the answer.
        at: when it was answered (`time.monotonic()`).
    """

    feed: str
    agent: str
    validator: str | None
    status: int
    at: float


class FeedServer:
    """The feeds by name, each a list of item numbers, and the requests so far."""

    def __init__(self, port: int) -> None:
        """Prepares a server without feeds. `serve_feeds` listens on `port` and passes requests on."""
        self.port = port
        self.requests: list[FeedRequest] = []
        self._items: dict[str, list[int]] = {}
        self._lock = threading.Lock()

    def url(self, feed: str) -> str:
        return f"http://127.0.0.1:{self.port}/{feed}"

    def publish(self, feed: str, *items: int) -> None:
        """Adds items to a feed, which is created if it does not exist."""
        with self._lock:
            self._items.setdefault(feed, []).extend(items)

    def item_urls(self) -> set[str]:
        """Returns the address of every published item."""
        with self._lock:
            return {item_url(feed, item) for feed, items in self._items.items() for item in items}

    def requests_since(self, moment: float) -> list[FeedRequest]:
        """Returns the requests after a time of `time.monotonic()`."""
        with self._lock:
            return [request for request in self.requests if request.at > moment]

    def body(self, feed: str, items: list[int]) -> bytes:
        """Returns the document of a feed."""
        return rss_document(feed, items)

    def answer(self, feed: str, agent: str, validator: str | None) -> tuple[int, str, bytes]:
        """Records a request. Returns the status, the entity tag and the body of the answer.

        The status is 404 for an unknown feed; 304, without a body, if the validator is the tag of the present document.
        """
        with self._lock:
            items = self._items.get(feed)
            if items is None:
                status, tag, body = 404, "", b""
            else:
                body = self.body(feed, items)
                tag = f'"{blake2b(body, digest_size=8).hexdigest()}"'
                status = 304 if validator == tag else 200
            self.requests.append(FeedRequest(feed, agent, validator, status, time.monotonic()))
            return status, tag, b"" if status == 304 else body


def item_url(feed: str, item: int) -> str:
    """Returns the address of an item's page."""
    return f"https://news.example/{feed}/{item}"


def rss_document(feed: str, items: list[int]) -> bytes:
    """Returns an RSS document with the given items."""
    elements = "".join(
        f"<item><title>Globex closes plant number {item} of {feed} after losses</title>"
        f"<link>{item_url(feed, item)}</link><guid>{feed}-{item}</guid></item>"
        for item in items
    )
    return f'<?xml version="1.0"?><rss version="2.0"><channel><title>x</title>{elements}</channel></rss>'.encode()


S = TypeVar("S", bound=FeedServer)


@contextmanager
def serve_feeds(create: Callable[[int], S] = FeedServer) -> Iterator[S]:  # type: ignore[assignment]
    """Serves feeds on a free port until the context ends.

    Args:
        create: returns the feed server, given the port.
    """

    class FeedRequestHandler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Answers with the feed whose name is the path."""
            validator = self.headers.get("If-None-Match")
            status, tag, body = feed_server.answer(self.path[1:], self.headers.get("User-Agent", ""), validator)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if tag:
                self.send_header("ETag", tag)
            if body:
                self.send_header("Content-Type", "application/rss+xml")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Logs nothing."""

    http_server = ThreadingHTTPServer(("127.0.0.1", 0), FeedRequestHandler)
    http_server.daemon_threads = True
    feed_server = create(http_server.server_address[1])
    thread = threading.Thread(target=http_server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield feed_server
    finally:
        http_server.shutdown()
        http_server.server_close()
        thread.join(timeout=10)
