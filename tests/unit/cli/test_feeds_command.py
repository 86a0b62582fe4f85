"""`riskwire feeds …` on a data directory: what it says, and that it changes all or nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.cli import feeds
from riskwire.errors import SettingsError
from riskwire.ingest.feeds.publication import feeds_of, publish_feeds
from riskwire.pipeline import Topic
from riskwire.records import Feed
from riskwire.settings import Settings

FILED = [Feed(id=name, url=f"https://{name}.example/rss") for name in ("a", "b")]


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    """A data directory whose bus has the feeds a and b from a file."""
    settings = Settings(data=tmp_path / "data")
    bus = await EmbeddedBus.open(settings.data, settings.bus)
    await publish_feeds(bus, FILED)
    await bus.close()
    return settings


async def listed(settings: Settings) -> dict[str, str]:
    bus = await EmbeddedBus.open(settings.data, settings.bus)
    catalogue = await feeds_of(bus)
    await bus.close()
    return {feed.id: feed.url for feed in catalogue.feeds.values()}


async def add(settings: Settings, what: str, url: str | None = None) -> int:
    return await feeds.add(settings, what, url=url, named=None, every_s=None, form=None)


async def test_a_directory_without_data_is_named_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no data of riskwire"):
        await feeds.show(Settings(data=tmp_path / "nowhere"), json=False)
    assert not (tmp_path / "nowhere").exists()


async def test_what_was_done_is_said(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    await add(settings, "https://c.example/rss")
    await add(settings, "https://c.example/rss")
    await feeds.remove(settings, "a")
    assert capsys.readouterr().out.splitlines() == [
        "added c.example-rss: https://c.example/rss, every 300 s, format auto",
        "is on the list already: c.example-rss: https://c.example/rss, every 300 s, format auto",
        "removed a",
    ]
    await feeds.show(settings, json=False)
    shown = capsys.readouterr().out
    assert "removed by hand: a." in shown
    await feeds.show(settings, json=True)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["id"], row["from"]) for row in rows] == [("b", "file"), ("c.example-rss", "hand")]


async def test_a_file_is_imported_as_by_hand_and_takes_nothing_away(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "more.yaml"
    entries = [
        FILED[0].model_dump(),
        {"id": "b", "url": FILED[1].url, "every_s": 60},
        {"id": "c", "url": "https://c.x/"},
    ]
    file.write_text(yaml.safe_dump(entries))
    for _ in range(2):
        await feeds.import_file(settings, file)
    assert capsys.readouterr().out.splitlines() == [
        "1 added, 1 changed, 1 as they were",
        "0 added, 0 changed, 3 as they were",
    ]
    bus = await EmbeddedBus.open(settings.data, settings.bus)
    await publish_feeds(bus, FILED)
    assert (await bus.records())[Topic.FEEDS] == 4, "the file that was brought before changes nothing of it"
    await bus.close()
    assert set(await listed(settings)) == {"a", "b", "c"}


async def test_of_a_file_with_one_bad_address_nothing_is_imported(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(yaml.safe_dump([{"id": "c", "url": "https://c.x/"}, {"id": "inside", "url": "http://[::1]:9/"}]))
    with pytest.raises(SettingsError, match=r"bad\.yaml, feed inside: a private address .got 'http://\[::1\]:9/'"):
        await feeds.import_file(settings, file)
    assert set(await listed(settings)) == {"a", "b"}
