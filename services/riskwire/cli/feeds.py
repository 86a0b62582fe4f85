"""`riskwire feeds add|remove|list|import`: the list of feeds that is polled, changed while it is."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from riskwire.cli.show import opened_bus, print_lines
from riskwire.cli.terminal import print_table, printable
from riskwire.errors import BusError
from riskwire.ingest.feeds.catalogue import Catalogue, FeedChange, permitted_url
from riskwire.ingest.feeds.feedlist import read_feeds
from riskwire.ingest.feeds.publication import change_feeds, feeds_of
from riskwire.ingest.feeds.schedule import PollState
from riskwire.ingest.feeds.status import Condition, conditions, polls_of
from riskwire.records import Feed
from riskwire.settings import Settings

_TOLD = {"failures", "error", "failed_at", "read_at", "polled_at", "polled_by", "next_at", "moved_to"}
"""What of a poll is told as JSON; null where it cannot be read."""
_PATIENCE_S = 5.0
"""For how the feeds do, without any getting on."""


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


async def show(settings: Settings, json: bool, *, failing: bool = False) -> int:
    """The list, where each feed comes from and how it does; where that cannot be read, the list all the same.

    Args:
        failing: only those of which news may be missed; 1 where that cannot be told.
    """
    async with opened_bus(settings) as bus:
        catalogue = await feeds_of(bus)
    try:
        async with opened_bus(_impatient(settings)) as bus:
            polls = await polls_of(bus)
    except BusError as error:
        polls = None
        print(printable(f"How the feeds do cannot be read: {error}"), file=sys.stderr)
    shown = [one for one in conditions(catalogue.feeds.values(), polls) if one.needs_a_look or not failing]
    if json:
        print_lines([_plain(one, catalogue) for one in shown])
        return int(failing and polls is None)
    print_table(
        ("id", "state", "last read", "every", "from", "url"),
        [
            (
                one.feed.id,
                one.state,
                _moment(one.poll.read_at if one.poll else None),
                f"{one.feed.every_s} s",
                catalogue.origin(one.feed.id),
                one.feed.url,
            )
            for one in shown
        ],
        empty="No feed fails." if failing and catalogue.feeds else "No feeds yet: `riskwire feeds add URL`.",
    )
    if troubles := [trouble for one in shown for trouble in _troubles(one)]:
        print("\n" + "\n".join(map(printable, troubles)))
    if catalogue.removed_by_hand and not failing:
        print(f"\nIn the feed list's file and removed by hand: {printable(', '.join(catalogue.removed_by_hand))}.")
        print("`riskwire feeds add ID` brings one back.")
    return int(failing and polls is None)


def _impatient(settings: Settings) -> Settings:
    """What stands in the way of what ingesters remember (an open transaction, a right that is missing) may stay there
    for as long as the deadline, and the list is known without it."""
    deadline_s = min(_PATIENCE_S, settings.kafka.deadline_s)
    return settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"deadline_s": deadline_s})})


def _plain(one: Condition, catalogue: Catalogue) -> dict[str, object]:
    poll = PollState(url=one.feed.url) if one.poll is None else one.poll
    told = poll.model_dump(mode="json", include=_TOLD) if one.known else dict.fromkeys(sorted(_TOLD))
    return one.feed.model_dump(mode="json") | {"from": catalogue.origin(one.feed.id), "state": one.state} | told


def _troubles(one: Condition) -> Iterator[str]:
    """What is wrong with a feed, a line each; nothing where all is well."""
    feed, poll = one.feed, one.poll
    if poll is None or not one.needs_a_look:
        return
    by = f", polled by {poll.polled_by}" if poll.polled_by else ""
    if one.state == "failing":
        times = "1 failure" if poll.failures == 1 else f"{poll.failures} failures in a row"
        yield (
            f"{feed.id} fails: {poll.error or poll.problem} ({times}, the last {_moment(poll.failed_at)}; "
            f"last read {_moment(poll.read_at)}; again {_moment(poll.next_at)}{by})"
        )
    elif one.state == "gone":
        yield f"{feed.id} is polled no more: its server says that it is gone for good ({_moment(poll.failed_at)}{by})"
    elif one.state == "in part":
        yield f"{feed.id} is damaged: its last document could only be read in part ({_moment(poll.read_at)}{by})"
    if poll.moved_to is not None:
        follow = shlex.join(["riskwire", "feeds", "add", feed.id, "--url", poll.moved_to])  # the publisher wrote it
        yield f"{feed.id} has moved for good, and is read there; `{follow}` follows it"


def _moment(at: datetime | None) -> str:
    return "never" if at is None else f"{at:%Y-%m-%d %H:%M}"
