"""A local HTTP server that receives webhooks, stores them and answers with a given status."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A request that was received, and the status it was answered with."""

    key: str
    """The idempotency key."""
    body: bytes
    status: int


class WebhookServer:
    """Stores requests, and answers each with `status` as soon as `open` is set, as it is at first.

    Attributes:
        status: the status of the next answers; 200 at first.
        open: while it is cleared, requests wait for their answer, for `PATIENCE_S` seconds at most.
        requests: the requests received so far.
    """

    def __init__(self, port: int) -> None:
        """Prepares answers of status 200. `running_webhook_server` listens on `port` and passes requests on."""
        self.url = f"http://127.0.0.1:{port}/hook/a-secret-path"
        self.status = 200
        self.open = threading.Event()
        self.open.set()
        self.requests: list[WebhookRequest] = []
        self._changed = threading.Condition()

    def receive(self, key: str, body: bytes) -> int:
        """Stores a request, waits until `open` is set, and returns the status to answer with.

        The request is stored with the status at its arrival. The answer has the status after the wait.
        """
        with self._changed:
            self.requests.append(WebhookRequest(key, body, self.status))
            self._changed.notify_all()
        self.open.wait(timeout=PATIENCE_S)
        return self.status

    def wait_until(
        self, condition: Callable[[list[WebhookRequest]], bool], timeout_s: float = PATIENCE_S
    ) -> list[WebhookRequest]:
        """Waits until the requests received satisfy a condition, and returns them.

        Raises:
            AssertionError: they do not within `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not condition(self.requests):
                remaining_s = deadline - time.monotonic()
                assert remaining_s > 0, f"the condition was not met by {len(self.requests)} requests"
                self._changed.wait(remaining_s)
            return list(self.requests)


@contextmanager
def running_webhook_server() -> Iterator[WebhookServer]:
    """Runs an HTTP server for webhooks on a free port, in threads, until the body ends. Yields the server."""

    class WebhookHandler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            """Passes a request to the server object, and answers with the status that it returns."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = webhooks.receive(self.headers["Idempotency-Key"], body)
            try:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
            except OSError:  # the client was killed
                self.close_connection = True

        def log_message(self, *args: object) -> None:
            """Logs nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), WebhookHandler)
    server.daemon_threads = True
    webhooks = WebhookServer(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield webhooks
    finally:
        webhooks.open.set()
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)
