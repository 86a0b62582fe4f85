"""The fetcher against a local website: conditional requests, redirects, private addresses, limits and deadlines."""

from __future__ import annotations

import asyncio
import time
import zlib
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web
from feeds.website import PageHandler, Website, local_ingest_settings, rss

from riskwire import metrics
from riskwire.errors import FetchError, RefusedError
from riskwire.ingest.fetching.fetch import (
    Busy,
    FetchedDocument,
    Fetcher,
    FetchResult,
    Gone,
    NotModified,
    Validators,
    _Redirect,
)


async def fetch(url: str, validators: Validators = Validators(), **changes: object) -> FetchResult:  # noqa: B008
    """Fetches a URL once, with a new fetcher. `changes` are settings of the section `ingest`."""
    async with Fetcher(local_ingest_settings(**changes)) as fetcher:
        return await fetcher.fetch(url, validators)


def answer(status: int, **headers: str) -> PageHandler:
    """Returns a page without content."""

    async def page(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers=headers)

    return page


async def test_a_second_request_is_conditional(website: Website) -> None:
    """The validators (ETag and Last-Modified) of the first answer are sent with the second request."""

    async def feed_with_validators(request: web.Request) -> web.StreamResponse:
        """Answers 304 to a request with both validators, else 200. Each answer is fresh for another time."""
        if request.headers.get("If-None-Match") == '"v1"' and "If-Modified-Since" in request.headers:
            return web.Response(status=304, headers={"Cache-Control": "max-age=600"})
        headers = {
            "ETag": '"v1"',
            "Last-Modified": "Tue, 24 Nov 2026 08:00:00 GMT",
            "Cache-Control": "public, max-age=60",
        }
        return web.Response(body=rss(1), content_type="application/rss+xml", headers=headers)

    website.pages["feed"] = feed_with_validators
    document = await fetch(website.url("feed"))
    assert isinstance(document, FetchedDocument)
    assert (document.body, document.content_type) == (rss(1), "application/rss+xml")
    assert (document.fresh_s, document.moved_to) == (60, None)
    assert await fetch(website.url("feed"), document.validators) == NotModified(fresh_s=600)


async def test_requests_have_a_user_agent_with_contact_and_no_cookies(website: Website) -> None:
    """The server sets a cookie in its first answer, which the second request does not contain."""

    async def page(request: web.Request) -> web.StreamResponse:
        response = web.Response(body=rss(1))
        response.set_cookie("id", "42")
        return response

    website.pages["feed"] = page
    settings = local_ingest_settings(user_agent="riskwire/test", contact="ops@fund.example")
    async with Fetcher(settings) as fetcher:
        await fetcher.fetch(website.url("feed"))
        await fetcher.fetch(website.url("feed"))
    assert {request.headers["User-Agent"] for request in website.requests} == {"riskwire/test ops@fund.example"}
    assert not any("Cookie" in request.headers for request in website.requests)


@pytest.mark.parametrize("host", ["www.sec.gov", "sec.gov", "data.sec.gov"])
async def test_the_sec_is_not_requested_without_a_contact_address(host: str) -> None:
    with pytest.raises(RefusedError, match=r"Set ingest\.contact"):
        await fetch(f"https://{host}/cgi-bin/browse-edgar")


@pytest.mark.parametrize(
    "location",
    [
        "http://localhost:{port}/secret",
        "http://127.0.0.2:{port}/secret",
        "http://[::1]:{port}/secret",
        "http://[::ffff:127.0.0.2]:{port}/secret",
        "http://169.254.169.254/latest/meta-data/",
        "http://2130706434:{port}/secret",
        "http://0.0.0.0:{port}/secret",
        "file:///etc/passwd",
        "ftp://e.example/",
        "http://user:pass@127.0.0.1:{port}/secret",
    ],
)
async def test_a_redirect_to_a_private_address_or_another_scheme_is_refused(website: Website, location: str) -> None:
    """The settings permit only the private host 127.0.0.1. The error names the URL that redirects."""
    website.pages |= {"feed": answer(302, Location=location.format(port=website.port)), "secret": rss(1)}
    with pytest.raises(RefusedError) as caught:
        await fetch(website.url("feed"))
    assert website.url("feed") in str(caught.value)
    assert website.requests_of("secret") == 0


async def test_headers_of_a_feed_are_sent_to_its_own_server_only(website: Website) -> None:
    """The key of a customer must not reach the server of a redirect."""
    elsewhere = website.url("elsewhere", "localhost")
    website.pages |= {"feed": answer(302, Location="/second"), "second": answer(302, Location=elsewhere)}
    website.pages["elsewhere"] = rss(1)
    settings = local_ingest_settings(allow_private_hosts=("127.0.0.1", "localhost"))
    async with Fetcher(settings) as fetcher:
        await fetcher.fetch(website.url("feed"), headers={"X-Key": "abc"})
    assert [request.headers.get("X-Key") for request in website.requests] == ["abc", "abc", None]


async def test_https_never_falls_to_http_on_a_redirect(website: Website, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the way of the redirect, anybody could read the request and change the news."""

    async def redirect(*_: object) -> object:
        return _Redirect(301, website.url("feed"))

    monkeypatch.setattr(Fetcher, "_get", redirect)
    with pytest.raises(RefusedError, match="a redirect from https to http"):
        await fetch("https://news.example/feed")


async def test_a_name_that_resolves_to_loopback_is_refused_unless_the_settings_permit_it(website: Website) -> None:
    """The settings permit 127.0.0.1, but not the name `localhost`."""
    website.pages["feed"] = rss(1)
    url = website.url("feed", "localhost")
    with pytest.raises(RefusedError, match="allow_private_hosts"):
        await fetch(url)
    assert not website.requests
    assert isinstance(await fetch(url, allow_private_hosts=("localhost",)), FetchedDocument)


async def test_redirects_are_followed_up_to_a_limit_and_permanent_ones_are_reported(website: Website) -> None:
    """301 and 308 are permanent, 302 is not; a moved feed has only permanent redirects on its way."""
    website.pages |= {
        "permanent": answer(301, Location="/also-permanent"),
        "also-permanent": answer(308, Location="feed"),
        "temporary": answer(302, Location="/also-permanent"),
        "feed": rss(1),
        "loop": answer(302, Location="/loop"),
    }
    moved = await fetch(website.url("permanent"))
    assert isinstance(moved, FetchedDocument)
    assert (moved.moved_to, moved.url) == (website.url("feed"), website.url("feed"))
    temporary = await fetch(website.url("temporary"))
    assert isinstance(temporary, FetchedDocument)
    assert temporary.moved_to is None
    with pytest.raises(RefusedError, match="more than 3 redirects"):
        await fetch(website.url("loop"), max_redirects=3)
    assert website.requests_of("loop") == 4


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_the_size_is_limited_while_a_body_is_decompressed(website: Website, encoding: str) -> None:
    """The body has 300 MB of spaces and is refused at 1 MB; a metric shows that most of it was never decompressed."""
    compressor = zlib.compressobj(9, wbits=31 if encoding == "gzip" else 15)
    bomb = b"".join(compressor.compress(b" " * 1_000_000) for _ in range(300)) + compressor.flush()

    async def page(request: web.Request) -> web.StreamResponse:
        return web.Response(body=bomb, headers={"Content-Encoding": encoding})

    website.pages["feed"] = page
    before = metrics.FETCHED_BYTES._value.get()
    with pytest.raises(RefusedError, match=r"larger than 1000000 bytes \(after decompression\)"):
        await fetch(website.url("feed"), max_bytes=1_000_000)
    assert metrics.FETCHED_BYTES._value.get() - before < 8_000_000


@pytest.mark.parametrize("has_length", [True, False], ids=["with Content-Length", "without Content-Length"])
async def test_a_body_of_100_megabytes_is_not_received(website: Website, has_length: bool) -> None:
    """The limit is 1 MB. Less than half of the body is sent, whether or not its length is declared."""
    sent = 0

    async def page(request: web.Request) -> web.StreamResponse:
        """Sends 100 MB in chunks until the client breaks the connection, and counts the bytes sent."""
        nonlocal sent
        response = web.StreamResponse()
        if has_length:
            response.content_length = 100_000_000
        await response.prepare(request)
        with suppress(ConnectionError):
            for _ in range(1_000):
                await response.write(b"x" * 100_000)
                sent += 100_000
        return response

    website.pages["feed"] = page
    with pytest.raises(RefusedError, match=r"Raise ingest\.max_bytes"):
        await fetch(website.url("feed"), max_bytes=1_000_000)
    assert sent < 50_000_000


async def send_one_byte_at_a_time(request: web.Request) -> web.StreamResponse:
    """Answers with an endless body, a byte every 50 ms."""
    response = web.StreamResponse()
    await response.prepare(request)
    with suppress(ConnectionError):
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.05)
    return response


async def send_nothing(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(60)
    return web.Response()


async def redirect_slowly(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(0.3)
    return web.Response(status=302, headers={"Location": "/feed"})


@pytest.mark.parametrize("page", [send_one_byte_at_a_time, send_nothing, redirect_slowly])
async def test_one_deadline_covers_the_whole_fetch(website: Website, page: PageHandler) -> None:
    """The pages send a byte every 50 ms, send nothing, or redirect after 0.3 s to themselves.

    The deadline is 0.6 s. A timeout for each read would end only the second page.
    """
    website.pages["feed"] = page
    started = time.monotonic()
    with pytest.raises(FetchError, match=r"no complete answer within 0\.6 s"):
        await fetch(website.url("feed"), timeout_s=0.6, max_redirects=20)
    assert time.monotonic() - started < 5


async def test_a_connection_that_is_closed_in_the_body_is_an_error(website: Website) -> None:
    """The body is declared as 10,000 bytes, of which 80 are sent."""

    async def page(request: web.Request) -> web.StreamResponse:
        """Declares a body of 10,000 bytes, sends 80 and closes the connection."""
        response = web.StreamResponse()
        response.content_length = 10_000
        await response.prepare(request)
        await response.write(rss(1)[:80])
        assert request.transport is not None
        request.transport.close()
        return response

    website.pages["feed"] = page
    with pytest.raises(FetchError, match="the fetch failed"):
        await fetch(website.url("feed"))


@pytest.mark.parametrize(
    ("status", "retry_after", "retry_after_s"),
    [(429, "120", 120), (503, "7", 7), (429, None, 0), (503, "soon", 0), (503, "-5", 0)],
    ids=["429 with seconds", "503 with seconds", "without the header", "no number", "negative"],
)
async def test_a_busy_server_says_when_to_retry(
    website: Website, status: int, retry_after: str | None, retry_after_s: int
) -> None:
    """A missing or invalid header `Retry-After` counts as 0 s."""
    headers = {"Retry-After": retry_after} if retry_after else {}
    website.pages["feed"] = answer(status, **headers)
    assert await fetch(website.url("feed")) == Busy(status, retry_after_s)


async def test_a_busy_server_may_say_when_to_retry_as_a_date(website: Website) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=100)
    website.pages["feed"] = answer(429, **{"Retry-After": format_datetime(moment, usegmt=True)})
    result = await fetch(website.url("feed"))
    assert isinstance(result, Busy)
    assert 80 <= result.retry_after_s <= 100


@pytest.mark.parametrize("status", [204, 206, 304, 400, 401, 403, 404, 500, 502])
async def test_other_statuses_are_errors(website: Website, status: int) -> None:
    """304 is an error here, because the request was not conditional."""
    website.pages["feed"] = answer(status)
    with pytest.raises(FetchError, match=f"the server answered {status}"):
        await fetch(website.url("feed"))


async def test_status_410_means_gone(website: Website) -> None:
    website.pages["feed"] = answer(410)
    assert await fetch(website.url("feed")) == Gone()


async def test_a_server_that_does_not_speak_http_or_does_not_listen_is_an_error() -> None:
    """The server greets like a mail server, and is then closed."""

    async def greet_as_mail_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n" * 10)
        writer.close()

    server = await asyncio.start_server(greet_as_mail_server, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(FetchError, match="the fetch failed"):
            await fetch(f"http://127.0.0.1:{port}/")
    with pytest.raises(FetchError, match="the fetch failed"):
        await fetch(f"http://127.0.0.1:{port}/")


async def test_concurrent_fetches_are_limited_per_host_and_in_total() -> None:
    """`acquire` reserves a fetch: at most two for each host, and three in all; `release` ends one."""
    async with Fetcher(local_ingest_settings(per_host=2, concurrency=3)) as fetcher:
        urls = ["http://a/1", "http://a/2", "http://a/3", "http://b/1", "http://c/1"]
        assert [fetcher.acquire(url) for url in urls] == [True, True, False, True, False]
        fetcher.release("http://a/1")
        assert fetcher.acquire("http://c/1")
