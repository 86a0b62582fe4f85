"""The guard around every route: checks Host header, token, origin and body size, and sets security headers.

The Host check keeps other sites from reading the page through DNS rebinding. The origin check keeps them from posting
to it through a browser that can reach it.
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
        """Wraps an app. Takes the largest body in bytes, the accepted names of this host, and the token, if any."""
        self._app = app
        self._max_body = settings.max_body
        self._hosts = {host.lower() for host in (*settings.hosts, _bracketed(settings.host))}
        self._token = settings.token.get_secret_value().encode() if settings.token else None
        # The cookie proves knowledge of the token without containing it. Its name differs from that of another riskwire
        # on the same host, because browsers share cookies between ports.
        proof = hmac.new(self._token or b"", b"riskwire page", "sha256").hexdigest()
        self._cookie, self._proof = f"riskwire-{proof[:8]}", proof[8:]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request that is refused; passes any other on to the app. Adds the security headers to the response.

        With a token configured, a request needs the token or its cookie, except for `OPEN_PATHS`; it is answered with
        401 otherwise. `/?token=TOKEN` sets the cookie.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        cookie: str | None = None

        async def send_with_headers(message: Message) -> None:
            """Sends a message of the response; adds the headers to its first one."""
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
            if scope["path"] == "/" and self._is_token(_query_token(scope)):
                secure = "; Secure" if scope.get("scheme") == "https" else ""
                cookie = f"{self._cookie}={self._proof}; Path=/; Max-Age={YEAR_S}; HttpOnly; SameSite=Strict{secure}"
            elif not self._is_authenticated(headers):
                refusal = problem(
                    401,
                    "a token is needed: send `Authorization: Bearer TOKEN`, or open the page once as /?token=TOKEN",
                    {"WWW-Authenticate": 'Bearer realm="riskwire"'},
                )
        if refusal is not None:
            await refusal(scope, receive, send_with_headers)
            return
        await self._call_with_body_limit(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope, headers: Headers) -> ASGIApp | None:
        """Returns a response that refuses the request, or None if the request may pass.

        421 if the host name is not of this server, 403 for a change requested by a page of another site, 413 if the
        declared length of the body is invalid or larger than `web.max_body`.
        """
        host = headers.get("host", "").lower()
        if host not in self._hosts and _without_port(host) not in self._hosts:
            return problem(421, f"web.hosts: not a host name of this server (got {host[:100]!r}). Add it to web.hosts.")
        if scope["method"] not in SAFE_METHODS:
            origin = headers.get("origin")
            if origin is not None and origin.lower().partition("://")[2] != host:
                return problem(403, f"a request from another site is refused (got {origin[:100]!r})")
        declared = headers.get("content-length", "0")
        if not declared.isascii() or not declared.isdigit() or int(declared) > self._max_body:
            return self._too_large()
        return None

    def _too_large(self) -> ASGIApp:
        """Returns the 413 response for a body larger than `web.max_body`."""
        return problem(413, f"body: larger than web.max_body ({self._max_body} bytes). Send fewer texts at once.")

    def _is_authenticated(self, headers: Headers) -> bool:
        """Returns whether the request has the token as a bearer token, or the cookie that stands for it."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(token.strip()):
            return True
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            return False
        return cookie is not None and hmac.compare_digest(cookie.value.encode(), self._proof.encode())

    def _is_token(self, token: str | None) -> bool:
        """Returns whether a text is the configured token, in constant time."""
        return bool(token) and hmac.compare_digest(str(token).encode("utf-8", "surrogateescape"), self._token or b"")

    async def _call_with_body_limit(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Calls the app, and answers 413 if the body turns out larger than `web.max_body` as it is read.

        So a body without a declared length is limited too.

        Raises:
            _TooLargeError: the body is too large, and the app has begun its response already.
        """
        read_bytes, started, exceeded = 0, False, False

        async def receive_counted() -> Message:
            """Receives a message of the request, and counts the bytes of its body.

            Raises:
                _TooLargeError: the body has more bytes than `web.max_body`.
            """
            nonlocal read_bytes, exceeded
            message = await receive()
            if message["type"] == "http.request":
                read_bytes += len(message.get("body", b""))
                if read_bytes > self._max_body:
                    exceeded = True
                    raise _TooLargeError
            return message

        async def send_unless_exceeded(message: Message) -> None:
            """Sends a message of the response, unless the body was too large before the response began."""
            nonlocal started
            if exceeded and not started:  # the answer is 413, whatever the app answers to a truncated body
                return
            started = True
            await send(message)

        try:
            await self._app(scope, receive_counted, send_unless_exceeded)
        except _TooLargeError:
            if started:
                raise
        if exceeded and not started:
            await self._too_large()(scope, receive, send)


class _TooLargeError(Exception):
    """The body is larger than allowed."""


def _query_token(scope: Scope) -> str | None:
    """Returns the first `token` of the query string, or None without one or if the query has more than 20 fields."""
    try:
        values = parse_qs(str(scope["query_string"], "latin-1"), max_num_fields=20).get("token", [])
    except ValueError:
        return None
    return values[0] if values else None


def _without_port(host: str) -> str:
    """Returns a Host header without its port. The brackets of an IPv6 address stay."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
