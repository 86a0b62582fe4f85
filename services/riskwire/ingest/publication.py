"""Publishing the feed list: the topic `feeds` is what ingesters share out among themselves."""

from __future__ import annotations

from collections.abc import Sequence

from riskwire.bus import Bus, Outgoing
from riskwire.ingest.roster import FEED
from riskwire.schemas import Feed, Topic


async def publish_feeds(bus: Bus, feeds: Sequence[Feed]) -> int:
    """Publish what changed since the last list: records that differ, and `enabled: false` for those that vanished.

    Returns:
        how many records were published.
    """
    async with bus.publisher("feeds") as publisher:
        known = {key: value for key, value in (await publisher.restore()).items() if key.startswith(FEED)}
        listed = {FEED + feed.id: feed for feed in feeds}
        results: list[Outgoing] = []
        state: dict[str, bytes | None] = {}
        for key, feed in listed.items():
            record = feed.to_bytes()
            if known.get(key) != record:
                results.append(Outgoing(Topic.FEEDS, feed.id, record))
                state[key] = record
        for key in known.keys() - listed.keys():
            ended = Feed.model_validate_json(known[key]).model_copy(update={"enabled": False})
            results.append(Outgoing(Topic.FEEDS, ended.id, ended.to_bytes()))
            state[key] = None
        if results:
            await publisher.publish(results, state)
        return len(results)
