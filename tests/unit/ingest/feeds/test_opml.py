"""The feeds of an OPML file, as feed readers export it, are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from riskwire.errors import SettingsError
from riskwire.ingest.feeds.feed_file import read_feeds

OPML = """\ufeff<?xml version="1.0" encoding="UTF-8"?>
<opml version="2.0"><head><title>Desk</title></head><body>
<outline text="Banks"><outline type="rss" text="Züri" title="Züri Post" xmlUrl="https://a.example/rss?lang=de&amp;key=S"/>
<outline text="no feed"/></outline>
<outline xmlurl="https://b.example/rss"/><outline xmlUrl="https://b.example/rss"/>
<outline xmlUrl="https://b.example/rss.xml"/><outline xmlUrl="feed://c.example/"/>
</body></opml>"""


def test_the_feeds_of_all_folders_are_read_once(tmp_path: Path) -> None:
    """An address that is not fetched is left out. Two addresses with one id get different ids."""
    file = tmp_path / "feeds.opml"
    file.write_text(OPML, encoding="utf-8")
    feeds = read_feeds(file)
    assert [(feed.url, feed.note) for feed in feeds] == [
        ("https://a.example/rss?lang=de&key=S", "Züri Post"),
        ("https://b.example/rss", ""),
        ("https://b.example/rss.xml", ""),
    ]
    assert [feed.id for feed in feeds][:2] == ["a.example-rss-lang-de", "b.example-rss"]
    assert len({feed.id for feed in feeds}) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<opml><body/></opml>", "has no feed"),
        ("- id: a", "not OPML"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><opml><outline xmlUrl="https://a/"/></opml>', "declares entities"),
    ],
)
def test_a_file_that_is_no_list_of_feeds_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "feeds.opml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=message):
        read_feeds(file)
