"""One polite, bounded HTTP GET of a feed document.

What a server may answer is an `Answer`; what goes wrong is a FetchError. Every hop of a redirect is checked like the
first address, bytes are counted after decompression while they stream in, and one deadline covers it all.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType

import aiohttp
from yarl import URL

from riskwire import metrics
from riskwire.errors import FetchError, RefusedError
from riskwire.ingest.fetching.address import GuardedResolver, host_of, permitted
from riskwire.settings import IngestSettings

REDIRECTS = frozenset({301, 302, 303, 307, 308})
PERMANENT = frozenset({301, 308})
CHUNK = 65_536

_ACCEPT = (
    "application/rss+xml, application/atom+xml, application/rdf+xml, application/feed+json, "
    "application/xml;q=0.9, text/xml;q=0.9, application/json;q=0.8, */*;q=0.5"
)


@dataclass(frozen=True, slots=True)
class Validators:
    """What makes the next GET conditional."""

    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A document as fetched; `url` is where it was found after redirects."""

    body: bytes
    content_type: str
    url: str
    validators: Validators
    fresh_s: int = 0
    """How long the publisher says it stays fresh (Cache-Control: max-age)."""
    moved_to: str | None = None
    """The new address, when every redirect on the way was permanent."""


@dataclass(frozen=True, slots=True)
class Unmodified:
    """304: nothing new."""

    fresh_s: int = 0


@dataclass(frozen=True, slots=True)
class Gone:
    """410: the feed is never to be asked for again."""


@dataclass(frozen=True, slots=True)
class Busy:
    """429 or 503: come back later, not before `retry_after_s` where the publisher says when."""

    status: int
    retry_after_s: int = 0


Answer = Document | Unmodified | Gone | Busy


class Fetcher:
    """Fetches feed documents over one bounded pool of connections; an async context manager."""

    def __init__(self, settings: IngestSettings) -> None:
        self._settings = settings
        self._allow = frozenset(host.strip("[]").rstrip(".").lower() for host in settings.allow_private_hosts)
        self._session: aiohttp.ClientSession | None = None
        self._running: Counter[str] = Counter()

    async def __aenter__(self) -> Fetcher:
        settings = self._settings
        agent = f"{settings.user_agent} {settings.contact}" if settings.contact else settings.user_agent
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=settings.concurrency,
                limit_per_host=settings.per_host,
                resolver=GuardedResolver(self._allow),
                ttl_dns_cache=60,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": agent, "Accept": _ACCEPT, "Accept-Encoding": "gzip, deflate"},
            timeout=aiohttp.ClientTimeout(total=settings.timeout_s),
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None
        await self._session.close()

    def enter(self, url: str) -> bool:
        """Take one of `concurrency` places, at most `per_host` for one host; False where none is free."""
        host = _host(url)
        if self._running[host] >= self._settings.per_host or self._running.total() >= self._settings.concurrency:
            return False
        self._running[host] += 1
        return True

    def leave(self, url: str) -> None:
        """Give a place back."""
        self._running.subtract([_host(url)])
        self._running += Counter()  # drops hosts at zero: as many are kept as are being fetched from

    async def fetch(self, url: str, validators: Validators = Validators()) -> Answer:
        """GET a document, conditionally where validators are given.

        Raises:
            RefusedError: an address, redirect or size that riskwire does not accept.
            FetchError: no usable answer within the deadline.
        """
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                return await self._follow(url, validators)
        except TimeoutError:
            raise FetchError(f"no complete answer within {self._settings.timeout_s:g} s", where=url) from None
        except FetchError as error:
            raise type(error)(error.what, value=error.value, where=url, do=error.do) from error.__cause__
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise FetchError("the fetch failed", where=url) from error

    async def _follow(self, url: str, validators: Validators) -> Answer:
        here = url
        permanent = True
        for _ in range(self._settings.max_redirects + 1):
            target = self._checked(here)
            answer = await self._get(target, validators)
            if not isinstance(answer, _Redirect):
                moved = here != url and permanent and isinstance(answer, Document)
                return _with_move(answer, here) if moved else answer
            permanent = permanent and answer.status in PERMANENT
            here = str(target.join(URL(answer.location)))
        raise RefusedError(f"more than {self._settings.max_redirects} redirects", value=here)

    def _checked(self, url: str) -> URL:
        target = permitted(url, self._allow)
        host = host_of(target)
        if (host == "sec.gov" or host.endswith(".sec.gov")) and not self._settings.contact:
            raise RefusedError(
                "the SEC answers only clients that say whom to contact", value=url, do="Set ingest.contact"
            )
        return target

    async def _get(self, url: URL, validators: Validators) -> Answer | _Redirect:
        assert self._session is not None
        headers = {}
        if validators.etag:
            headers["If-None-Match"] = validators.etag
        if validators.last_modified:
            headers["If-Modified-Since"] = validators.last_modified
        async with self._session.get(url, headers=headers, allow_redirects=False) as response:
            status = response.status
            if status in REDIRECTS and "Location" in response.headers:
                return _Redirect(status, response.headers["Location"])
            if status == 304 and headers:
                return Unmodified(_fresh_s(response))
            if status == 410:
                return Gone()
            if status in {429, 503}:
                return Busy(status, _retry_after_s(response, datetime.now(UTC)))
            if status not in {200, 203}:
                raise FetchError(f"the server answered {status} {response.reason or ''}".rstrip())
            body = await self._body(response)
            return Document(
                body,
                response.headers.get("Content-Type", ""),
                str(response.url),
                Validators(_header(response, "ETag"), _header(response, "Last-Modified")),
                _fresh_s(response),
            )

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        most = self._settings.max_bytes
        too_large = RefusedError(
            f"a document larger than {most} bytes (after decompression)",
            do="Raise ingest.max_bytes if the feed is meant to be this large",
        )
        if (response.content_length or 0) > most:
            raise too_large
        body = bytearray()
        async for chunk in response.content.iter_chunked(CHUNK):
            body += chunk
            metrics.FETCHED_BYTES.inc(len(chunk))
            if len(body) > most:
                response.close()
                raise too_large
        return bytes(body)


@dataclass(frozen=True, slots=True)
class _Redirect:
    status: int
    location: str


def _with_move(answer: Answer, url: str) -> Answer:
    assert isinstance(answer, Document)
    return Document(answer.body, answer.content_type, answer.url, answer.validators, answer.fresh_s, url)


def _host(url: str) -> str:
    try:
        return host_of(URL(url))
    except ValueError:
        return ""


def _header(response: aiohttp.ClientResponse, name: str) -> str | None:
    value = response.headers.get(name, "")
    return value if 0 < len(value) <= 1_000 else None


def _fresh_s(response: aiohttp.ClientResponse) -> int:
    found = re.search(r"(?:^|[\s,])max-age\s*=\s*\"?(\d{1,9})\b", response.headers.get("Cache-Control", ""), re.I)
    return int(found[1]) if found else 0


def _retry_after_s(response: aiohttp.ClientResponse, now: datetime) -> int:
    """Retry-After in seconds, from either of its forms; 0 where there is none that can be read."""
    value = response.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}", value):
        return int(value)
    try:
        then = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return 0
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return max(0, round((then - now).total_seconds()))
