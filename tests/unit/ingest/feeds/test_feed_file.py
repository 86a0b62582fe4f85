"""A feed list is right as a whole, or the message says where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from riskwire.errors import SettingsError
from riskwire.ingest.feeds.feed_file import DEFAULT_FEEDS, read_feeds


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "feeds.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_id_and_url_are_enough(tmp_path: Path) -> None:
    feed, other = read_feeds(
        written(tmp_path, "- {id: a, url: 'https://a.example/rss'}\n- {id: b, url: 'http://b/x', every_s: 60}")
    )
    assert (feed.id, feed.format, feed.every_s, feed.enabled) == ("a", "auto", 300, True)
    assert other.every_s == 60


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- {id: a, url: 'https://a/'}\n- {id: b}", "entry 2: url: Field required"),
        ("- {id: a, url: 'https://a/', every_s: 1}", "entry 1: every_s: .*greater than or equal to 10 .got 1."),
        ("- {id: 'a b', url: 'https://a/'}", "entry 1: id: .*pattern.*'a b'"),
        ("- {id: a, url: 'https://a/', format: csv}", "entry 1: format: .*'csv'"),
        ("- {id: a, url: 'ftp://a/'}", "entry 1: url: only http and https are fetched .got 'ftp://a/'"),
        ("- {id: a, url: '/etc/passwd'}", "entry 1: url: only http and https"),
        ("- {id: a, url: 'https://'}", "entry 1: url: .*host"),
        (
            "- url: https://me:secret@a/\n  id: @a",
            r"the feed list cannot be read: line 2, column 7: .*'@'",
        ),
        ("- https://me:secret@a/", "entry 1: a feed must be a mapping.*got 'https://[*]{3}@a/'"),
        ("- {id: 'https://me:secret@a/', url: 'https://a/'}", "entry 1: id: .*got 'https://[*]{3}@a/'"),
        ("- {id: a, url: ['https://me:secret@a/']}", "entry 1: url: .*valid string"),
        ("- {id: a, url: 'ftp://me:secret@a/'}", "entry 1: url: only http and https"),
        ("https://me:secret@a/", "must be a list of feeds, and is a text"),
        ("- {id: a, url: 'https://me:secret@a/'}", "entry 1: url: an address with a user name or password"),
        (
            "- {id: a, url: 'https://a/'}\n- {id: a, url: 'https://b/'}",
            "entry 2: id: this entry and entry 1 have the same id",
        ),
        ("- just a text", "entry 1: a feed must be a mapping"),
        ("id: a", "must be a list of feeds"),
        ("", "must be a list of feeds"),
        ("- {id: a", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_a_mistake_is_named_with_file_entry_field_and_value(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SettingsError, match=said) as caught:
        read_feeds(path)
    assert str(path) in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_list_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.yaml: the feed list cannot be read"):
        read_feeds(tmp_path / "nowhere.yaml")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(SettingsError, match=r"binary\.yaml"):
        read_feeds(binary)
    with pytest.raises(SettingsError, match="cannot be read"):
        read_feeds(tmp_path)


def test_a_misspelt_field_is_told(tmp_path: Path) -> None:
    with capture_logs() as logs:
        read_feeds(written(tmp_path, "- {id: a, url: 'https://a/', evry_s: 60}"))
    assert [entry["fields"] for entry in logs] == [["evry_s"]]


def test_the_list_that_ships_is_sound_says_it_is_not_verified_and_leaves_the_sec_off() -> None:
    feeds = {feed.id: feed for feed in read_feeds(DEFAULT_FEEDS)}
    assert 15 <= len(feeds) <= 25
    assert "NOT VERIFIED" in DEFAULT_FEEDS.read_text(encoding="utf-8")
    sec = [feed for feed in feeds.values() if "sec.gov" in feed.url]
    assert sec
    assert all(not feed.enabled and "ingest.contact" in feed.note for feed in sec)
    assert all(feed.url.startswith("https://") for feed in feeds.values())
