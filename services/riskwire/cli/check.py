"""`riskwire config check`: everything the settings name, looked at before it is needed."""

from __future__ import annotations

from riskwire.app.monitor import watchlist_of
from riskwire.bus.open import check_bus
from riskwire.inference.model.bundle import Bundle
from riskwire.ingest.feeds.feedlist import DEFAULT_FEEDS, read_feeds
from riskwire.notify import NotifyStage
from riskwire.settings import Settings
from riskwire.store.engine import store_url
from riskwire.web import bind


def check(settings: Settings) -> None:
    """Look at the feed list, watchlist, bus, store, bundle, receivers and port; nothing is opened or asked.

    Raises:
        RiskwireError: the first that cannot be used.
    """
    read_feeds(settings.feeds or DEFAULT_FEEDS)
    bind(settings.web).close()
    watchlist_of(settings.watchlist)
    check_bus(settings)
    if settings.bus.url != "embedded":
        _check_kafka(settings)
    store_url(settings)
    NotifyStage(settings.notify)
    Bundle.load(settings.inference.bundle)


def _check_kafka(settings: Settings) -> None:
    from riskwire.bus.kafka.cluster import Cluster

    Cluster(settings.bus.url, settings.kafka).client()
