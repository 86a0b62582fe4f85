"""Reads the input files that the settings name."""

from __future__ import annotations

from collections.abc import Sequence

from riskwire.entities.watchlist import Watchlist, read_watchlist
from riskwire.ingest.feeds.feed_file import DEFAULT_FEEDS, read_feeds
from riskwire.records import Feed
from riskwire.settings import Settings


def configured_watchlist(settings: Settings) -> Watchlist:
    """Reads the watchlist of the settings; without one, returns an empty watchlist.

    Raises:
        SettingsError: the file cannot be used.
    """
    return read_watchlist(settings.watchlist) if settings.watchlist else Watchlist(())


def configured_feeds(settings: Settings) -> Sequence[Feed]:
    """Reads the feed list of the settings; without one, the default list of riskwire.

    Raises:
        SettingsError: the file cannot be used.
    """
    return read_feeds(settings.feeds or DEFAULT_FEEDS)
