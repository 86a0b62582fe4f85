"""The request headers of a feed are read from a file, and no message shows their values."""

from __future__ import annotations

from pathlib import Path

import pytest

from riskwire.errors import SettingsError
from riskwire.ingest.feeds.feed_file import read_feeds
from riskwire.ingest.fetching.headers import read_headers


def write(tmp_path: Path, text: str, mode: int = 0o600) -> Path:
    file = tmp_path / "headers.txt"
    file.write_text(text)
    file.chmod(mode)
    return file


def test_headers_are_read(tmp_path: Path) -> None:
    text = "# the key of our contract\nX-Api-Key: S3CRET\n\nCookie: id=1; b=2\n"
    assert read_headers(write(tmp_path, text)) == {"X-Api-Key": "S3CRET", "Cookie": "id=1; b=2"}


@pytest.mark.parametrize(
    ("text", "mode", "message"),
    [
        ("X-Key: a\nS3CRET\n", 0o600, "line 2: not a header"),
        ("X Key: S3CRET\n", 0o600, "line 1: not a header"),
        ("X-Key: S3CRET\x07\n", 0o600, "line 1: not a header"),
        ("Host: S3CRET\n", 0o600, "line 1: a header that riskwire sets itself .got 'Host'"),
        ("X-Key: S3CRET\n", 0o666, "every user of this machine can write"),
        ("a: S3CRET\n" * 10_000, 0o600, "longer than"),
    ],
)
def test_a_file_that_is_no_list_of_headers_is_refused(tmp_path: Path, text: str, mode: int, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        read_headers(write(tmp_path, text, mode))
    assert "S3CRET" not in str(caught.value)


def test_a_feed_list_names_the_file_beside_it(tmp_path: Path) -> None:
    """A fault in the file shows when the list is read, not at the first poll."""
    headers = write(tmp_path, "X-Key: S3CRET")
    feeds = tmp_path / "feeds.yaml"
    feeds.write_text("- {id: a, url: 'https://a.example/', headers_file: headers.txt}")
    assert read_feeds(feeds)[0].headers_file == str(headers)
    headers.unlink()
    with pytest.raises(SettingsError, match="cannot be read"):
        read_feeds(feeds)
