"""The section `web`: the page and the API, and what strangers may ask of its port."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from riskwire.settings.section import Section

MIN_TOKEN = 16
"""Least characters of a token. One of 16 random letters and digits cannot be guessed."""


def _require_token(token: SecretStr) -> SecretStr:
    """Returns the token if it is long enough and can be sent in a header; raises a ValueError otherwise."""
    problem = token_problem(token.get_secret_value())
    if problem is not None:
        raise ValueError(problem)
    return token


def token_problem(token: str) -> str | None:
    """Returns why a text cannot be the token, without the text; None if it can be."""
    if len(token) < MIN_TOKEN:
        return (
            f"a token needs at least {MIN_TOKEN} characters, and this one has {len(token)}. "
            "Make one with: openssl rand -hex 24"
        )
    if not token.isprintable():
        return "a token may not contain line breaks, tabs or control characters"
    return None


Role = Literal["read", "operate", "push"]
"""What the owner of a token may do.

- `read`: see the page, read the API and the metrics, and score texts.
- `operate`: all of that, and decide about alerts and edit the watchlist.
- `push`: only send articles.
"""
Token = Annotated[SecretStr, AfterValidator(_require_token)]


class TokenSettings(Section):
    """One named token. Give it exactly one of `token` and `token_file`."""

    name: str = Field(min_length=1, max_length=100, pattern=r"^[\w.@-][\w.@ -]*$")
    """The owner: a person or a program. Decisions carry this name."""
    roles: tuple[Role, ...] = Field(default=("read",), min_length=1)
    """What the owner may do: `read`, `operate` (which includes `read`), `push`."""
    token: Token | None = None
    """The token. At least 16 characters."""
    token_file: Path | None = None
    """File with the `token`."""


def problems_of_tokens(tokens: Sequence[TokenSettings], shared: SecretStr | None) -> Iterator[str]:
    """Yields what is wrong with the named tokens together, without the tokens.

    Args:
        shared: the token without a name.
    """
    names = {"": shared.get_secret_value()} if shared is not None else {}
    for position, named in enumerate(tokens):
        where = f"web.tokens[{position}]"
        if named.token is None:
            yield f"{where}: {named.name!r} needs one of `token` and `token_file`"
            continue
        if named.name in names:
            yield f"{where}: a second token of {named.name!r}; give each token a name of its own"
        if named.token.get_secret_value() in names.values():
            yield f"{where}: {named.name!r} has the token of another one; make one with: openssl rand -hex 24"
        names[named.name] = named.token.get_secret_value()


class WebSettings(Section):
    """The page and the API."""

    host: str = "127.0.0.1"
    """Address to listen on. Any address but loopback requires a token."""
    port: int = Field(default=8080, ge=0, le=65_535)
    """Port to listen on. 0 chooses a free one."""
    token: Token | None = None
    """Bearer token that every request must carry, if set. At least 16 characters. It may do everything; who uses it
    says who they are."""
    token_file: Path | None = None
    """File with the `token`. Only its owner should be able to read it."""
    tokens: tuple[TokenSettings, ...] = ()
    """Named tokens with roles, each of one owner. A request then needs a named token, or `token`."""
    session_s: int = Field(default=604_800, ge=60, le=31_536_000)
    """Seconds after which a browser must open the page with the token again."""
    hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "[::1]")
    """Accepted values of the Host header. `*` accepts any, and requires a token."""
    proxies: tuple[str, ...] = ()
    """Addresses or networks of proxies in front of riskwire whose `X-Forwarded-For` and `X-Forwarded-Proto` count."""
    cert_file: Path | None = None
    """Certificate (PEM, with its chain). With it the port speaks TLS."""
    key_file: Path | None = None
    """Private key (PEM, without a passphrase) of `cert_file`."""
    probe_port: int | None = Field(default=None, ge=0, le=65_535)
    """A separate port for `/healthz`, `/readyz` and `/metrics`, without TLS, token and Host check."""
    probe_host: str | None = None
    """Address to listen on for `probe_port`. Default: `web.host`."""
    open_probes: bool = False
    """Answer `/healthz`, `/readyz` and `/metrics` on `web.port` without token and Host check."""
    header_timeout_s: float = Field(default=10.0, gt=0, le=300)
    """Deadline in seconds of the head of a request, and of a TLS handshake."""
    body_timeout_s: float = Field(default=30.0, gt=0, le=600)
    """Deadline in seconds of the body of a request, and of a client that does not take its answer."""
    max_connections: int = Field(default=128, ge=4, le=10_000)
    """Most open connections to the port. Half of the files that the process may open is the most, whatever is set."""
    max_body: int = Field(default=1_000_000, ge=1_000)
    """Largest request body in bytes."""
    max_streams: int = Field(default=64, ge=1)
    """Most concurrent live streams (SSE)."""
    max_texts: int = Field(default=256, ge=1)
    """Most texts in one request to `/api/v1/analyse`."""
    max_sentences: int = Field(default=1_024, ge=1)
    """Most sentences in one request to `/api/v1/analyse`."""
    max_analyses: int = Field(default=4, ge=1, le=1_000)
    """Most concurrent requests to `/api/v1/analyse`. A further one is answered with 503."""
    timeout_s: float = Field(default=60.0, gt=0, le=600)
    """Deadline in seconds of one request to the model or to the bus."""
