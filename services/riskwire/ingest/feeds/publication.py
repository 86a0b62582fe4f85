"""Reads and changes the committed feed list.

The list is the state of the publisher `feeds`. Each change of a feed is also a record of the topic `feeds`: an ingest
worker polls the feeds of the partitions that are assigned to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import structlog

from riskwire.bus import Bus
from riskwire.bus.state import update_state
from riskwire.ingest.feeds.feed_list import FeedList, FeedListUpdate
from riskwire.records import Feed

log = structlog.get_logger(__name__)

PUBLISHER = "feeds"

_MAX_LOGGED_FEEDS = 20


async def read_feed_list(bus: Bus) -> FeedList:
    """Returns the committed feed list, without fencing a process that changes it."""
    return FeedList(await bus.publisher_state(PUBLISHER))


async def change_feed_list(bus: Bus, change: Callable[[FeedList], FeedListUpdate]) -> FeedListUpdate:
    """Changes the feed list in one atomic step, and returns the update that was committed.

    Args:
        change: returns the update for a feed list. It is called again after a concurrent writer was faster.

    Raises:
        SettingsError: raised by `change`; nothing was written.
        BusError: the update could not be published, or concurrent writers were faster at every attempt.
    """

    def decide(state: Mapping[str, bytes]) -> FeedListUpdate:
        return change(FeedList(state))

    return await update_state(bus, PUBLISHER, decide)


async def publish_feeds(bus: Bus, feeds: Sequence[Feed]) -> int:
    """Publishes what has changed in a feed file since it was last merged (see `FeedList.merge_file`).

    Args:
        feeds: the feeds of the file.

    Returns:
        The number of records published: one for each feed that was added, changed or removed.

    Raises:
        BusError: the records could not be published.
    """
    update = await change_feed_list(bus, lambda feed_list: feed_list.merge_file(feeds))
    if update.results or update.overridden:
        log.info(
            "feed list merged",
            added=len(update.added),
            changed=len(update.changed),
            removed=len(update.removed),
            overridden_by_hand=list(update.overridden[:_MAX_LOGGED_FEEDS]),
        )
    return len(update.results)
