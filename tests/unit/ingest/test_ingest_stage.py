"""The ingest stage: an article that is too large is shortened, and one that is refused costs only itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from prometheus_client import REGISTRY
from refusing import RefusingAssignment
from structlog.testing import capture_logs

from riskwire.bus import Assignment, Outgoing
from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.errors import RiskwireError
from riskwire.ingest.feeds.publication import publish_feeds
from riskwire.ingest.feeds.schedule import PollState
from riskwire.ingest.fetching.fetch import FetchedDocument, Validators
from riskwire.ingest.parsing.items import FeedItem, ParseResult
from riskwire.ingest.stage import IngestTask
from riskwire.pipeline import INGEST, Topic
from riskwire.records import ARTICLES, Article, DeadLetter, Feed, Tick
from riskwire.settings import BusSettings, IngestSettings, Settings
from riskwire.stage import MAX_REFUSED_IN_A_ROW
from riskwire.stage.effect_loop import EffectLoop
from riskwire.steady_clock import SteadyClock

AT = datetime(2026, 3, 2, tzinfo=UTC)
LONG = "much is said " * 4_000
SMALL_ARTICLES = {"articles": 10_000}
UNLIMITED: dict[str, int] = {}


def item(name: str, text: str = "") -> FeedItem:
    url = f"http://news.example/{name}"
    return FeedItem(id=name, content="first", url=url, title=name, text=text, language="en", published_at=AT)


def item_with_long_title(name: str) -> FeedItem:
    """An item that is too large even without its text."""
    return item(name, LONG).model_copy(update={"title": LONG})


class FakeSource:
    """Fetcher, parser and clock: every feed has the same document.

    Args:
        items: the items of the document.
        read_s: how long parsing a document takes, on this clock.
        step_s: how far the clock moves each time it is read.
    """

    def __init__(self, items: Sequence[FeedItem], read_s: float, step_s: float) -> None:
        """Sets the clock to `AT`; see the class for the arguments."""
        self.items = tuple(items)
        self.now = AT
        self._read_s = read_s
        self._step_s = step_s

    def clock(self) -> datetime:
        self.now += timedelta(seconds=self._step_s)
        return self.now

    def acquire(self, url: str) -> bool:
        return True

    def release(self, url: str) -> None:
        pass

    async def fetch(self, url: str, validators: Validators) -> FetchedDocument:
        return FetchedDocument(f"document {self.items}".encode(), "text/xml", url, Validators("etag"))

    async def parse(self, feed: Feed, document: FetchedDocument) -> ParseResult:
        self.now += timedelta(seconds=self._read_s)
        return ParseResult(version="x", items=self.items)


class FakeSourceStage:
    """The ingest stage with a fake source."""

    spec = INGEST

    def __init__(self, settings: Settings, source: Any) -> None:
        self._settings = settings
        self._source = source

    def open(self, assignment: Assignment, state: Mapping[str, bytes]) -> IngestTask:
        def monotonic() -> float:
            seconds: float = self._source.now.timestamp()
            return seconds

        clock = SteadyClock(self._source.clock, monotonic)
        return IngestTask(assignment, state, self._settings, 1, self._source, self._source, clock)

    async def __aenter__(self) -> FakeSourceStage:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class PollAssignment(RefusingAssignment):
    """An assignment that notices when the state of a poll is committed, which ends the poll."""

    def __init__(self, assignment: Any, max_bytes: Mapping[str, int]) -> None:
        super().__init__(assignment, max_bytes)
        self.polled = asyncio.Event()

    async def commit(self, position: int, results: Sequence[Outgoing], state: Mapping[str, bytes | None]) -> None:
        """Commits a step; sets `polled` when it contains the result of the feed's poll.

        Raises:
            TooLargeError: a record is larger than the limit of its topic.
        """
        await super().commit(position, results, state)
        if state.get("poll:globex"):
            self.polled.set()


class FeedBus:
    """A bus with one partition, on which the stage runs for one poll at a time."""

    def __init__(self, bus: EmbeddedBus, settings: Settings) -> None:
        self.bus = bus
        self.settings = settings
        self.polls = 0

    async def poll(
        self, items: Sequence[FeedItem], max_bytes: Mapping[str, int], read_s: float = 0, step_s: float = 0
    ) -> PollAssignment:
        """Starts the stage with a feed that is due, and stops it when the feed's document has been published.

        Args:
            items: the items of the document.
            max_bytes: the largest record by topic; larger ones are refused.
            read_s: how long parsing takes, on the clock of the stage.
            step_s: how far that clock moves each time it is read.

        Returns:
            the assignment of the stage, which counts refused steps.

        Raises:
            RiskwireError: the stage stopped with this error.
        """
        self.polls += 1
        await publish_feeds(self.bus, [Feed(id="globex", url=f"http://news.example/{self.polls}")])
        assignment = PollAssignment(await anext(self.bus.assignments("ingest", Topic.FEEDS)), max_bytes)
        stage = FakeSourceStage(self.settings, FakeSource(items, read_s, step_s))
        running = asyncio.create_task(EffectLoop(stage, assignment, max_batch=100, fetch_timeout_s=1.0).run())
        polled = asyncio.create_task(assignment.polled.wait())
        try:
            async with asyncio.timeout(20):
                await asyncio.wait([running, polled], return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
        finally:
            running.cancel()
            polled.cancel()
            await asyncio.gather(running, polled, return_exceptions=True)
        return assignment

    async def records(self) -> list[Any]:
        return [ARTICLES.validate_json(message.value) for message in await self.bus.read(Topic.ARTICLES, 0, 0, 10_000)]

    async def articles(self) -> list[Article]:
        return [record for record in await self.records() if isinstance(record, Article)]

    async def article_ids(self) -> list[str]:
        return [article.id for article in await self.articles()]

    async def ticks(self) -> int:
        return sum(isinstance(record, Tick) for record in await self.records())

    async def dead_letters(self) -> list[DeadLetter]:
        messages = await self.bus.read(Topic.DEAD_LETTERS, 0, 0, 10_000)
        return [DeadLetter.model_validate_json(message.value) for message in messages]

    async def state(self) -> dict[str, bytes]:
        return await (await anext(self.bus.assignments("ingest", Topic.FEEDS))).restore()


@pytest.fixture
async def feed_bus(tmp_path: Path) -> AsyncIterator[FeedBus]:
    """Yields an embedded bus of one partition, on which ingest publishes ticks once an hour."""
    bus = await EmbeddedBus.open(tmp_path, BusSettings(partitions=1))
    yield FeedBus(bus, Settings(data=tmp_path, ingest=IngestSettings(tick_s=3_600)))
    await bus.close()


def shortened_articles() -> float:
    return REGISTRY.get_sample_value("riskwire_ingest_shortened_articles_total") or 0.0


@pytest.mark.parametrize("large", [[0], [1], [3], [0, 1], [2, 3], [0, 1, 2, 3]])
async def test_only_articles_that_are_too_large_are_shortened(feed_bus: FeedBus, large: list[int]) -> None:
    """Of four articles, those in `large` have 52,000 characters, and the bus takes records of 10,000 bytes.

    Articles stay in order. Each shortened one is logged with its full length, and counted in the metric.
    """
    before = shortened_articles()
    items = [item(f"{number}", LONG if number in large else f"text {number}") for number in range(4)]
    with capture_logs() as logs:
        await feed_bus.poll(items, SMALL_ARTICLES)
    articles = await feed_bus.articles()
    assert [article.id for article in articles] == ["0", "1", "2", "3"]
    for number, article in enumerate(articles):
        assert article.cut == (number in large)
        if not article.cut:
            assert article.text == f"text {number}"
            continue
        assert LONG.startswith(article.text)
        size = len(article.to_bytes())
        assert SMALL_ARTICLES["articles"] / 2.5 < size <= SMALL_ARTICLES["articles"], "no more is cut than necessary"
    assert await feed_bus.dead_letters() == []
    assert shortened_articles() - before == len(large)
    logged = [(line["id"], line["characters"]) for line in logs if "shortened" in line["event"]]
    assert logged == [(f"{number}", len(LONG)) for number in large]


async def test_a_size_that_was_refused_is_not_tried_again_in_the_same_document(feed_bus: FeedBus) -> None:
    """Each of 20 equal articles must be halved three times, but only the first one tries each size."""
    assignment = await feed_bus.poll([item(f"{number}", LONG) for number in range(20)], SMALL_ARTICLES)
    assert len(await feed_bus.articles()) == 20
    assert assignment.refused <= 1 + 3, "the whole document, and three sizes"


async def test_an_article_that_fits_only_without_text_is_published_without_text(feed_bus: FeedBus) -> None:
    await feed_bus.poll([item("1", LONG)], {"articles": 400})
    (article,) = await feed_bus.articles()
    assert (article.title, article.text, article.cut) == ("1", "", True)


@pytest.mark.parametrize("refused", [[0], [1], [3], [0, 1], [2, 3], [0, 1, 2, 3]])
async def test_an_article_that_is_too_large_without_text_becomes_a_dead_letter(
    feed_bus: FeedBus, refused: list[int]
) -> None:
    """Of four articles, those in `refused` have a title that is too large. The others are published in order.

    `offset` of a dead letter is the number of the item in the document, from 1.
    """
    items = [item_with_long_title(f"{number}") if number in refused else item(f"{number}") for number in range(4)]
    await feed_bus.poll(items, SMALL_ARTICLES)
    assert await feed_bus.article_ids() == [f"{number}" for number in range(4) if number not in refused]
    dead_letters = await feed_bus.dead_letters()
    assert [(letter.stage, letter.topic, letter.offset, letter.key) for letter in dead_letters] == [
        ("ingest", "feed:globex", number + 1, f"{number}") for number in refused
    ]
    for letter in dead_letters:
        assert letter.error == "TooLargeError: the brokers refuse a record for its size"
        assert Article.model_validate_json(letter.record).text == LONG, "the article before it was shortened"


async def test_neither_refused_nor_shortened_articles_come_back_with_the_next_poll(feed_bus: FeedBus) -> None:
    """The first poll is complete: its ETag is in the state. The second poll, without a limit, publishes only item 3."""
    document = [item("1"), item_with_long_title("refused"), item("large", LONG), item("2")]
    await feed_bus.poll(document, SMALL_ARTICLES)
    assert PollState.model_validate_json((await feed_bus.state())["poll:globex"]).etag == "etag"
    await feed_bus.poll([*document, item("3")], UNLIMITED)
    assert await feed_bus.article_ids() == ["1", "large", "2", "3"]
    assert len(await feed_bus.dead_letters()) == 1


async def test_a_refused_dead_letter_is_cut_and_later_articles_are_published(feed_bus: FeedBus) -> None:
    """The dead letter of the first article is larger than the bus takes, so only a part of its record is kept."""
    names = [f"{number}" for number in range(2 * MAX_REFUSED_IN_A_ROW)]
    document = [item_with_long_title("refused"), *map(item, names)]
    await feed_bus.poll(document, SMALL_ARTICLES | {"dead-letters": 15_000})
    assert await feed_bus.article_ids() == names
    assert [letter.cut for letter in await feed_bus.dead_letters()] == [True]


async def test_the_stage_stops_without_loss_when_every_article_is_refused(feed_bus: FeedBus) -> None:
    """After `MAX_REFUSED_IN_A_ROW` refused articles the cause cannot be the articles: nothing becomes a dead letter.

    A later poll publishes all.
    """
    document = [item(f"{number}", "some text" * 100) for number in range(MAX_REFUSED_IN_A_ROW)]
    with pytest.raises(RiskwireError, match=rf"{MAX_REFUSED_IN_A_ROW} records in a row.*brokers refuse"):
        await feed_bus.poll(document, {"articles": 150})
    assert (await feed_bus.article_ids(), await feed_bus.dead_letters()) == ([], [])
    await feed_bus.poll(document, UNLIMITED)
    assert await feed_bus.article_ids() == [article.id for article in document]


async def test_the_tick_of_a_refused_step_is_published_after_its_articles(feed_bus: FeedBus) -> None:
    """A tick (the time, for later stages) is due every hour, and parsing takes longer, 4,000 s.

    Its step is refused, and its articles are published one by one without a tick.
    """
    await feed_bus.poll([item("large", LONG)], SMALL_ARTICLES, read_s=4_000)
    assert await feed_bus.ticks() == 2, "one at the start, one with the document"


async def test_no_article_is_older_than_a_tick_before_it(feed_bus: FeedBus) -> None:
    """The clock moves 1,000 s each time it is read, so a tick is due while articles are published one by one."""
    document = [item("0"), item("1", LONG), item_with_long_title("2"), *(item(f"{number}") for number in range(3, 6))]
    await feed_bus.poll(document, SMALL_ARTICLES, step_s=1_000)
    newest = AT
    for record in await feed_bus.records():
        if isinstance(record, Article):
            assert record.seen_at >= newest
        newest = max(newest, record.seen_at)
    assert await feed_bus.ticks() > 1


async def test_an_event_tells_of_each_poll_and_of_each_published_article_by_its_id(feed_bus: FeedBus) -> None:
    """At level `debug`, so that the way of an article can be followed in the log."""
    with capture_logs() as events:
        await feed_bus.poll([item("a"), item("b")], UNLIMITED)
    published = [event["article"] for event in events if event["event"] == "article published"]
    assert published == await feed_bus.article_ids()
    (polled,) = [event for event in events if event["event"] == "feed polled"]
    assert (polled["feed"], polled["outcome"], polled["log_level"]) == ("globex", "document", "debug")
