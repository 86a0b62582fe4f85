"""An article that is too large is shortened rather than missed; one that cannot stand on its topic even so goes to the
dead letters, alone; the feed, and the service, go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from refusing import RefusingAssignment
from structlog.testing import capture_logs

from riskwire.bus import Outgoing
from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.errors import RiskwireError
from riskwire.ingest.feeds.publication import publish_feeds
from riskwire.ingest.feeds.schedule import PollState
from riskwire.ingest.fetching.fetch import Document, Validators
from riskwire.ingest.parsing.items import Item, Reading
from riskwire.ingest.parsing.times import IngestClock
from riskwire.ingest.stage import FeedTask
from riskwire.pipeline import Topic
from riskwire.records import ARTICLES, Article, DeadLetter, Feed
from riskwire.settings import BusSettings, IngestSettings, Settings
from riskwire.stage import MAX_REFUSED_IN_A_ROW

AT = datetime(2026, 3, 2, tzinfo=UTC)
LARGE = "much is said " * 4_000
NARROW = {"articles": 10_000}
ROOMY: dict[str, int] = {}


def item(name: str, text: str = "") -> Item:
    url = f"http://news.example/{name}"
    return Item(id=name, content="first", url=url, title=name, text=text, language="en", published_at=AT)


def hopeless(name: str) -> Item:
    """Too large also without its text."""
    return item(name, LARGE).model_copy(update={"title": LARGE})


class Source:
    """Stands for fetcher and reader, and for the clock: one document, and how long it takes to read."""

    def __init__(self, items: Sequence[Item], takes_s: float, pace_s: float) -> None:
        self.items = tuple(items)
        self._now = AT
        self._takes_s = takes_s
        self._pace_s = pace_s

    def clock(self) -> datetime:
        self._now += timedelta(seconds=self._pace_s)
        return self._now

    def enter(self, url: str) -> bool:
        return True

    def leave(self, url: str) -> None:
        pass

    async def fetch(self, url: str, validators: Validators) -> Document:
        return Document(f"document {self.items}".encode(), "text/xml", url, Validators("etag"))

    async def read(self, feed: Feed, document: Document) -> Reading:
        self._now += timedelta(seconds=self._takes_s)
        return Reading(version="x", items=self.items)


class Noting(RefusingAssignment):
    """Says when a step has brought what is remembered of a poll: the poll is over."""

    def __init__(self, assignment: Any, most: Mapping[str, int]) -> None:
        super().__init__(assignment, most)
        self.polled = asyncio.Event()

    async def commit(self, position: int, results: Sequence[Outgoing], state: Mapping[str, bytes | None]) -> None:
        await super().commit(position, results, state)
        if state.get("poll:globex"):
            self.polled.set()


class House:
    """A bus with one partition, and the stage started on it for one poll at a time."""

    def __init__(self, bus: EmbeddedBus, settings: Settings) -> None:
        self.bus = bus
        self.settings = settings
        self.polls = 0

    async def poll(
        self, items: Sequence[Item], most: Mapping[str, int], takes_s: float = 0, pace_s: float = 0
    ) -> Noting:
        """Start the stage anew, with a feed that is due at once, until its document is dealt with."""
        self.polls += 1
        await publish_feeds(self.bus, [Feed(id="globex", url=f"http://news.example/{self.polls}")])
        source: Any = Source(items, takes_s, pace_s)
        assignment = Noting(await anext(self.bus.assignments("ingest", Topic.FEEDS)), most)
        task = FeedTask(self.bus, assignment, self.settings, source, source, IngestClock(source.clock))
        running = asyncio.create_task(task.run())
        polled = asyncio.create_task(assignment.polled.wait())
        try:
            async with asyncio.timeout(20):
                await asyncio.wait([running, polled], return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
        finally:
            for each in (running, polled):
                each.cancel()
            await asyncio.gather(running, polled, return_exceptions=True)
        return assignment

    async def articles(self) -> list[str]:
        return [one.id for one in await self.log() if isinstance(one, Article)]

    async def ticks(self) -> int:
        return sum(not isinstance(one, Article) for one in await self.log())

    async def log(self) -> list[Any]:
        return [ARTICLES.validate_json(one.value) for one in await self.bus.read(Topic.ARTICLES, 0, 0, 10_000)]

    async def letters(self) -> list[DeadLetter]:
        found = await self.bus.read(Topic.DEAD_LETTERS, 0, 0, 10_000)
        return [DeadLetter.model_validate_json(one.value) for one in found]

    async def state(self) -> dict[str, bytes]:
        return await (await anext(self.bus.assignments("ingest", Topic.FEEDS))).restore()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    bus = await EmbeddedBus.open(tmp_path, BusSettings(partitions=1))
    yield House(bus, Settings(data=tmp_path, ingest=IngestSettings(tick_s=3_600)))
    await bus.close()


def shortened() -> float:
    return REGISTRY.get_sample_value("riskwire_ingest_shortened_articles_total") or 0.0


@pytest.mark.parametrize("large", [[0], [1], [3], [0, 1], [2, 3], [0, 1, 2, 3]])
async def test_an_article_that_is_too_large_comes_out_shortened_and_no_other_is_touched(
    house: House, large: list[int]
) -> None:
    before = shortened()
    with capture_logs() as logs:
        await house.poll([item(f"{n}", LARGE if n in large else f"text {n}") for n in range(4)], NARROW)
    came = [one for one in await house.log() if isinstance(one, Article)]
    assert [one.id for one in came] == ["0", "1", "2", "3"]
    for n, one in enumerate(came):
        assert one.cut == (n in large)
        assert one.text == f"text {n}" if n not in large else LARGE.startswith(one.text)
        if one.cut:
            assert NARROW["articles"] / 2.5 < len(one.to_bytes()) <= NARROW["articles"], "no more is left out than must"
    assert await house.letters() == []
    assert shortened() - before == len(large)
    told = [(line["id"], line["characters"]) for line in logs if "shortened" in line["event"]]
    assert told == [(f"{n}", len(LARGE)) for n in large]


async def test_what_was_refused_once_in_a_document_is_not_asked_for_again(house: House) -> None:
    asked = await house.poll([item(f"{n}", LARGE) for n in range(20)], NARROW)
    assert len(await house.articles()) == 20
    assert asked.refused <= 1 + 3, "the whole document, and three sizes"


async def test_a_title_alone_still_comes_out(house: House) -> None:
    await house.poll([item("1", LARGE)], {"articles": 400})
    (one,) = [one for one in await house.log() if isinstance(one, Article)]
    assert (one.title, one.text, one.cut) == ("1", "", True)


@pytest.mark.parametrize("bad", [[0], [1], [3], [0, 1], [2, 3], [0, 1, 2, 3]])
async def test_exactly_the_article_that_is_too_large_even_without_its_text_is_a_dead_letter(
    house: House, bad: list[int]
) -> None:
    await house.poll([hopeless(f"{n}") if n in bad else item(f"{n}") for n in range(4)], NARROW)
    assert await house.articles() == [f"{n}" for n in range(4) if n not in bad]
    letters = await house.letters()
    assert [(one.stage, one.topic, one.offset, one.key) for one in letters] == [
        ("ingest", "feed:globex", n + 1, f"{n}") for n in bad
    ]
    for one in letters:
        assert one.error == "TooLargeError: the brokers refuse a record for its size"
        assert Article.model_validate_json(one.record).text == LARGE, "as it was before anything was left out"


async def test_the_poll_is_remembered_and_neither_article_comes_back(house: House) -> None:
    document = [item("1"), hopeless("hopeless"), item("large", LARGE), item("2")]
    await house.poll(document, NARROW)
    assert PollState.model_validate_json((await house.state())["poll:globex"]).etag == "etag"
    await house.poll([*document, item("3")], ROOMY)
    assert await house.articles() == ["1", "large", "2", "3"]
    assert len(await house.letters()) == 1


async def test_a_dead_letter_that_is_refused_is_cut_and_the_articles_behind_it_come_out(house: House) -> None:
    document = [hopeless("hopeless"), *(item(f"{n}") for n in range(2 * MAX_REFUSED_IN_A_ROW))]
    await house.poll(document, NARROW | {"dead-letters": 15_000})
    assert await house.articles() == [f"{n}" for n in range(2 * MAX_REFUSED_IN_A_ROW)]
    assert [one.cut for one in await house.letters()] == [True]


async def test_where_every_article_is_refused_the_stage_stops_and_has_lost_nothing(house: House) -> None:
    document = [item(f"{n}", "some text" * 100) for n in range(MAX_REFUSED_IN_A_ROW)]
    with pytest.raises(RiskwireError, match=rf"{MAX_REFUSED_IN_A_ROW} articles in a row.*brokers refuse"):
        await house.poll(document, {"articles": 150})
    assert (await house.articles(), await house.letters()) == ([], [])
    await house.poll(document, ROOMY)
    assert await house.articles() == [one.id for one in document]


async def test_the_tick_of_a_step_that_is_refused_is_told_all_the_same(house: House) -> None:
    await house.poll([item("large", LARGE)], NARROW, takes_s=4_000)
    assert await house.ticks() == 2, "one at the start, one with the document"


async def test_no_article_comes_behind_a_tick_that_is_newer(house: House) -> None:
    document = [item("0"), item("1", LARGE), hopeless("2"), *(item(f"{n}") for n in range(3, 6))]
    await house.poll(document, NARROW, pace_s=1_000)
    newest = AT
    for one in await house.log():
        if isinstance(one, Article):
            assert one.seen_at >= newest
        newest = max(newest, one.seen_at)
    assert await house.ticks() > 1
