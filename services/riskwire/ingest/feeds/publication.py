"""Publishing the feed list: the topic `feeds` is what ingesters share out among themselves.

The list is the state of the publisher `feeds` (`catalogue.py`). Each change of it is one step of that publisher; who is
fenced by a concurrent writer reads what that one left and decides anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import structlog

from riskwire.bus import Bus
from riskwire.bus.state import update_state
from riskwire.ingest.feeds.catalogue import Catalogue, FeedChange
from riskwire.records import Feed

log = structlog.get_logger(__name__)

PUBLISHER = "feeds"


async def feeds_of(bus: Bus) -> Catalogue:
    """The list as it is now; takes nothing from whoever writes it."""
    return Catalogue(await bus.publisher_state(PUBLISHER))


async def change_feeds(bus: Bus, change: Callable[[Catalogue], FeedChange]) -> FeedChange:
    """Change the list, as one step; `change` is asked again where a concurrent writer was faster.

    Raises:
        SettingsError: what `change` raises; nothing is written.
        BusError: it cannot be published, or others were faster each time.
    """

    def decide(state: Mapping[str, bytes]) -> FeedChange:
        return change(Catalogue(state))

    return await update_state(bus, PUBLISHER, decide)


async def publish_feeds(bus: Bus, feeds: Sequence[Feed]) -> int:
    """Bring a file's list: publish what changed in it since the last time (`enabled: false` for what vanished from it);
    what was added, changed or removed by hand since stays as it is, and the log says so.

    Returns:
        how many records were published.
    """
    change = await change_feeds(bus, lambda catalogue: catalogue.merged(feeds))
    if change.results or change.left:
        log.info(
            "feed list merged",
            added=len(change.added),
            changed=len(change.changed),
            removed=len(change.removed),
            left_as_by_hand=list(change.left[:20]),
        )
    return len(change.results)
