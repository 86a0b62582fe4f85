"""Requests to a receiver over HTTP: no redirects, no cookies, a deadline, and a limit on what is read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit

import aiohttp

from riskwire import __version__
from riskwire.errors import SettingsError
from riskwire.notify.retry import AttemptError, error_of_status

MAX_ANSWER = 65_536
"""Bytes of an answer that are read. Only the beginning is used, in an error message."""
_MAX_EXCERPT = 100
"""Bytes of an answer that an error message shows."""


class HttpEndpoint:
    """Requests to one host. Connects at the first request."""

    def __init__(self, label: str, timeout_s: float, concurrency: int) -> None:
        """Prepares requests.

        Args:
            label: the name of the receiver in messages; a URL may hold a secret and is never shown.
            timeout_s: the longest time of one request.
            concurrency: the most connections at a time.
        """
        self._label = label
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._concurrency = concurrency
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], *, max_answer: int = MAX_ANSWER
    ) -> bytes:
        """Makes one request. Returns the answer, cut at `max_answer` bytes.

        Raises:
            AttemptError: no answer in time, no connection, or a status other than 2xx; `final` if another attempt would
                fail as well.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._concurrency),
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                headers={"User-Agent": f"riskwire/{__version__}"},
            )
        try:
            async with self._session.request(method, url, data=body, headers=headers, allow_redirects=False) as answer:
                content = await _read(answer.content, max_answer)
                retry_after = answer.headers.get("Retry-After")
                error = error_of_status(answer.status, retry_after, self._label, datetime.now(UTC))
        except TimeoutError:
            raise AttemptError(f"no answer within {self._timeout.total:g} s", where=self._label) from None
        except aiohttp.InvalidURL:
            raise AttemptError("the URL cannot be used", where=self._label, final=True) from None
        except (aiohttp.ClientError, OSError) as failure:
            raise AttemptError(f"{type(failure).__name__}: no connection, or it broke", where=self._label) from None
        if error is not None:
            if content:
                error.what += f", saying {content[:_MAX_EXCERPT]!r}"
            raise error
        return content

    async def close(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


async def _read(stream: aiohttp.StreamReader, limit: int) -> bytes:
    """Returns the bytes of a stream up to a limit."""
    content = bytearray()
    while len(content) < limit and (chunk := await stream.read(limit - len(content))):
        content += chunk
    return bytes(content)


def host_of(url: str, setting: str) -> str:
    """Returns the host of a URL, with `:port` if the URL has one.

    Args:
        setting: the name of the setting that holds the URL, for the message.

    Raises:
        SettingsError: the URL is not http(s), has no host, or has outer white space or unprintable characters.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise SettingsError("this is not a URL (it is not shown: it may hold a secret)", where=setting) from None
    if parts.scheme not in {"http", "https"} or not host or url != url.strip() or not url.isprintable():
        raise SettingsError(
            "this must be an http:// or https:// URL with a host (it is not shown: it may hold a secret)",
            where=setting,
            do="Use an Apprise URL for other services",
        )
    return host if port is None else f"{host}:{port}"
