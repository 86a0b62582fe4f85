"""A receiver of webhooks on this machine that notes what came, and answers what it is told to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Delivered:
    """One request: its idempotency key, its body, and what was answered."""

    key: str
    body: bytes
    status: int


class Receiver:
    """`status` is answered once `open` is set."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/hook/a-secret-path"
        self.status = 200
        self.open = threading.Event()
        self.open.set()
        self.got: list[Delivered] = []
        self._changed = threading.Condition()

    def take(self, key: str, body: bytes) -> int:
        """Note a request; what to answer."""
        with self._changed:
            self.got.append(Delivered(key, body, self.status))
            self._changed.notify_all()
        self.open.wait(timeout=PATIENCE_S)
        return self.status

    def until(self, holds: Callable[[list[Delivered]], bool], within_s: float = PATIENCE_S) -> list[Delivered]:
        """Wait until what came satisfies something."""
        deadline = time.monotonic() + within_s
        with self._changed:
            while not holds(self.got):
                left = deadline - time.monotonic()
                assert left > 0, f"it never came; {len(self.got)} requests did"
                self._changed.wait(left)
            return list(self.got)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port, in threads of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = receiver.take(self.headers["Idempotency-Key"], body)
            try:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
            except OSError:  # whoever asked was killed
                self.close_connection = True

        def log_message(self, *words: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver = Receiver(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.open.set()
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)
