"""The guard around every route: checks Host header, token, origin and body size, and sets security headers.

The Host check keeps other sites from reading the page through DNS rebinding. The origin check keeps them from posting
to it through a browser that can reach it.
"""

from __future__ import annotations

import asyncio
import time
from urllib.parse import parse_qs

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from riskwire import metrics
from riskwire.logs import Repeats
from riskwire.settings import WebSettings
from riskwire.web.head import call_for_head
from riskwire.web.problems import problem
from riskwire.web.session import PRINCIPAL, SessionToken, WrongTokens, role_for, session_tokens

log = structlog.get_logger(__name__)

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
"""Paths that need no token."""
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""Paths that need neither token nor Host check with `web.open_probes`."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_DELAYED = 16
"""The most answers to wrong tokens that are delayed at the same time; a further one is sent at once."""


class Guard:
    """ASGI middleware around the whole app."""

    def __init__(self, app: ASGIApp, settings: WebSettings) -> None:
        """Wraps an app. Takes the largest body in bytes, the accepted names of this host, and the tokens, if any."""
        self._app = app
        self._max_body = settings.max_body
        self._hosts = {host.lower() for host in (*settings.hosts, _bracketed(settings.host))}
        self._any_host = "*" in settings.hosts
        self._open_probes = settings.open_probes
        self._tokens = session_tokens(settings)
        self._wrong_tokens = WrongTokens()
        self._delayed = 0
        self._repeats = Repeats()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request that is refused; passes any other on to the app. Adds the security headers to the response.

        With tokens configured, a request needs a token or its cookie, except for `OPEN_PATHS`; it is answered with
        401 otherwise, and with 403 if the token lacks the role. `/?token=TOKEN` sets the cookie, and ends the sessions
        of other tokens.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        cookies: list[str] = []

        async def send_with_headers(message: Message) -> None:
            """Sends a message of the response; adds the headers to its first one."""
            if message["type"] == "http.response.start":
                out = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    out.setdefault(name, value)
                if scope["path"].startswith("/api/"):
                    out.setdefault("Cache-Control", "no-store")
                for cookie in cookies:
                    out.append("Set-Cookie", cookie)
            await send(message)

        open_probe = self._open_probes and scope["path"] in PROBES and scope["method"] in SAFE_METHODS
        refusal = None if open_probe else self._refusal(scope, headers)
        if refusal is None and self._tokens and not open_probe and scope["path"] not in OPEN_PATHS:
            query_token = _query_token(scope) if scope["path"] == "/" else None
            opened = self._matching(query_token)
            token = opened or self._authenticated(headers)
            if opened is not None:
                cookies.append(opened.new_cookie(time.time(), secure=_is_secure(scope, headers)))
                cookies += [named_token.removed_cookie() for named_token in self._tokens if named_token is not opened]
            if token is None:
                refusal = await self._unauthorized(scope, headers, query_token)
            elif not token.owner.may(role := role_for(scope["method"], scope["path"])):
                refusal = _refused("role", headers, 403, f"the token of {token.owner.name} lacks the role {role}")
            else:
                scope[PRINCIPAL] = token.owner
        if refusal is not None:
            await refusal(scope, receive, send_with_headers)
        elif scope["method"] == "HEAD":
            await call_for_head(self._app, scope, receive, send_with_headers)
        else:
            await self._call_with_body_limit(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope, headers: Headers) -> ASGIApp | None:
        """Returns a response that refuses the request, or None if the request may pass.

        421 if the host name is not of this server, 403 for a change requested by a page of another site, 413 if the
        declared length of the body is invalid or larger than `web.max_body`.
        """
        host = headers.get("host", "").lower()
        if not self._any_host and host not in self._hosts and _without_port(host) not in self._hosts:
            return _refused(
                "host",
                headers,
                421,
                f"web.hosts: not a host name of this server (got {host[:100]!r}). Add it to web.hosts.",
            )
        if scope["method"] not in SAFE_METHODS:
            origin = headers.get("origin")
            if origin is not None and origin.lower().partition("://")[2] != host:
                return _refused(
                    "origin", headers, 403, f"a request from another site is refused (got {origin[:100]!r})"
                )
        declared = headers.get("content-length", "0")
        digits = len(declared) if declared.isascii() and declared.isdigit() else 20
        if digits > 15 or int(declared) > self._max_body:
            return self._too_large(headers)
        return None

    def _too_large(self, headers: Headers) -> ASGIApp:
        """Returns the 413 response for a body larger than `web.max_body`."""
        why = f"body: larger than web.max_body ({self._max_body} bytes). Send fewer texts at once."
        return _refused("size", headers, 413, why)

    async def _unauthorized(self, scope: Scope, headers: Headers, query_token: str | None) -> ASGIApp:
        """Returns the 401 response. Counts and logs the request; a client that guesses tokens waits for it."""
        is_guess = query_token is not None or "authorization" in headers
        client = str((scope.get("client") or ("unknown",))[0])
        now = time.monotonic()
        event = "wrong token" if is_guess else "no token"
        suppressed = self._repeats.suppressed(event, now)
        if suppressed is not None:
            log.warning(f"a request with {event} is refused", client=client, path=scope["path"][:200], more=suppressed)
        if is_guess:
            delay_s = self._wrong_tokens.delay_s(client, now)
            if delay_s and self._delayed < MAX_DELAYED:
                self._delayed += 1
                try:
                    await asyncio.sleep(delay_s)
                finally:
                    self._delayed -= 1
        why = "a token is needed: send `Authorization: Bearer TOKEN`, or open the page once as /?token=TOKEN"
        return _refused(event, headers, 401, why, {"WWW-Authenticate": 'Bearer realm="riskwire"'})

    def _matching(self, text: str | None) -> SessionToken | None:
        """Returns the token with this text, or None. Compares with each token, in constant time."""
        matching = [token for token in self._tokens if token.matches(text)]
        return matching[0] if matching else None

    def _authenticated(self, headers: Headers) -> SessionToken | None:
        """Returns the token of a request, given as a bearer token or by its session cookie; None without."""
        scheme, _, text = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and (token := self._matching(text.strip())) is not None:
            return token
        now = time.time()
        return next((token for token in self._tokens if token.has_session(headers.get("cookie", ""), now)), None)

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
            await self._too_large(Headers(scope=scope))(scope, receive, send)


class _TooLargeError(Exception):
    """The body is larger than allowed."""


def _refused(
    reason: str, headers: Headers, status: int, detail: str, more_headers: dict[str, str] | None = None
) -> ASGIApp:
    """Returns the response for a request that is refused, and counts it. A body that it still sends is not read.

    Args:
        reason: the label of the metric.
        headers: those of the request.
    """
    metrics.REFUSED_REQUESTS.labels(reason=reason).inc()
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    return problem(status, detail, {**(more_headers or {}), **({"Connection": "close"} if has_body else {})})


def _is_secure(scope: Scope, headers: Headers) -> bool:
    """Returns whether the browser speaks TLS, to this process or to a proxy before it.

    Anybody can send the header of a proxy, but only to get a stricter cookie.
    """
    return scope.get("scheme") == "https" or headers.get("x-forwarded-proto", "").strip().lower() == "https"


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
