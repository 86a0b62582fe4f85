"""`riskwire config check`: everything the settings name, looked at before it is needed."""

from __future__ import annotations

from riskwire.bus.open import check_bus
from riskwire.inference.bundle import Bundle
from riskwire.ingest.feedlist import DEFAULT_FEEDS, read_feeds
from riskwire.monitor import watchlist_of
from riskwire.notify import Notify
from riskwire.settings import Settings
from riskwire.web import bind


def check(settings: Settings) -> None:
    """Look at the feed list, watchlist, bundle, receivers and port.

    Raises:
        RiskwireError: the first that cannot be used.
    """
    read_feeds(settings.feeds or DEFAULT_FEEDS)
    bind(settings.web).close()
    watchlist_of(settings.watchlist)
    check_bus(settings)
    Notify(settings.notify)
    Bundle.load(settings.inference.bundle)
