"""The ingest stage on an embedded bus, with feeds on a local website."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import feedparser
import pytest
from aiohttp import web
from feeds.website import PageHandler, Website, local_ingest_settings, rss
from structlog.testing import capture_logs

from riskwire import metrics
from riskwire.bus import Bus, Outgoing
from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.bus.open import open_bus
from riskwire.ingest.feeds.publication import publish_feeds
from riskwire.ingest.feeds.status import feed_statuses, read_polls
from riskwire.ingest.stage import IngestStage
from riskwire.pipeline import Topic
from riskwire.records import ARTICLES, Article, Feed, Tick
from riskwire.settings import Settings
from riskwire.stage import run_stage

TIMEOUT_S = 90.0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data", ingest=local_ingest_settings())


def start_ingest(bus: Bus, settings: Settings) -> asyncio.Task[None]:
    stage = IngestStage(settings, bus.partitions(Topic.ARTICLES))
    return asyncio.create_task(run_stage(bus, stage, batch=settings.bus.batch))


@asynccontextmanager
async def running_ingest(settings: Settings) -> AsyncIterator[Bus]:
    """Runs the stage on an embedded bus. The stage must not end before the bus is closed, and must end then."""
    bus = await open_bus(settings)
    stage = start_ingest(bus, settings)
    try:
        yield bus
        assert not stage.done(), stage
    finally:
        await bus.close()
        async with asyncio.timeout(TIMEOUT_S):
            await stage


async def records_of(bus: Bus, partition: int) -> list[Article | Tick]:
    messages = await bus.read(Topic.ARTICLES, partition, 0, 100_000)
    return [ARTICLES.validate_json(message.value) for message in messages]


async def articles_of(bus: Bus) -> list[Article]:
    partitions = range(bus.partitions(Topic.ARTICLES))
    records = [record for partition in partitions for record in await records_of(bus, partition)]
    return [record for record in records if isinstance(record, Article)]


async def wait_for(bus: Bus, condition: Callable[[], Awaitable[bool]], timeout_s: float = TIMEOUT_S) -> None:
    """Waits until a condition holds; it is examined after each change of the bus.

    Raises:
        TimeoutError: it does not within `timeout_s`.
    """
    assert isinstance(bus, EmbeddedBus)
    async with asyncio.timeout(timeout_s):
        while not await condition():
            await bus.wait_for_change(0.1)


async def wait_for_articles(bus: Bus, count: int) -> list[Article]:
    """Waits until at least `count` articles are published, and returns all."""

    async def are_published() -> bool:
        return len(await articles_of(bus)) >= count

    await wait_for(bus, are_published)
    return await articles_of(bus)


def fetches(outcome: str) -> float:
    return metrics.FETCHES.labels(outcome=outcome)._value.get()


async def test_each_item_of_the_feeds_becomes_one_article(website: Website, settings: Settings) -> None:
    """The feeds have one item in common, under different ids and with the same link. The items have no date."""
    website.pages |= {"a": rss(1, 2, 3), "b": rss(3, 4, guid_prefix="other-")}
    async with running_ingest(settings) as bus:
        started_at = datetime.now(UTC)
        await publish_feeds(bus, [Feed(id="a", url=website.url("a")), Feed(id="b", url=website.url("b"))])
        articles = await wait_for_articles(bus, 4)
    pages = [f"https://news.example/{number}" for number in (1, 2, 3, 4)]
    assert sorted({article.url for article in articles}) == pages
    assert len({(article.id, article.version) for article in articles}) == 4, "an item in two feeds is one article"
    assert {article.version for article in articles} == {1}
    for article in articles:
        assert started_at - timedelta(seconds=1) <= article.seen_at <= datetime.now(UTC)
        assert article.published_at == article.seen_at
        assert article.language == "en"


async def test_a_feed_whose_dates_cannot_be_read_is_news_and_is_named(website: Website, settings: Settings) -> None:
    """Every date of the first document is unreadable. The metric counts them, and the state of the feed names one."""
    count = settings.bus.batch + 5
    body = rss(*range(count)).replace(b"</item>", b"<pubDate>the day before yesterday</pubDate></item>")
    website.pages["feed"] = body
    unknown = metrics.UNKNOWN_DATES.labels(reason="unreadable")
    before = unknown._value.get()
    feed = Feed(id="feed", url=website.url("feed"))
    async with running_ingest(settings) as bus:
        await publish_feeds(bus, [feed])
        articles = await wait_for_articles(bus, count)

        async def feed_is_undated() -> bool:
            (status,) = feed_statuses([feed], await read_polls(bus))
            poll = status.poll
            return (
                status.state == "undated"
                and poll is not None
                and (poll.unreadable_dates, poll.date_example) == (count, "the day before yesterday")
            )

        await wait_for(bus, feed_is_undated)
    assert not any(article.backfill for article in articles)
    assert unknown._value.get() - before == count


async def test_ticks_are_published_on_every_partition_although_no_feed_answers(
    website: Website, settings: Settings
) -> None:
    """A tick carries the time, every 0.2 s here. The only feed is a page that does not exist."""
    async with running_ingest(settings) as bus:
        await publish_feeds(bus, [Feed(id="missing", url=website.url("missing"))])

        async def ticks_are_published() -> bool:
            """Returns whether each partition has at least four records, over at least 0.8 s."""
            for partition in range(bus.partitions(Topic.ARTICLES)):
                times = [record.seen_at for record in await records_of(bus, partition)]
                if len(times) < 4 or times[-1] - times[0] < timedelta(seconds=0.8):
                    return False
            return True

        await wait_for(bus, ticks_are_published)


async def test_a_failing_feed_does_not_affect_other_feeds_and_is_logged_once(
    website: Website, settings: Settings
) -> None:
    """Five feeds fail, each in another way. A truncated document is read in part."""

    async def send_too_much(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"x" * 20_000_000)

    async def close_connection(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    website.pages |= {
        "html": b"<!doctype html><html><body><h1>Welcome</h1></body></html>",
        "truncated": rss(*range(10))[:-250],
        "large": send_too_much,
        "closing": close_connection,
        "empty": b"",
        "good": rss(*range(100, 110)),
    }
    names = [*website.pages, "missing"]
    outcomes = ("unreadable", "refused", "failed", "document")
    before = sum(map(fetches, outcomes))
    with capture_logs() as logs:
        async with running_ingest(settings) as bus:
            await publish_feeds(bus, [Feed(id=name, url=website.url(name)) for name in names])

            async def every_feed_is_polled() -> bool:
                return sum(map(fetches, outcomes)) - before >= len(names)

            await wait_for(bus, every_feed_is_polled)
            articles = await wait_for_articles(bus, 18)
    articles_by_feed = Counter(article.source for article in articles)
    assert set(articles_by_feed) == {"good", "truncated"}
    assert articles_by_feed["good"] == 10
    assert articles_by_feed["truncated"] in {8, 9}
    failures = [entry for entry in logs if entry["event"] == "feed fails"]
    errors = {entry["feed"]: entry["error"] for entry in failures}
    assert set(errors) == {"html", "large", "closing", "empty", "missing"}
    assert len(failures) == 5
    assert "HTML page" in errors["html"]
    assert "larger than 10000000 bytes" in errors["large"]
    assert "404" in errors["missing"]
    assert [entry["feed"] for entry in logs if entry["event"] == "feed was read in part"] == ["truncated"]


async def test_after_a_restart_only_changed_items_are_published_as_new_versions(
    website: Website, settings: Settings
) -> None:
    """The feed moves to another page between the runs, where item 2 has another title and item 3 is new."""
    website.pages |= {"before": rss(1, 2), "after": rss(1, 2, 3).replace(b"number 2", b"number two")}
    async with running_ingest(settings) as bus:
        await publish_feeds(bus, [Feed(id="feed", url=website.url("before"))])
        articles_before = await wait_for_articles(bus, 2)
    async with running_ingest(settings) as bus:
        await publish_feeds(bus, [Feed(id="feed", url=website.url("after"))])
        articles = await wait_for_articles(bus, 4)
    versions = sorted((article.url[-1], article.version) for article in articles)
    assert versions == [("1", 1), ("2", 1), ("2", 2), ("3", 1)]
    new = [article for article in articles if article not in articles_before]
    assert max(article.seen_at for article in articles_before) <= min(article.seen_at for article in new)
    assert website.requests_of("before") == 1


async def test_a_stage_killed_within_a_document_publishes_each_item_once(website: Website, settings: Settings) -> None:
    """A step takes at most 10 of the 200 items, so that the stage is cancelled between two steps of the document."""
    settings = settings.model_copy(update={"bus": settings.bus.model_copy(update={"batch": 10})})
    website.pages["feed"] = rss(*range(200))
    bus = await open_bus(settings)
    stage = start_ingest(bus, settings)
    await publish_feeds(bus, [Feed(id="feed", url=website.url("feed"))])
    await wait_for_articles(bus, 1)
    stage.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stage
    await bus.close()
    async with running_ingest(settings) as bus:
        articles = await wait_for_articles(bus, 200)
    assert len(articles) == len({article.id for article in articles}) == 200


async def test_a_feed_list_is_published_once_and_removed_feeds_are_disabled(
    website: Website, settings: Settings
) -> None:
    """`publish_feeds` returns the number of records that it has published: feeds that are new, changed or removed."""
    website.pages |= {"a": rss(1), "b": rss(2), "c": rss(3)}
    a, b, c = (Feed(id=name, url=website.url(name)) for name in "abc")
    async with running_ingest(settings) as bus:
        assert await publish_feeds(bus, [a, b]) == 2
        assert await publish_feeds(bus, [a, b]) == 0
        await wait_for_articles(bus, 2)
        assert await publish_feeds(bus, [a, c]) == 2
        assert await publish_feeds(bus, [a, c]) == 0
        await wait_for_articles(bus, 3)
        messages = [message for partition in range(2) for message in await bus.read(Topic.FEEDS, partition, 0, 100)]
    feeds = [Feed.model_validate_json(message.value) for message in messages]
    assert sorted((feed.id, feed.enabled) for feed in feeds) == [("a", True), ("b", False), ("b", True), ("c", True)]


async def test_a_malformed_feed_record_becomes_a_dead_letter(website: Website, settings: Settings) -> None:
    """The record has no URL. The feed after it is polled."""
    website.pages["a"] = rss(1)
    async with running_ingest(settings) as bus:
        async with bus.publisher("malformed") as publisher:
            await publisher.publish([Outgoing(Topic.FEEDS, "x", b'{"id": "x"}')], {})
        await publish_feeds(bus, [Feed(id="a", url=website.url("a"))])
        await wait_for_articles(bus, 1)

        async def dead_letter_is_published() -> bool:
            return (await bus.records())["dead-letters"] == 1

        await wait_for(bus, dead_letter_is_published)


async def test_concurrent_requests_to_one_host_are_limited(website: Website, settings: Settings) -> None:
    """Twelve feeds are on one host, of which two may be requested at a time."""
    settings = settings.model_copy(update={"ingest": local_ingest_settings(per_host=2)})
    concurrent, max_concurrent = 0, 0

    async def page(request: web.Request) -> web.StreamResponse:
        """Answers after 50 ms with the item whose number is in the path, and counts the requests under way."""
        nonlocal concurrent, max_concurrent
        concurrent += 1
        max_concurrent = max(max_concurrent, concurrent)
        await asyncio.sleep(0.05)
        concurrent -= 1
        return web.Response(body=rss(int(request.path[2:])))

    names = [f"f{number}" for number in range(12)]
    website.pages |= dict.fromkeys(names, page)
    async with running_ingest(settings) as bus:
        await publish_feeds(bus, [Feed(id=name, url=website.url(name)) for name in names])
        await wait_for_articles(bus, 12)
    assert max_concurrent == 2


@pytest.mark.slow
async def test_the_next_poll_is_conditional_and_new_items_are_published(website: Website, settings: Settings) -> None:
    """The page has one item and the entity tag "1" at first. The second poll sends that tag."""
    validators: list[str | None] = []

    async def page(request: web.Request) -> web.StreamResponse:
        validators.append(request.headers.get("If-None-Match"))
        body = rss(1) if len(validators) == 1 else rss(1, 2)
        return web.Response(body=body, headers={"ETag": f'"{len(validators)}"'})

    website.pages["feed"] = page
    async with running_ingest(settings) as bus:
        await publish_feeds(bus, [Feed(id="feed", url=website.url("feed"), every_s=10)])
        articles = await wait_for_articles(bus, 2)
    assert validators[:2] == [None, '"1"']
    assert sorted(article.url for article in articles) == ["https://news.example/1", "https://news.example/2"]


@pytest.fixture
def recorded_feeds() -> dict[str, bytes]:
    """Feed documents of real publishers, by name."""
    root = Path(os.environ.get("RISKWIRE_SHARED", Path(__file__).parents[4] / "shared"))
    if not (root / "data/feeds").is_dir():
        pytest.skip("../shared/data does not exist")
    paths = [*(root / "data/feeds").glob("*.xml"), *(root / "data/feeds/shapes").glob("*.xml")]
    return {path.stem: path.read_bytes() for path in sorted(paths)}


@pytest.mark.needs_data
async def test_the_entries_of_every_recorded_feed_become_articles(
    website: Website, settings: Settings, recorded_feeds: dict[str, bytes]
) -> None:
    """Each feed must have at least as many articles as feedparser finds different entries, and at least one."""
    entries_by_feed: dict[str, int] = {}
    for name, body in recorded_feeds.items():
        website.pages[name] = gzip_page(body)
        entries = feedparser.parse(io.BytesIO(body), sanitize_html=False).entries
        entries_by_feed[name] = len({(entry.get("link"), entry.get("id"), entry.get("title")) for entry in entries})

    def incomplete_feeds(articles: list[Article]) -> dict[str, tuple[int, int]]:
        """Returns the number of articles and of entries of each feed with too few articles."""
        articles_by_feed = Counter(article.source for article in articles)
        return {
            name: (articles_by_feed[name], entries)
            for name, entries in entries_by_feed.items()
            if articles_by_feed[name] < max(entries, 1)
        }

    async with running_ingest(settings) as bus:
        await publish_feeds(bus, [Feed(id=name, url=website.url(name)) for name in recorded_feeds])

        async def every_feed_is_complete() -> bool:
            return not incomplete_feeds(await articles_of(bus))

        with suppress(TimeoutError):
            await wait_for(bus, every_feed_is_complete, timeout_s=2 * TIMEOUT_S)
        articles = await articles_of(bus)
    assert incomplete_feeds(articles) == {}
    assert len({(article.id, article.version) for article in articles}) == len(articles)


def gzip_page(body: bytes) -> PageHandler:
    """Returns a page that answers with a compressed document."""
    compressed = gzip.compress(body)

    async def page(request: web.Request) -> web.StreamResponse:
        return web.Response(body=compressed, headers={"Content-Encoding": "gzip", "Content-Type": "text/xml"})

    return page
