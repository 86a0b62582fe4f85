"""`riskwire feeds add|remove|list|import`: the list of feeds that is polled, changed while it is."""

from __future__ import annotations

from pathlib import Path

from riskwire.commands.show import opened_bus, print_lines
from riskwire.commands.terminal import print_table, printable
from riskwire.ingest.catalogue import Catalogue, FeedChange, permitted_url
from riskwire.ingest.feedlist import read_feeds
from riskwire.ingest.publication import change_feeds, feeds_of
from riskwire.schemas import Feed
from riskwire.settings import Settings


async def add(
    settings: Settings,
    what: str,
    *,
    url: str | None,
    named: str | None,
    every_s: int | None,
    form: str | None,
) -> int:
    """Add a feed, or change one."""
    given = {"every_s": every_s, "format": form}
    changes = {key: value for key, value in given.items() if value is not None}
    allow = settings.ingest.allow_private_hosts
    meant: list[Feed] = []

    def change(catalogue: Catalogue) -> FeedChange:
        meant[:] = [catalogue.to_add(what, url=url, named=named, changes=changes, allow=allow)]
        return catalogue.with_feeds(meant)

    async with opened_bus(settings) as bus:
        done = await change_feeds(bus, change)
    (feed,) = meant
    word = "added" if done.added else "changed" if done.changed else "is on the list already:"
    print(printable(f"{word} {feed.id}: {feed.url}, every {feed.every_s} s, format {feed.format}"))
    return 0


async def remove(settings: Settings, feed_id: str) -> int:
    """Poll a feed no more."""
    async with opened_bus(settings) as bus:
        await change_feeds(bus, lambda catalogue: catalogue.without(feed_id))
    print(printable(f"removed {feed_id}"))
    return 0


async def import_file(settings: Settings, file: Path) -> int:
    """Add or change every feed of a file, by hand and as one step; feeds that it does not have stay."""
    feeds = read_feeds(file)
    for feed in feeds:
        permitted_url(feed.url, f"{file}, feed {feed.id}", settings.ingest.allow_private_hosts)
    async with opened_bus(settings) as bus:
        done = await change_feeds(bus, lambda catalogue: catalogue.with_feeds(feeds))
    same = len(feeds) - len(done.added) - len(done.changed)
    print(f"{len(done.added)} added, {len(done.changed)} changed, {same} as they were")
    return 0


async def show(settings: Settings, json: bool) -> int:
    """The list, and where each feed comes from."""
    async with opened_bus(settings) as bus:
        catalogue = await feeds_of(bus)
    feeds = sorted(catalogue.feeds.values(), key=lambda feed: feed.id)
    if json:
        print_lines([feed.model_dump(mode="json") | {"from": catalogue.origin(feed.id)} for feed in feeds])
        return 0
    print_table(
        ("id", "every", "format", "from", "url"),
        [
            (
                feed.id,
                f"{feed.every_s} s" if feed.enabled else "off",
                feed.format,
                catalogue.origin(feed.id),
                feed.url,
            )
            for feed in feeds
        ],
        empty="No feeds yet: `riskwire feeds add URL`.",
    )
    if catalogue.removed_by_hand:
        print(f"\nIn the feed list's file and removed by hand: {printable(', '.join(catalogue.removed_by_hand))}.")
        print("`riskwire feeds add ID` brings one back.")
    return 0
