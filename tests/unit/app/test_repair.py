"""A data directory that holds news of the future, after the time of the machine was wrong, is repaired by a command."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from riskwire.app.processes import Process, open_process
from riskwire.app.repair import repair_future
from riskwire.bus import Outgoing
from riskwire.bus.protocol import broadcast
from riskwire.errors import InUseError, StoreError
from riskwire.ingest.replay.run import replay
from riskwire.pipeline import INGEST, STAGES, Topic
from riskwire.records import Article, Tick
from riskwire.settings import Settings
from riskwire.store import Store

NOW = datetime.now(UTC).replace(microsecond=0)
STAGES_WITHOUT_INGEST = tuple(stage for stage in STAGES if stage is not INGEST)


@pytest.fixture
def settings(tmp_path: Path, tiny_bundle: Path) -> Settings:
    return Settings.model_validate({"data": tmp_path / "data", "inference": {"bundle": tiny_bundle, "threads": 1}})


def line(at: datetime, number: int) -> str:
    """Returns a line of an archive."""
    title = f"Norvane recalls {number} cars after {number + 7} failures of brake type {number * 31}"
    fields = {"published_at": at.isoformat(), "title": title, "url": f"https://a.example/{number}", "source": "a"}
    return json.dumps(fields)


async def run_to_end(process: Process, *outgoing: Outgoing, archive: Path | None = None) -> None:
    """Publishes records or an archive, and runs the stages until they have read everything."""
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(process.run_stages())
        if archive is not None:
            await replay(process.bus, archive, process.settings, speed=None)
        async with process.bus.publisher("test") as publisher:
            await publisher.publish(outgoing, {})
        await process.wait_until_drained()
        await process.bus.close()


async def test_news_of_the_future_is_forgotten_and_live_news_follows(settings: Settings, tmp_path: Path) -> None:
    """30 articles of the last days stay, 10 of the next day go, and new articles are stored and counted in trends."""
    times = [NOW - timedelta(hours=60 - 2 * hour) for hour in range(30)]
    times += [NOW + timedelta(hours=2 + hour) for hour in range(10)]
    archive = tmp_path / "archive.jsonl"
    archive.write_text("\n".join(line(at, number) for number, at in enumerate(times)))
    async with open_process(settings, STAGES_WITHOUT_INGEST, page=False, live=False) as process:
        await run_to_end(process, archive=archive)
    with pytest.raises(StoreError, match="`riskwire repair` mends this one"):
        async with open_process(settings, STAGES, page=False, live=False):
            pass

    repair = repair_future(settings, NOW)
    assert repair.articles == 10
    assert sorted(path.name.partition("-")[0] for path in repair.backups) == [
        "bus.sqlite.before",
        "store.sqlite.before",
    ]

    new = [
        Article(
            id=f"new-{number}",
            version=1,
            source="a",
            url=f"https://a.example/new{number}",
            title=f"Norvane opens plant number {number} in the north",
            text="",
            language="en",
            published_at=NOW + timedelta(seconds=number),
            seen_at=NOW + timedelta(seconds=number),
            backfill=False,
        )
        for number in range(1, 4)
    ]
    outgoing = [Outgoing(Topic.ARTICLES, article.id, article.to_bytes()) for article in new]
    async with open_process(settings, STAGES, page=False, live=False) as process:
        partitions = process.bus.partitions(Topic.ARTICLES)
    async with open_process(settings, STAGES_WITHOUT_INGEST, page=False, live=False) as process:
        later = Tick(seen_at=NOW + timedelta(minutes=3)).to_bytes()
        await run_to_end(process, *outgoing, *broadcast(Topic.ARTICLES, later, partitions))

    with Store.open(settings, read_only=True) as store:
        market = store.target("market")
        trend = store.trend("market", since=NOW - timedelta(days=4), until=NOW + timedelta(minutes=5), step_s=60)
        assert market is not None
        assert market.stories == 33
        assert market.last_seen == NOW + timedelta(seconds=3)
        assert trend is not None
        assert trend.points[-1].articles == 3
        assert store.newest() == NOW + timedelta(seconds=3)
    assert repair_future(settings, NOW + timedelta(hours=1)).articles == 0


async def test_a_directory_in_use_is_not_repaired(settings: Settings) -> None:
    async with open_process(settings, STAGES, page=False, live=False):
        with pytest.raises(InUseError):
            repair_future(settings, NOW)
