"""What a stage does is measured: batches, results, commits, the age of news, and errors by kind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from riskwire import metrics
from riskwire.bus import Bus, Message, Outgoing
from riskwire.bus.drain import wait_until_drained
from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.errors import FencedError, SchemaError
from riskwire.ingest.feeds.schedule import PollState
from riskwire.ingest.poll_reports import show_feeds
from riskwire.pipeline import StageSpec, Topic
from riskwire.records import Feed
from riskwire.settings import BusSettings
from riskwire.stage import Step, Task, run_stage

STAGE = "measured"
AGE = timedelta(seconds=40)


class MeasuredStage:
    """Copies each record to `analyses`, as live news that was first seen `AGE` ago; refuses the record "bad"."""

    spec = StageSpec(STAGE, Topic.ARTICLES, (Topic.ANALYSES,), STAGE, "stage")

    def open(self, partition: int, state: Mapping[str, bytes]) -> Task:
        return self

    async def process(self, batch: Sequence[Message]) -> Step:
        if any(message.value == b"bad" for message in batch):
            raise SchemaError("a bad record")
        results = [Outgoing(Topic.ANALYSES, None, message.value, 0) for message in batch]
        return Step(results, seen=[datetime.now(UTC) - AGE for _ in batch])


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[EmbeddedBus]:
    bus = await EmbeddedBus.open(tmp_path, BusSettings(partitions=1))
    yield bus
    await bus.close()


def value(name: str, /, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def process(bus: Bus, *records: bytes) -> None:
    """Publishes records as one step and runs the stage until it has read them and counted its commit."""
    commits = value("riskwire_stage_commit_seconds_count", stage=STAGE)
    async with bus.publisher("test") as publisher:
        await publisher.publish([Outgoing(Topic.ARTICLES, None, record, 0) for record in records], {})
    running = asyncio.create_task(run_stage(bus, MeasuredStage(), batch=100))
    async with asyncio.timeout(60):
        await wait_until_drained(bus, [STAGE])
        while value("riskwire_stage_commit_seconds_count", stage=STAGE) == commits:  # noqa: ASYNC110, it has no event
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_batch_is_counted_with_its_records_results_and_commit(bus: EmbeddedBus) -> None:
    names = (
        "riskwire_stage_batch_records_count",
        "riskwire_stage_batch_records_sum",
        "riskwire_stage_batch_seconds_count",
        "riskwire_stage_commit_seconds_count",
    )
    before = [value(name, stage=STAGE) for name in names]
    results = value("riskwire_stage_results_total", stage=STAGE, topic="analyses")
    await process(bus, b"1", b"2", b"3")
    assert [value(name, stage=STAGE) - old for name, old in zip(names, before, strict=True)] == [1, 3, 1, 1]
    assert value("riskwire_stage_results_total", stage=STAGE, topic="analyses") - results == 3


async def test_the_age_of_news_is_that_of_the_moment_of_the_commit(bus: EmbeddedBus) -> None:
    """40 s or more: each record is in the buckets from 45 s or 60 s up, and never in that of 30 s."""
    young = value("riskwire_news_age_seconds_bucket", stage=STAGE, le="30.0")
    count = value("riskwire_news_age_seconds_count", stage=STAGE)
    await process(bus, b"1", b"2")
    assert value("riskwire_news_age_seconds_count", stage=STAGE) - count == 2
    assert value("riskwire_news_age_seconds_bucket", stage=STAGE, le="30.0") == young


async def test_a_refused_record_is_an_error_of_its_kind_and_a_dead_letter(bus: EmbeddedBus) -> None:
    """Counted for the batch that failed, and for the dead letter."""
    errors = value("riskwire_stage_errors_total", stage=STAGE, kind="SchemaError")
    letters = value("riskwire_dead_letters_total", stage=STAGE)
    await process(bus, b"1", b"bad", b"2")
    assert value("riskwire_stage_errors_total", stage=STAGE, kind="SchemaError") - errors == 2
    assert value("riskwire_dead_letters_total", stage=STAGE) - letters == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (FencedError("taken over"), "FencedError"),
        (PermissionError("no"), "PermissionError"),
        (MemoryError(), "MemoryError"),
        (KeyError("a bug"), "unexpected"),
        (type("MadeUp", (SchemaError,), {})("derived elsewhere"), "SchemaError"),
        (type("MadeUpToo", (Exception,), {})("foreign"), "unexpected"),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
def test_the_kinds_of_errors_are_bounded(error: Exception, kind: str) -> None:
    before = value("riskwire_stage_errors_total", stage="bounded", kind=kind)
    metrics.count_error("bounded", error)
    assert value("riskwire_stage_errors_total", stage="bounded", kind=kind) - before == 1


def test_feeds_are_shown_by_state_and_last_success_until_their_partition_is_given_up() -> None:
    read_at = datetime(2026, 3, 2, 12, tzinfo=UTC)
    feeds = [Feed(id=name, url=f"http://news.example/{name}") for name in ("good", "bad", "new")]
    polls = [
        PollState(url=feeds[0].url, polls=2, read_at=read_at),
        PollState(url=feeds[1].url, polls=2, failures=1, problem="failed"),
        PollState(url=feeds[2].url),
    ]
    show_feeds(zip(feeds, polls, strict=True), 77)
    states = {state: value("riskwire_ingest_feeds", state=state) for state in ("ok", "failing", "not yet")}
    assert states == {"ok": 1, "failing": 1, "not yet": 1}
    assert value("riskwire_ingest_feed_last_success_timestamp_seconds", feed="good") == read_at.timestamp()
    assert REGISTRY.get_sample_value("riskwire_ingest_feed_last_success_timestamp_seconds", {"feed": "new"}) == 0
    show_feeds((), 77)
    assert REGISTRY.get_sample_value("riskwire_ingest_feeds", {"state": "ok"}) is None
