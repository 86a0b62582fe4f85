"""ingest against real HTTP servers on this machine: polite, closed, bounded, and one feed's trouble is its own."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import time
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import feedparser
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from riskwire import metrics
from riskwire.bus import Bus
from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.bus.open import open_bus
from riskwire.errors import FetchError, RefusedError
from riskwire.ingest.feeds.publication import publish_feeds
from riskwire.ingest.fetching.fetch import Busy, Document, Fetcher, Gone, Unmodified, Validators
from riskwire.ingest.stage import run_ingest
from riskwire.pipeline import Topic
from riskwire.records import ARTICLES, Article, Feed, Tick
from riskwire.settings import IngestSettings, Settings

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PATIENCE_S = 90.0

RSS = '<?xml version="1.0"?><rss version="2.0"><channel><title>x</title>{}</channel></rss>'
ITEM = "<item><title>Globex loses plant number {n}</title><link>https://news.example/{n}</link><guid>{g}</guid></item>"


def rss(*numbers: int, guid: str = "guid-") -> bytes:
    return RSS.format("".join(ITEM.format(n=n, g=f"{guid}{n}") for n in numbers)).encode()


class Publisher:
    """A local publisher: pages by path, and what was asked for."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes | Handler] = {}
        self.requests: list[web.Request] = []
        self.port = 0

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}/{path}"

    def asked(self, path: str) -> int:
        return sum(request.path == f"/{path}" for request in self.requests)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        page = self.pages.get(request.path.lstrip("/"))
        if page is None:
            raise web.HTTPNotFound
        if isinstance(page, bytes):
            return web.Response(body=page, content_type="application/rss+xml")
        return await page(request)


@pytest.fixture
async def publisher() -> AsyncIterator[Publisher]:
    site = Publisher()
    app = web.Application()
    app.router.add_get("/{path:.*}", site.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0)
    await listener.start()
    site.port = runner.addresses[0][1]
    yield site
    await runner.cleanup()


def ingest(**changes: object) -> IngestSettings:
    return IngestSettings(**({"allow_private_hosts": ("127.0.0.1",), "timeout_s": 10.0, "tick_s": 0.2} | changes))


async def fetched(url: str, validators: Validators = Validators(), **changes: object) -> object:  # noqa: B008
    async with Fetcher(ingest(**changes)) as fetcher:
        return await fetcher.fetch(url, validators)


# --- one fetch


async def test_a_second_get_is_conditional_and_304_costs_nothing(publisher: Publisher) -> None:
    async def page(request: web.Request) -> web.StreamResponse:
        if request.headers.get("If-None-Match") == '"v1"' and "If-Modified-Since" in request.headers:
            return web.Response(status=304, headers={"Cache-Control": "max-age=600"})
        headers = {
            "ETag": '"v1"',
            "Last-Modified": "Tue, 24 Nov 2026 08:00:00 GMT",
            "Cache-Control": "public, max-age=60",
        }
        return web.Response(body=rss(1), content_type="application/rss+xml", headers=headers)

    publisher.pages["feed"] = page
    first = await fetched(publisher.url("feed"))
    assert isinstance(first, Document)
    assert (first.body, first.content_type, first.fresh_s, first.moved_to) == (rss(1), "application/rss+xml", 60, None)
    assert await fetched(publisher.url("feed"), first.validators) == Unmodified(fresh_s=600)


async def test_publishers_see_who_asks_and_get_no_cookies_back(publisher: Publisher) -> None:
    async def page(request: web.Request) -> web.StreamResponse:
        response = web.Response(body=rss(1))
        response.set_cookie("id", "42")
        return response

    publisher.pages["feed"] = page
    async with Fetcher(ingest(user_agent="riskwire/test", contact="ops@fund.example")) as fetcher:
        await fetcher.fetch(publisher.url("feed"))
        await fetcher.fetch(publisher.url("feed"))
    assert {request.headers["User-Agent"] for request in publisher.requests} == {"riskwire/test ops@fund.example"}
    assert not any("Cookie" in request.headers for request in publisher.requests)


async def test_the_sec_is_not_asked_without_a_contact_address() -> None:
    for host in ("www.sec.gov", "sec.gov", "data.sec.gov"):
        with pytest.raises(RefusedError, match=r"Set ingest\.contact"):
            await fetched(f"https://{host}/cgi-bin/browse-edgar")


@pytest.mark.parametrize(
    "target",
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
async def test_a_redirect_to_a_private_address_or_another_scheme_is_refused(publisher: Publisher, target: str) -> None:
    async def page(request: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": target.format(port=publisher.port)})

    publisher.pages |= {"feed": page, "secret": rss(1)}
    with pytest.raises(RefusedError) as caught:
        await fetched(publisher.url("feed"))
    assert publisher.url("feed") in str(caught.value)
    assert publisher.asked("secret") == 0


async def test_a_name_that_resolves_to_loopback_is_refused_where_it_would_be_connected(publisher: Publisher) -> None:
    publisher.pages["feed"] = rss(1)
    with pytest.raises(RefusedError, match="allow_private_hosts"):
        await fetched(publisher.url("feed", "localhost"))
    assert not publisher.requests
    assert isinstance(await fetched(publisher.url("feed", "localhost"), allow_private_hosts=("localhost",)), Document)


async def test_redirects_are_followed_up_to_a_limit_and_permanent_ones_are_told(publisher: Publisher) -> None:
    def to(status: int, path: str) -> Handler:
        async def page(request: web.Request) -> web.StreamResponse:
            return web.Response(status=status, headers={"Location": path})

        return page

    publisher.pages |= {
        "a": to(301, "/b"),
        "b": to(308, "feed"),
        "t": to(302, "/b"),
        "feed": rss(1),
        "loop": to(302, "/loop"),
    }
    moved = await fetched(publisher.url("a"))
    assert isinstance(moved, Document)
    assert (moved.moved_to, moved.url) == (publisher.url("feed"), publisher.url("feed"))
    temporary = await fetched(publisher.url("t"))
    assert isinstance(temporary, Document)
    assert temporary.moved_to is None
    with pytest.raises(RefusedError, match="more than 3 redirects"):
        await fetched(publisher.url("loop"), max_redirects=3)
    assert publisher.asked("loop") == 4


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_bytes_are_counted_after_decompression_as_they_come(publisher: Publisher, encoding: str) -> None:
    packer = zlib.compressobj(9, wbits=31 if encoding == "gzip" else 15)
    bomb = b"".join(packer.compress(b" " * 1_000_000) for _ in range(300)) + packer.flush()

    async def page(request: web.Request) -> web.StreamResponse:
        return web.Response(body=bomb, headers={"Content-Encoding": encoding})

    publisher.pages["feed"] = page
    before = metrics.FETCHED_BYTES._value.get()
    with pytest.raises(RefusedError, match=r"larger than 1000000 bytes \(after decompression\)"):
        await fetched(publisher.url("feed"), max_bytes=1_000_000)
    assert metrics.FETCHED_BYTES._value.get() - before < 8_000_000


@pytest.mark.parametrize("told", [True, False])
async def test_a_hundred_megabytes_are_not_taken(publisher: Publisher, told: bool) -> None:
    sent = 0

    async def page(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        if told:
            response.content_length = 100_000_000
        await response.prepare(request)
        with suppress(ConnectionError):
            for _ in range(1_000):
                await response.write(b"x" * 100_000)
                sent += 100_000
        return response

    publisher.pages["feed"] = page
    with pytest.raises(RefusedError, match=r"Raise ingest\.max_bytes"):
        await fetched(publisher.url("feed"), max_bytes=1_000_000)
    assert sent < 50_000_000


async def test_a_server_that_drips_or_says_nothing_meets_the_deadline(publisher: Publisher) -> None:
    async def drips(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionError):
            while True:
                await response.write(b" ")
                await asyncio.sleep(0.05)
        return response

    async def says_nothing(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    async def redirects_slowly(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.3)
        return web.Response(status=302, headers={"Location": "/again"})

    publisher.pages |= {"drips": drips, "nothing": says_nothing, "again": redirects_slowly}
    for path in ("drips", "nothing", "again"):
        began = time.monotonic()
        with pytest.raises(FetchError, match=r"no complete answer within 0\.6 s"):
            await fetched(publisher.url(path), timeout_s=0.6, max_redirects=20)
        assert time.monotonic() - began < 5


async def test_a_connection_that_breaks_in_the_middle_is_a_failure_not_a_short_document(publisher: Publisher) -> None:
    async def page(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 10_000
        await response.prepare(request)
        await response.write(rss(1)[:80])
        assert request.transport is not None
        request.transport.close()
        return response

    publisher.pages["feed"] = page
    with pytest.raises(FetchError, match="the fetch failed"):
        await fetched(publisher.url("feed"))


@pytest.mark.parametrize(
    ("status", "header", "least", "most"),
    [
        (429, "120", 120, 120),
        (503, "7", 7, 7),
        (429, None, 0, 0),
        (503, "soon", 0, 0),
        (429, "date", 80, 100),
        (503, "-5", 0, 0),
    ],
)
async def test_busy_servers_say_when_to_come_back(
    publisher: Publisher, status: int, header: str | None, least: int, most: int
) -> None:
    async def page(request: web.Request) -> web.StreamResponse:
        when = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True) if header == "date" else header
        return web.Response(status=status, headers={"Retry-After": when} if when else {})

    publisher.pages["feed"] = page
    answer = await fetched(publisher.url("feed"))
    assert isinstance(answer, Busy)
    assert answer.status == status
    assert least <= answer.retry_after_s <= most


@pytest.mark.parametrize("status", [204, 206, 304, 400, 401, 403, 404, 500, 502])
async def test_other_answers_are_failures_that_name_the_status(publisher: Publisher, status: int) -> None:
    async def page(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    publisher.pages["feed"] = page
    with pytest.raises(FetchError, match=f"the server answered {status}"):
        await fetched(publisher.url("feed"))


async def test_gone_is_gone(publisher: Publisher) -> None:
    async def page(request: web.Request) -> web.StreamResponse:
        return web.Response(status=410)

    publisher.pages["feed"] = page
    assert await fetched(publisher.url("feed")) == Gone()


async def test_what_does_not_speak_http_or_does_not_listen_is_a_failure() -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n" * 10)
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(FetchError, match="the fetch failed"):
            await fetched(f"http://127.0.0.1:{port}/")
    with pytest.raises(FetchError, match="the fetch failed"):
        await fetched(f"http://127.0.0.1:{port}/")


async def test_places_are_counted_per_host_and_altogether() -> None:
    async with Fetcher(ingest(per_host=2, concurrency=3)) as fetcher:
        urls = ["http://a/1", "http://a/2", "http://a/3", "http://b/1", "http://c/1"]
        assert [fetcher.enter(url) for url in urls] == [True, True, False, True, False]
        fetcher.leave("http://a/1")
        assert fetcher.enter("http://c/1")


# --- the stage on the real bus


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Bus]:
    """ingest on an embedded bus; it must end by itself when the bus is closed."""
    bus = await open_bus(settings)
    stage = asyncio.create_task(run_ingest(bus, settings))
    try:
        yield bus
        assert not stage.done(), stage
    finally:
        await bus.close()
        async with asyncio.timeout(PATIENCE_S):
            await stage


async def log_of(bus: Bus) -> list[Article | Tick]:
    records: list[Article | Tick] = []
    for partition in range(bus.partitions(Topic.ARTICLES)):
        messages = await bus.read(Topic.ARTICLES, partition, 0, 100_000)
        records.extend(ARTICLES.validate_json(message.value) for message in messages)
    return records


async def articles_of(bus: Bus) -> list[Article]:
    return [record for record in await log_of(bus) if isinstance(record, Article)]


async def until(bus: Bus, condition: Callable[[], Awaitable[bool]], within_s: float = PATIENCE_S) -> None:
    assert isinstance(bus, EmbeddedBus)
    async with asyncio.timeout(within_s):
        while not await condition():
            await bus.wait_for_change(0.1)


async def until_articles(bus: Bus, count: int, within_s: float = PATIENCE_S) -> list[Article]:
    async def there() -> bool:
        return len(await articles_of(bus)) >= count

    await until(bus, there, within_s)
    return await articles_of(bus)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data", ingest=ingest())


async def test_feeds_become_articles_each_once_with_times_and_ids(publisher: Publisher, settings: Settings) -> None:
    publisher.pages |= {"a": rss(1, 2, 3), "b": rss(3, 4, guid="other-")}
    async with running(settings) as bus:
        began = datetime.now(UTC)
        await publish_feeds(bus, [Feed(id="a", url=publisher.url("a")), Feed(id="b", url=publisher.url("b"))])
        articles = await until_articles(bus, 4)
    pages = {article.url: article.id for article in articles}
    assert sorted(pages) == [f"https://news.example/{n}" for n in (1, 2, 3, 4)]
    assert len({(article.id, article.version) for article in articles}) == 4, "one page through two feeds is one item"
    assert {article.version for article in articles} == {1}
    for article in articles:
        assert began - timedelta(seconds=1) <= article.seen_at <= datetime.now(UTC)
        assert article.published_at == article.seen_at
        assert article.language == "en"


async def test_time_flows_on_every_partition_although_no_feed_answers(publisher: Publisher, settings: Settings) -> None:
    async with running(settings) as bus:
        await publish_feeds(bus, [Feed(id="dead", url=publisher.url("nothing-here"))])

        async def time_flows() -> bool:
            for partition in range(bus.partitions(Topic.ARTICLES)):
                messages = await bus.read(Topic.ARTICLES, partition, 0, 1_000)
                times = [ARTICLES.validate_json(message.value).seen_at for message in messages]
                if len(times) < 4 or times[-1] - times[0] < timedelta(seconds=0.8):
                    return False
            return True

        await until(bus, time_flows)


async def test_one_feeds_trouble_is_its_own_and_is_logged_once(publisher: Publisher, settings: Settings) -> None:
    async def huge(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"x" * 20_000_000)

    async def closes(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    publisher.pages |= {
        "html": b"<!doctype html><html><body><h1>Welcome</h1></body></html>",
        "half": rss(*range(10))[:-250],
        "huge": huge,
        "closes": closes,
        "empty": b"",
        "good": rss(*range(100, 110)),
    }
    names = [*publisher.pages, "missing"]
    outcomes = Counter(
        {
            name: metrics.FETCHES.labels(outcome=name)._value.get()
            for name in ("unreadable", "refused", "failed", "document")
        }
    )
    with capture_logs() as logs:
        async with running(settings) as bus:
            await publish_feeds(bus, [Feed(id=name, url=publisher.url(name)) for name in names])

            async def all_are_settled() -> bool:
                counts = (metrics.FETCHES.labels(outcome=name)._value.get() - outcomes[name] for name in outcomes)
                return sum(counts) >= len(names)

            await until(bus, all_are_settled)
            articles = await until_articles(bus, 18)
    by_source = Counter(article.source for article in articles)
    assert by_source["good"] == 10
    assert by_source["half"] in {8, 9}
    assert set(by_source) == {"good", "half"}
    failed = {entry["feed"]: entry["error"] for entry in logs if entry["event"] == "feed fails"}
    assert set(failed) == {"html", "huge", "closes", "empty", "missing"}
    assert sum(entry["event"] == "feed fails" for entry in logs) == 5
    assert "HTML page" in failed["html"]
    assert "larger than 10000000 bytes" in failed["huge"]
    assert "404" in failed["missing"]
    assert [entry["feed"] for entry in logs if entry["event"] == "feed was read in part"] == ["half"]


async def test_after_a_restart_nothing_is_published_again_and_changes_make_versions(
    publisher: Publisher, settings: Settings
) -> None:
    publisher.pages |= {"a": rss(1, 2), "b": rss(1, 2, 3).replace(b"number 2", b"number two")}
    async with running(settings) as bus:
        await publish_feeds(bus, [Feed(id="feed", url=publisher.url("a"))])
        first = await until_articles(bus, 2)
    async with running(settings) as bus:
        await publish_feeds(bus, [Feed(id="feed", url=publisher.url("b"))])
        both = await until_articles(bus, 4)
    assert sorted((article.url[-1], article.version) for article in both) == [("1", 1), ("2", 1), ("2", 2), ("3", 1)]
    assert max(article.seen_at for article in first) <= min(a.seen_at for a in both if a not in first)
    assert publisher.asked("a") == 1


async def test_a_stage_killed_in_the_middle_of_a_document_publishes_each_item_once(
    publisher: Publisher, settings: Settings
) -> None:
    settings = settings.model_copy(update={"bus": settings.bus.model_copy(update={"batch": 10})})
    publisher.pages["feed"] = rss(*range(200))
    bus = await open_bus(settings)
    stage = asyncio.create_task(run_ingest(bus, settings))
    await publish_feeds(bus, [Feed(id="feed", url=publisher.url("feed"))])
    partial = await until_articles(bus, 1)
    stage.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stage
    await bus.close()
    async with running(settings) as bus:
        articles = await until_articles(bus, 200)
    assert len(partial) >= 1
    assert Counter(article.id for article in articles).most_common(1)[0][1] == 1
    assert len(articles) == 200


async def test_a_list_is_published_once_and_feeds_that_vanish_are_switched_off(
    publisher: Publisher, settings: Settings
) -> None:
    publisher.pages |= {"a": rss(1), "b": rss(2), "c": rss(3)}
    a, b, c = (Feed(id=name, url=publisher.url(name)) for name in "abc")
    async with running(settings) as bus:
        assert await publish_feeds(bus, [a, b]) == 2
        assert await publish_feeds(bus, [a, b]) == 0
        await until_articles(bus, 2)
        assert await publish_feeds(bus, [a, c]) == 2
        assert await publish_feeds(bus, [a, c]) == 0
        await until_articles(bus, 3)
        records = [Feed.model_validate_json(m.value) for p in range(2) for m in await bus.read(Topic.FEEDS, p, 0, 100)]
    assert sorted((feed.id, feed.enabled) for feed in records) == [("a", True), ("b", False), ("b", True), ("c", True)]


async def test_a_feed_record_that_cannot_be_read_goes_to_the_dead_letters(
    publisher: Publisher, settings: Settings
) -> None:
    from riskwire.bus import Outgoing

    publisher.pages["a"] = rss(1)
    async with running(settings) as bus:
        async with bus.publisher("vandal") as vandal:
            await vandal.publish([Outgoing(Topic.FEEDS, "x", b'{"id": "x"}')], {})
        await publish_feeds(bus, [Feed(id="a", url=publisher.url("a"))])
        await until_articles(bus, 1)

        async def is_dead() -> bool:
            return (await bus.records())["dead-letters"] == 1

        await until(bus, is_dead)


async def test_no_host_is_asked_by_more_than_per_host_feeds_at_once(publisher: Publisher, settings: Settings) -> None:
    settings = settings.model_copy(update={"ingest": ingest(per_host=2)})
    now, most = 0, 0

    async def page(request: web.Request) -> web.StreamResponse:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.05)
        now -= 1
        return web.Response(body=rss(int(request.path[2:])))

    publisher.pages |= {f"f{n}": page for n in range(12)}
    async with running(settings) as bus:
        await publish_feeds(bus, [Feed(id=f"f{n}", url=publisher.url(f"f{n}")) for n in range(12)])
        await until_articles(bus, 12)
    assert most == 2


@pytest.mark.slow
async def test_a_feed_is_polled_again_conditionally_and_what_is_new_is_published(
    publisher: Publisher, settings: Settings
) -> None:
    asked: list[str | None] = []

    async def page(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers.get("If-None-Match"))
        body = rss(1) if len(asked) == 1 else rss(1, 2)
        return web.Response(body=body, headers={"ETag": f'"{len(asked)}"'})

    publisher.pages["feed"] = page
    async with running(settings) as bus:
        await publish_feeds(bus, [Feed(id="feed", url=publisher.url("feed"), every_s=10)])
        articles = await until_articles(bus, 2)
    assert asked[:2] == [None, '"1"']
    assert sorted(article.url for article in articles) == ["https://news.example/1", "https://news.example/2"]


@pytest.fixture
def shared_feeds() -> dict[str, bytes]:
    root = Path(os.environ.get("RISKWIRE_SHARED", Path(__file__).parents[4] / "shared"))
    if not (root / "data/feeds").is_dir():
        pytest.skip("../shared/data is not there")
    paths = [*(root / "data/feeds").glob("*.xml"), *(root / "data/feeds/shapes").glob("*.xml")]
    return {path.stem: path.read_bytes() for path in sorted(paths)}


@pytest.mark.needs_data
async def test_every_real_feed_document_yields_its_entries_as_articles(
    publisher: Publisher, settings: Settings, shared_feeds: dict[str, bytes]
) -> None:
    wanted: dict[str, int] = {}
    for name, body in shared_feeds.items():
        publisher.pages[name] = gzip_page(body)
        entries = feedparser.parse(io.BytesIO(body), sanitize_html=False).entries
        wanted[name] = len({(entry.get("link"), entry.get("id"), entry.get("title")) for entry in entries})
    async with running(settings) as bus:
        await publish_feeds(bus, [Feed(id=name, url=publisher.url(name)) for name in wanted])

        async def each_is_there() -> bool:
            got = Counter(article.source for article in await articles_of(bus))
            return all(got[name] >= max(count, 1) for name, count in wanted.items())

        with suppress(TimeoutError):
            await until(bus, each_is_there, within_s=2 * PATIENCE_S)
        articles = await articles_of(bus)
    got = Counter(article.source for article in articles)
    assert {name: (got[name], count) for name, count in wanted.items() if got[name] < max(count, 1)} == {}
    assert len({(a.id, a.version) for a in articles}) == len(articles)


def gzip_page(body: bytes) -> Handler:
    packed = gzip.compress(body)

    async def page(request: web.Request) -> web.StreamResponse:
        return web.Response(body=packed, headers={"Content-Encoding": "gzip", "Content-Type": "text/xml"})

    return page
