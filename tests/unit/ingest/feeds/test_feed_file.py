"""A feed list is read from a file only if every entry is valid; the error names the entry that is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from riskwire.errors import SettingsError
from riskwire.ingest.feeds.feed_file import DEFAULT_FEEDS, read_feeds


def write_list(tmp_path: Path, text: str) -> Path:
    """Writes a feed list and returns its path."""
    path = tmp_path / "feeds.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_id_and_url_are_the_only_required_fields(tmp_path: Path) -> None:
    first, second = read_feeds(
        write_list(tmp_path, "- {id: a, url: 'https://a.example/rss'}\n- {id: b, url: 'http://b/x', every_s: 60}")
    )
    assert (first.id, first.format, first.every_s, first.enabled) == ("a", "auto", 300, True)
    assert second.every_s == 60


@pytest.mark.parametrize(
    ("text", "message"),
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
    ids=[
        "missing URL",
        "interval too short",
        "invalid id",
        "unknown format",
        "ftp",
        "path",
        "URL without host",
        "broken YAML",
        "URL instead of a mapping",
        "URL as id",
        "list as URL",
        "ftp with a password",
        "URL instead of a list",
        "password",
        "repeated id",
        "text instead of a mapping",
        "mapping instead of a list",
        "empty file",
        "unclosed mapping",
        "deeply nested",
    ],
)
def test_an_error_names_file_entry_field_and_value(tmp_path: Path, text: str, message: str) -> None:
    """The error never has the password of an address."""
    path = write_list(tmp_path, text)
    with pytest.raises(SettingsError, match=message) as caught:
        read_feeds(path)
    assert str(path) in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_missing_file_a_binary_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.yaml: the feed list cannot be read"):
        read_feeds(tmp_path / "nowhere.yaml")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(SettingsError, match=r"binary\.yaml"):
        read_feeds(binary)
    with pytest.raises(SettingsError, match="cannot be read"):
        read_feeds(tmp_path)


def test_an_unknown_field_is_logged(tmp_path: Path) -> None:
    with capture_logs() as logs:
        read_feeds(write_list(tmp_path, "- {id: a, url: 'https://a/', evry_s: 60}"))
    assert [entry["fields"] for entry in logs] == [["evry_s"]]


def test_the_default_list_is_valid_states_that_it_is_not_verified_and_disables_the_sec() -> None:
    """Feeds of the SEC are disabled, because it asks for a contact: their note names the setting."""
    feeds = {feed.id: feed for feed in read_feeds(DEFAULT_FEEDS)}
    assert 15 <= len(feeds) <= 25
    assert "NOT VERIFIED" in DEFAULT_FEEDS.read_text(encoding="utf-8")
    sec = [feed for feed in feeds.values() if "sec.gov" in feed.url]
    assert sec
    assert all(not feed.enabled and "ingest.contact" in feed.note for feed in sec)
    assert all(feed.url.startswith("https://") for feed in feeds.values())


def test_all_wrong_entries_are_named_at_once(tmp_path: Path) -> None:
    text = "- {id: a, url: 'ftp://a/'}\n- {id: b, url: 'https://b/'}\n- {id: b, url: 'https://c/'}\n- nonsense\n"
    with pytest.raises(ExceptionGroup) as caught:
        read_feeds(write_list(tmp_path, text))
    places = [getattr(fault, "where", "").partition(", ")[2] for fault in caught.value.exceptions]
    assert places == ["entry 1", "entry 3", "entry 4"]
