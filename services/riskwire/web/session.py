"""The tokens of the web port, their owners, and the session cookies that replace them in a browser."""

from __future__ import annotations

import hmac
import ipaddress
from collections import OrderedDict
from dataclasses import dataclass
from typing import get_args

from fastapi import Request

from riskwire.settings import Role, WebSettings
from riskwire.web.problems import Problem

MAX_COOKIE = 4_096
"""Characters of a `Cookie` header that is read. Python's own parser takes quadratic time (decision 0028)."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who sends a request.

    Attributes:
        name: the owner of the token; None without tokens, or with the token that has no name.
        roles: what the owner may do.
    """

    name: str | None = None
    roles: frozenset[Role] = frozenset(get_args(Role))

    def may(self, role: Role) -> bool:
        """Returns whether the sender has this role. The role `operate` includes `read`."""
        return role in self.roles or (role == "read" and "operate" in self.roles)


ANYBODY = Principal()
"""The sender of a request where no token has a name."""
PRINCIPAL = "riskwire.principal"
"""Where the scope of a request has its `Principal`."""


def role_for(method: str, path: str) -> Role:
    """Returns the role that a request needs: to change something is to operate; scoring texts changes nothing."""
    return "read" if method in ("GET", "HEAD", "OPTIONS") or path == "/api/v1/analyse" else "operate"


def decided_by(request: Request, by: str | None, where: str = "body.by") -> str:
    """Returns who decides: the owner of the token, or without a named token whom the request names.

    Args:
        by: whom the request names.
        where: the field in which it does.

    Raises:
        Problem: 422 without a name, 403 if the request names another person than the owner of the token.
    """
    owner = request.scope.get(PRINCIPAL, ANYBODY).name
    if owner is None and by is None:
        raise Problem(422, f"{where}: say who decides")
    if owner is not None and by not in (None, owner):
        raise Problem(403, f"{where}: this token is {owner}'s, so {by!r} cannot decide with it. Leave `by` out.")
    return owner or str(by)


class SessionToken:
    """A configured token. Its cookie proves knowledge of the token without containing it, and expires.

    The name of the cookie differs from that of another riskwire on the same host, because browsers share cookies
    between ports. The cookie is valid for every process with the same token.
    """

    def __init__(self, token: str, session_s: int, owner: Principal = ANYBODY) -> None:
        """Takes the token, the seconds after which a cookie expires, and whose token it is."""
        self.owner = owner
        self._token = token.encode()
        self._session_s = session_s
        self._cookie = f"riskwire-{self._proof('page')[:8]}"

    def matches(self, token: str | None) -> bool:
        """Returns whether a text is the token, in constant time."""
        return bool(token) and hmac.compare_digest(str(token).encode("utf-8", "surrogateescape"), self._token)

    def new_cookie(self, now: float, *, secure: bool) -> str:
        """Returns the value of `Set-Cookie` for a new session.

        Args:
            now: Unix time in seconds.
            secure: whether the browser may send the cookie over TLS only.
        """
        expires = int(now) + self._session_s
        attributes = f"Path=/; Max-Age={self._session_s}; HttpOnly; SameSite=Strict{'; Secure' if secure else ''}"
        return f"{self._cookie}={expires}.{self._proof(str(expires))}; {attributes}"

    def removed_cookie(self) -> str:
        """Returns the value of `Set-Cookie` that ends the session of this token in a browser."""
        return f"{self._cookie}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"

    def has_session(self, cookies: str, now: float) -> bool:
        """Returns whether a `Cookie` header has the cookie of a session that has not expired."""
        for part in cookies[:MAX_COOKIE].split(";"):
            name, _, value = part.strip().partition("=")
            expires, _, proof = value.partition(".")
            if name != self._cookie or not (expires.isascii() and expires.isdigit() and len(expires) <= 12):
                continue
            if hmac.compare_digest(proof.encode(), self._proof(expires).encode()) and now < int(expires):
                return True
        return False

    def _proof(self, text: str) -> str:
        return hmac.new(self._token, f"riskwire {text}".encode(), "sha256").hexdigest()


def session_tokens(settings: WebSettings) -> list[SessionToken]:
    """Returns the tokens of the settings; empty if none is needed."""
    tokens = []
    if settings.token is not None:
        tokens.append(SessionToken(settings.token.get_secret_value(), settings.session_s))
    for named in settings.tokens:
        if named.token is not None:
            owner = Principal(named.name, frozenset(named.roles))
            tokens.append(SessionToken(named.token.get_secret_value(), settings.session_s, owner))
    return tokens


class WrongTokens:
    """How often each client has sent a wrong token lately, and how long its answer is delayed for it.

    The right token is never delayed, so wrong guesses cannot lock out its owner.
    """

    FREE = 3
    """Wrong tokens that are answered at once."""
    MAX_DELAY_S = 5.0
    FORGET_S = 600.0
    MAX_CLIENTS = 1_024

    def __init__(self) -> None:
        self._clients: OrderedDict[str, tuple[float, int]] = OrderedDict()
        """By client: time of the last wrong token (monotonic), and how many there were."""

    def delay_s(self, client: str, now: float) -> float:
        """Counts a wrong token. Returns the seconds to wait before the answer: doubled by each, at most 5.

        Args:
            client: the address; those of one IPv6 network (/64) count together.
            now: monotonic time in seconds.
        """
        key = _network(client)
        last, count = self._clients.pop(key, (now, 0))
        count = 1 if now - last > self.FORGET_S else count + 1
        self._clients[key] = (now, count)
        while len(self._clients) > self.MAX_CLIENTS:
            self._clients.popitem(last=False)
        return 0.0 if count <= self.FREE else min(self.MAX_DELAY_S, 0.25 * 2.0 ** min(count - self.FREE - 1, 10))


def _network(client: str) -> str:
    """Returns the /64 network of an IPv6 address, and any other text as it is."""
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return client[:100]
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else str(address)
