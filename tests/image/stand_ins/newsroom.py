"""A feed and a receiver of notifications in one, for the test of deploy/compose.yaml. Runs in a container.

GET /feed.xml             the stories as RSS
POST /stories             a JSON list of titles, which are published now
POST /status/503          the status with which notifications are answered from now on
POST /hook                a notification
GET /notifications        the notifications so far, each with key, body and the status of its answer, as JSON
"""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.sax.saxutils import escape

stories: list[str] = []
notifications: list[dict[str, object]] = []
answer = {"status": 200}
lock = threading.Lock()


class _Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    def do_GET(self) -> None:
        with lock:
            if self.path == "/feed.xml":
                items = "".join(stories)
                self._send(200, f'<rss version="2.0"><channel><title>News</title>{items}</channel></rss>', "text/xml")
            else:
                self._send(200, json.dumps(notifications), "application/json")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        with lock:
            status = 200
            if self.path == "/stories":
                stories.extend(item(title) for title in json.loads(body))
            elif self.path.startswith("/status/"):
                answer["status"] = int(self.path.removeprefix("/status/"))
            else:
                status = answer["status"]
                key = self.headers.get("Idempotency-Key")
                notifications.append({"key": key, "record": json.loads(body), "status": status})
            self._send(status, "", "text/plain")

    def _send(self, status: int, text: str, kind: str) -> None:
        raw = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


def item(title: str) -> str:
    """Returns a story of this moment as an item of RSS."""
    address = f"http://news:8000/{len(stories)}-{abs(hash(title))}"
    date = format_datetime(datetime.now(UTC))
    fields = {"title": escape(title), "link": address, "guid": address, "pubDate": date}
    return "<item>" + "".join(f"<{name}>{value}</{name}>" for name, value in fields.items()) + "</item>"


if __name__ == "__main__":
    ThreadingHTTPServer(("", 8000), _Handler).serve_forever()
