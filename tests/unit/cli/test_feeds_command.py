"""`riskwire feeds …` on a data directory: its output, and that a change is complete or nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.cli.feeds import add_feed, import_feeds, list_feeds, remove_feed
from riskwire.errors import SettingsError
from riskwire.ingest.feeds.publication import publish_feeds, read_feed_list
from riskwire.pipeline import Topic
from riskwire.records import Feed
from riskwire.settings import Settings

FILE_FEEDS = [Feed(id=name, url=f"https://{name}.example/rss") for name in ("a", "b")]


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    """Settings of a data directory whose feed list has the feeds a and b from a file."""
    settings = Settings(data=tmp_path / "data")
    bus = await EmbeddedBus.open(settings.data, settings.bus)
    await publish_feeds(bus, FILE_FEEDS)
    await bus.close()
    return settings


async def urls_by_id(settings: Settings) -> dict[str, str]:
    """Returns the address of each feed on the list of a data directory, by the id of the feed."""
    bus = await EmbeddedBus.open(settings.data, settings.bus)
    feed_list = await read_feed_list(bus)
    await bus.close()
    return {feed.id: feed.url for feed in feed_list.feeds.values()}


async def test_a_directory_without_data_is_refused_and_not_created(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no data of riskwire"):
        await list_feeds(Settings(data=tmp_path / "nowhere"), json=False)
    assert not (tmp_path / "nowhere").exists()


async def test_add_and_remove_print_what_they_did(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """The second `add` changes nothing and says so. The list marks each feed as from a file or added by hand."""
    await add_feed(settings, "https://c.example/rss")
    await add_feed(settings, "https://c.example/rss")
    await remove_feed(settings, "a")
    assert capsys.readouterr().out.splitlines() == [
        "added c.example-rss: https://c.example/rss, every 300 s, format auto",
        "is on the list already: c.example-rss: https://c.example/rss, every 300 s, format auto",
        "removed a",
    ]
    await list_feeds(settings, json=False)
    assert "removed by hand: a." in capsys.readouterr().out
    await list_feeds(settings, json=True)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["id"], row["from"]) for row in rows] == [("b", "file"), ("c.example-rss", "hand")]


async def test_import_changes_feeds_by_hand_and_removes_none(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The imported file has feed a unchanged, feed b with a new interval and feed c.

    A second import changes nothing. Merging the file of the fixture again publishes nothing: the topic has the four
    records of a, b, b changed, and c.
    """
    file = tmp_path / "more.yaml"
    entries = [
        FILE_FEEDS[0].model_dump(),
        {"id": "b", "url": FILE_FEEDS[1].url, "every_s": 60},
        {"id": "c", "url": "https://c.x/"},
    ]
    file.write_text(yaml.safe_dump(entries))
    for _ in range(2):
        await import_feeds(settings, file)
    assert capsys.readouterr().out.splitlines() == [
        "1 added, 1 changed, 1 unchanged",
        "0 added, 0 changed, 3 unchanged",
    ]
    bus = await EmbeddedBus.open(settings.data, settings.bus)
    await publish_feeds(bus, FILE_FEEDS)
    assert (await bus.records())[Topic.FEEDS] == 4, "publishing the same file again undoes nothing"
    await bus.close()
    assert set(await urls_by_id(settings)) == {"a", "b", "c"}


async def test_a_file_with_one_bad_address_changes_nothing(settings: Settings, tmp_path: Path) -> None:
    """The first feed of the file is valid, and is not added because the second has a private address."""
    file = tmp_path / "bad.yaml"
    file.write_text(yaml.safe_dump([{"id": "c", "url": "https://c.x/"}, {"id": "inside", "url": "http://[::1]:9/"}]))
    with pytest.raises(SettingsError, match=r"bad\.yaml, feed inside: a private address .got 'http://\[::1\]:9/'"):
        await import_feeds(settings, file)
    assert set(await urls_by_id(settings)) == {"a", "b"}
