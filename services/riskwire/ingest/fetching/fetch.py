"""Fetches feed documents: one bounded HTTP GET with redirects.

Every redirect is checked like the first address, and none leads from https to http. The bytes of a body are counted
after decompression, while it is received. One deadline covers all redirects and the body.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType, TracebackType

import aiohttp
from yarl import URL

from riskwire import metrics
from riskwire.errors import FetchError, RefusedError
from riskwire.ingest.fetching.address import GuardedResolver, host_of, parse_permitted_url
from riskwire.ingest.fetching.retry_after import retry_after_s
from riskwire.settings import IngestSettings

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PERMANENT_REDIRECTS = frozenset({301, 308})
_CHUNK = 65_536
_MAX_HEADER = 1_000
_DNS_CACHE_S = 60

_ACCEPT = (
    "application/rss+xml, application/atom+xml, application/rdf+xml, application/feed+json, "
    "application/xml;q=0.9, text/xml;q=0.9, application/json;q=0.8, */*;q=0.5"
)


@dataclass(frozen=True, slots=True)
class Validators:
    """The validators of a document, which make the next GET conditional."""

    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True)
class FetchedDocument:
    """A document that a server returned.

    Attributes:
        url: its address after redirects.
        fresh_s: how long the document stays fresh (`Cache-Control: max-age`); 0 if the server does not say.
        moved_to: the new address, if every redirect was permanent.
    """

    body: bytes
    content_type: str
    url: str
    validators: Validators
    fresh_s: int = 0
    moved_to: str | None = None


@dataclass(frozen=True, slots=True)
class NotModified:
    """HTTP 304: the document is the one of the validators."""

    fresh_s: int = 0


@dataclass(frozen=True, slots=True)
class Gone:
    """HTTP 410: the feed does not exist any more and must not be requested again."""


@dataclass(frozen=True, slots=True)
class Busy:
    """HTTP 429 or 503: the request may be repeated after `retry_after_s`; 0 if the server does not say when."""

    status: int
    retry_after_s: int = 0


FetchResult = FetchedDocument | NotModified | Gone | Busy


@dataclass(frozen=True, slots=True)
class _Redirect:
    status: int
    location: str


class Fetcher:
    """Fetches feed documents over a bounded pool of connections; an async context manager."""

    def __init__(self, settings: IngestSettings) -> None:
        """Prepares a fetcher with no fetches reserved; its context opens the HTTP session."""
        self._settings = settings
        self._allow = frozenset(host.strip("[]").rstrip(".").lower() for host in settings.allow_private_hosts)
        self._session: aiohttp.ClientSession | None = None
        self._fetches_by_host: Counter[str] = Counter()

    async def __aenter__(self) -> Fetcher:
        """Opens the HTTP session: without cookies and proxy, and only to permitted addresses."""
        settings = self._settings
        agent = f"{settings.user_agent} {settings.contact}" if settings.contact else settings.user_agent
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=settings.concurrency,
                limit_per_host=settings.per_host,
                resolver=GuardedResolver(self._allow),
                ttl_dns_cache=_DNS_CACHE_S,
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
        """Closes the HTTP session; an error of the context passes on."""
        assert self._session is not None
        await self._session.close()

    def acquire(self, url: str) -> bool:
        """Reserves a fetch from the host of a URL.

        Returns False, and reserves nothing, if `per_host` fetches from this host or `concurrency` in all are reserved.
        """
        host = _host_of_text(url)
        fetches = self._fetches_by_host
        if fetches[host] >= self._settings.per_host or fetches.total() >= self._settings.concurrency:
            return False
        fetches[host] += 1
        return True

    def release(self, url: str) -> None:
        """Ends a fetch that `acquire` has reserved."""
        self._fetches_by_host.subtract([_host_of_text(url)])
        self._fetches_by_host += Counter()  # drops hosts without fetches, so that the counter stays small

    async def fetch(
        self, url: str, validators: Validators = Validators(), headers: Mapping[str, str] = MappingProxyType({})
    ) -> FetchResult:
        """Fetches a document, conditionally if there are validators. `timeout_s` bounds all redirects and the body.

        The answers 304, 410, 429 and 503 are results, not errors.

        Args:
            headers: headers of the feed. They may be secret, so only the scheme, host and port of `url` get them.

        Raises:
            RefusedError: an address, redirect or size is not permitted.
            FetchError: there was no usable answer within the deadline.
        """
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                return await self._follow_redirects(url, validators, headers)
        except TimeoutError:
            raise FetchError(f"no complete answer within {self._settings.timeout_s:g} s", where=url) from None
        except FetchError as error:
            raise type(error)(error.what, value=error.value, where=url, do=error.do) from error.__cause__
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise FetchError("the fetch failed", where=url) from error

    async def _follow_redirects(self, url: str, validators: Validators, headers: Mapping[str, str]) -> FetchResult:
        """Fetches a URL, following redirects. Each location is checked before it is requested.

        Returns:
            the result; a document has `moved_to` if every redirect on the way to it was permanent.

        Raises:
            RefusedError: a location may not be fetched, or there are too many redirects.
            FetchError: the server answered with an error.
        """
        location = url
        permanent = True
        for _ in range(self._settings.max_redirects + 1):
            target = self._checked(location)
            same_origin = headers and target.origin() == URL(url).origin()
            result = await self._get(target, validators, headers if same_origin else {})
            if not isinstance(result, _Redirect):
                if isinstance(result, FetchedDocument) and permanent and location != url:
                    return replace(result, moved_to=location)
                return result
            permanent = permanent and result.status in _PERMANENT_REDIRECTS
            location = str(target.join(URL(result.location)))
            if target.scheme == "https" and URL(location).scheme == "http":
                raise RefusedError("a redirect from https to http", value=location, do="Ask the publisher about it")
        raise RefusedError(f"more than {self._settings.max_redirects} redirects", value=location)

    def _checked(self, url: str) -> URL:
        """Returns a URL as parsed, if it may be fetched.

        Raises:
            RefusedError: the host is not permitted, or it is that of the SEC and the settings have no contact address.
        """
        target = parse_permitted_url(url, self._allow)
        host = host_of(target)
        if (host == "sec.gov" or host.endswith(".sec.gov")) and not self._settings.contact:
            raise RefusedError(
                "the SEC requires a contact address in the User-Agent", value=url, do="Set ingest.contact"
            )
        return target

    async def _get(self, url: URL, validators: Validators, extra: Mapping[str, str]) -> FetchResult | _Redirect:
        """Requests a URL once and returns the document, the redirect, or why there is no document (such as `Busy`).

        Args:
            validators: ETag and Last-Modified of the last document; with them the server can answer `NotModified`.
            extra: further headers.

        Raises:
            FetchError: the server answered with another status.
            RefusedError: the document is too large.
        """
        assert self._session is not None
        headers = dict(extra)
        if validators.etag:
            headers["If-None-Match"] = validators.etag
        if validators.last_modified:
            headers["If-Modified-Since"] = validators.last_modified
        async with self._session.get(url, headers=headers, allow_redirects=False) as response:
            status = response.status
            if status in _REDIRECTS and "Location" in response.headers:
                return _Redirect(status, response.headers["Location"])
            if status == 304 and (validators.etag or validators.last_modified):
                return NotModified(_max_age_s(response))
            if status == 410:
                return Gone()
            if status in {429, 503}:
                return Busy(status, retry_after_s(response.headers.get("Retry-After", ""), datetime.now(UTC)))
            if status not in {200, 203}:
                raise FetchError(f"the server answered {status} {response.reason or ''}".rstrip())
            body = await self._read_body(response)
            return FetchedDocument(
                body,
                response.headers.get("Content-Type", ""),
                str(response.url),
                Validators(_header(response, "ETag"), _header(response, "Last-Modified")),
                _max_age_s(response),
            )

    async def _read_body(self, response: aiohttp.ClientResponse) -> bytes:
        """Returns the decompressed body of a response.

        Raises:
            RefusedError: it is larger than `ingest.max_bytes`; its remainder is not read.
        """
        max_bytes = self._settings.max_bytes
        too_large = RefusedError(
            f"a document larger than {max_bytes} bytes (after decompression)",
            do="Raise ingest.max_bytes if the feed is meant to be this large",
        )
        if (response.content_length or 0) > max_bytes:
            raise too_large
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK):
            body += chunk
            metrics.FETCHED_BYTES.inc(len(chunk))
            if len(body) > max_bytes:
                response.close()
                raise too_large
        return bytes(body)


def _host_of_text(url: str) -> str:
    """Returns the host of a URL, or an empty string if the URL is not valid."""
    try:
        return host_of(URL(url))
    except ValueError:
        return ""


def _header(response: aiohttp.ClientResponse, name: str) -> str | None:
    value = response.headers.get(name, "")
    return value if 0 < len(value) <= _MAX_HEADER else None


def _max_age_s(response: aiohttp.ClientResponse) -> int:
    """Returns `max-age` of the header `Cache-Control`, or 0."""
    match = re.search(r"(?:^|[\s,])max-age\s*=\s*\"?(\d{1,9})\b", response.headers.get("Cache-Control", ""), re.I)
    return int(match[1]) if match else 0
