"""Who may ask: Host header, token, origin and body size are checked before any route, headers are set after.

The Host check keeps other sites from reading the page through DNS rebinding; the origin check keeps them from posting
to it from a browser that can reach it.
"""

from __future__ import annotations

import hmac
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from riskwire.settings import WebSettings
from riskwire.web.problems import problem

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
OPEN_PATHS = frozenset({"/healthz"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
YEAR_S = 31_536_000


class Guard:
    """ASGI middleware around the whole app."""

    def __init__(self, app: ASGIApp, settings: WebSettings) -> None:
        self._app = app
        self._max_body = settings.max_body
        self._hosts = {host.lower() for host in (*settings.hosts, _bracketed(settings.host))}
        self._token = settings.token.get_secret_value().encode() if settings.token else None
        # The cookie proves knowledge of the token without holding it; its name keeps apart two riskwires of one host.
        proof = hmac.new(self._token or b"", b"riskwire page", "sha256").hexdigest()
        self._cookie, self._proof = f"riskwire-{proof[:8]}", proof[8:]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse or pass on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        cookie: str | None = None

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                out = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    out.setdefault(name, value)
                if scope["path"].startswith("/api/"):
                    out.setdefault("Cache-Control", "no-store")
                if cookie is not None:
                    out.append("Set-Cookie", cookie)
            await send(message)

        refusal = self._refusal(scope, headers)
        if refusal is None and self._token is not None and scope["path"] not in OPEN_PATHS:
            if scope["path"] == "/" and self._same(_query_token(scope)):
                secure = "; Secure" if scope.get("scheme") == "https" else ""
                cookie = f"{self._cookie}={self._proof}; Path=/; Max-Age={YEAR_S}; HttpOnly; SameSite=Strict{secure}"
            elif not self._known(headers):
                refusal = problem(
                    401,
                    "a token is needed: send `Authorization: Bearer TOKEN`, or open the page once as /?token=TOKEN",
                    {"WWW-Authenticate": 'Bearer realm="riskwire"'},
                )
        if refusal is not None:
            await refusal(scope, receive, guarded)
            return
        await self._bounded(scope, receive, guarded)

    def _refusal(self, scope: Scope, headers: Headers) -> ASGIApp | None:
        host = headers.get("host", "").lower()
        if host not in self._hosts and _without_port(host) not in self._hosts:
            return problem(421, f"web.hosts: this host name is not answered (got {host[:100]!r}). Add it to web.hosts.")
        if scope["method"] not in SAFE_METHODS:
            origin = headers.get("origin")
            if origin is not None and origin.lower().partition("://")[2] != host:
                return problem(403, f"requests from another site are refused (got {origin[:100]!r})")
        declared = headers.get("content-length", "0")
        if not declared.isascii() or not declared.isdigit() or int(declared) > self._max_body:
            return self._too_large()
        return None

    def _too_large(self) -> ASGIApp:
        return problem(413, f"body: larger than web.max_body ({self._max_body} bytes). Send fewer texts at once.")

    def _known(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._same(given.strip()):
            return True
        try:
            held = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            return False
        return held is not None and hmac.compare_digest(held.value.encode(), self._proof.encode())

    def _same(self, given: str | None) -> bool:
        return bool(given) and hmac.compare_digest(str(given).encode("utf-8", "surrogateescape"), self._token or b"")

    async def _bounded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the body as it comes: a length that was not declared is bounded too."""
        taken, started, exceeded = 0, False, False

        async def counted() -> Message:
            nonlocal taken, exceeded
            message = await receive()
            if message["type"] == "http.request":
                taken += len(message.get("body", b""))
                if taken > self._max_body:
                    exceeded = True
                    raise _TooLargeError
            return message

        async def noted(message: Message) -> None:
            nonlocal started
            if exceeded and not started:  # whatever the app makes of the broken body, the answer is 413
                return
            started = True
            await send(message)

        try:
            await self._app(scope, counted, noted)
        except _TooLargeError:
            if started:
                raise
        if exceeded and not started:
            await self._too_large()(scope, receive, send)


class _TooLargeError(Exception):
    """More body than allowed has come."""


def _query_token(scope: Scope) -> str | None:
    try:
        values = parse_qs(str(scope["query_string"], "latin-1"), max_num_fields=20).get("token", [])
    except ValueError:
        return None
    return values[0] if values else None


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
