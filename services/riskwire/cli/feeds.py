"""`riskwire feeds …`: reads and changes the feed list while it is polled."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from riskwire.cli.options import ConfigFile, Data, Json, run_to_end, settings_of
from riskwire.errors import BusError, without_secrets
from riskwire.settings import Settings

if TYPE_CHECKING:
    from riskwire.ingest.feeds.feed_list import FeedList, FeedListUpdate
    from riskwire.ingest.feeds.status import FeedStatus
    from riskwire.records import Feed

_POLL_FIELDS = {"failures", "error", "failed_at", "read_at", "polled_at", "polled_by", "next_at", "moved_to"} | {
    "items",
    "repairs",
    "unreadable_dates",
    "date_example",
    "late_items",
}
"""Fields of a poll state that `--json` prints; null if the state cannot be read."""
_MAX_STATUS_WAIT_S = 5.0

feeds_app = typer.Typer(help="Change the list of feeds while it is polled.", no_args_is_help=True)


@feeds_app.command()
def add(
    url_or_id: Annotated[
        str, typer.Argument(metavar="URL|ID", help="The address of a feed; or the id of one on the list, to change it.")
    ],
    url: Annotated[str | None, typer.Option("--url", help="The address, if the argument is an id.")] = None,
    feed_id: Annotated[
        str | None,
        typer.Option("--id", help="The id, if the argument is an address.", show_default="made from the address"),
    ] = None,
    every: Annotated[
        int | None, typer.Option("--every", metavar="SECONDS", help="Time between polls.", show_default="300")
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option("--format", help="auto, rss, atom, rdf, json or sitemap.", show_default="auto"),
    ] = None,
    headers: Annotated[
        Path | None,
        typer.Option("--headers", metavar="FILE", help="A file with request headers, one `Name: value` a line."),
    ] = None,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Add a feed, or change one, without a restart. A feed list file does not undo it."""
    settings = settings_of(config, data=data)
    run_to_end(
        add_feed(
            settings,
            url_or_id,
            url=url,
            feed_id=feed_id,
            every_s=every,
            format_=format_,
            headers=headers and headers.absolute(),
        )
    )


@feeds_app.command()
def remove(feed: Annotated[str, typer.Argument(metavar="ID")], data: Data = None, config: ConfigFile = None) -> None:
    """Stop polling a feed. If it came from a file, it stays removed until its entry there changes."""
    run_to_end(remove_feed(settings_of(config, data=data), feed))


@feeds_app.command("list")
def list_(
    json: Json = False,
    failing: Annotated[bool, typer.Option("--failing", help="Only feeds whose news may be missed.")] = False,
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """List the feeds, the state of each, and whether a file or a command changed it last."""
    run_to_end(list_feeds(settings_of(config, data=data), json=json, failing=failing))


@feeds_app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Feed list (YAML, or OPML from a feed reader).")],
    data: Data = None,
    config: ConfigFile = None,
) -> None:
    """Add or change every feed of a file, as `add` does; other feeds stay on the list."""
    run_to_end(import_feeds(settings_of(config, data=data), file))


async def add_feed(
    settings: Settings,
    url_or_id: str,
    *,
    url: str | None = None,
    feed_id: str | None = None,
    every_s: int | None = None,
    format_: str | None = None,
    headers: Path | None = None,
) -> int:
    """Adds a feed to the list, or changes it, and prints which. Returns exit code 0.

    Args:
        url_or_id: the address of a feed, or the id of one.
        url: the address, if `url_or_id` is an id.
        feed_id: the id, if `url_or_id` is an address.
        every_s: seconds between polls; None keeps the value, or takes the default. Likewise `format_`.
        headers: a file with request headers; None keeps that of the feed.

    Raises:
        RiskwireError: the arguments do not make a valid feed, or the bus cannot be opened or written.
    """
    from riskwire.cli.data import open_existing_bus
    from riskwire.cli.terminal import printable
    from riskwire.ingest.feeds.publication import change_feed_list
    from riskwire.ingest.fetching.headers import read_headers

    if headers is not None:
        read_headers(headers)
    options = {"every_s": every_s, "format": format_, "headers_file": None if headers is None else str(headers)}
    changes = {field: value for field, value in options.items() if value is not None}
    allow = settings.ingest.allow_private_hosts
    put_feed: list[Feed] = []

    def put(feed_list: FeedList) -> FeedListUpdate:
        put_feed[:] = [feed_list.feed_to_put(url_or_id, url=url, feed_id=feed_id, changes=changes, allow=allow)]
        return feed_list.put(put_feed)

    async with open_existing_bus(settings) as bus:
        update = await change_feed_list(bus, put)
    (feed,) = put_feed
    result = "added" if update.added else "changed" if update.changed else "is on the list already:"
    print(printable(f"{result} {feed.id}: {without_secrets(feed.url)}, every {feed.every_s} s, format {feed.format}"))
    return 0


async def remove_feed(settings: Settings, feed_id: str) -> int:
    """Removes a feed from the list, and prints that. Returns exit code 0.

    Raises:
        RiskwireError: there is no such feed, or the bus cannot be opened.
    """
    from riskwire.cli.data import open_existing_bus
    from riskwire.cli.terminal import printable
    from riskwire.ingest.feeds.publication import change_feed_list

    async with open_existing_bus(settings) as bus:
        await change_feed_list(bus, lambda feed_list: feed_list.remove(feed_id))
    print(printable(f"removed {feed_id}"))
    return 0


async def import_feeds(settings: Settings, file: Path) -> int:
    """Adds or changes every feed of a file, as one step; other feeds stay on the list. Returns exit code 0.

    Raises:
        SettingsError: the file, or an address in it, cannot be used; the list is unchanged.
    """
    from riskwire.cli.data import open_existing_bus
    from riskwire.ingest.feeds.feed_file import read_feeds
    from riskwire.ingest.feeds.feed_list import permitted_url
    from riskwire.ingest.feeds.publication import change_feed_list

    feeds = read_feeds(file)
    for feed in feeds:
        permitted_url(feed.url, f"{file}, feed {feed.id}", settings.ingest.allow_private_hosts)
    async with open_existing_bus(settings) as bus:
        update = await change_feed_list(bus, lambda feed_list: feed_list.put(feed_list.with_known_ids(feeds)))
    unchanged = len(feeds) - len(update.added) - len(update.changed)
    print(f"{len(update.added)} added, {len(update.changed)} changed, {unchanged} unchanged")
    return 0


async def list_feeds(settings: Settings, *, json: bool, failing: bool = False) -> int:
    """Prints the feeds and the state of each. If the states cannot be read, prints the list without them.

    Args:
        failing: prints only feeds whose news may be missed.

    Returns:
        1 if only failing feeds were asked for and the states cannot be read, else 0.
    """
    from riskwire.cli.data import open_existing_bus
    from riskwire.cli.terminal import print_json_lines, print_table, printable
    from riskwire.ingest.feeds.publication import read_feed_list
    from riskwire.ingest.feeds.status import feed_statuses, read_polls

    async with open_existing_bus(settings) as bus:
        feed_list = await read_feed_list(bus)
    try:
        async with open_existing_bus(_with_short_deadline(settings)) as bus:
            polls = await read_polls(bus)
    except BusError as error:
        polls = None
        print(printable(f"The state of the feeds cannot be read: {error}"), file=sys.stderr)
    code = int(failing and polls is None)
    statuses = feed_statuses(feed_list.feeds.values(), polls)
    statuses = [status for status in statuses if status.may_miss_news or not failing]
    if json:
        print_json_lines([_json_fields(status, feed_list) for status in statuses])
        return code
    print_table(
        ("id", "state", "last read", "every", "from", "url"),
        [
            (
                status.feed.id,
                status.state,
                _time_text(status.poll.read_at if status.poll else None, settings.zone),
                f"{status.feed.every_s} s",
                feed_list.origin(status.feed.id),
                without_secrets(status.feed.url),
            )
            for status in statuses
        ],
        empty="No feed fails." if failing and feed_list.feeds else "No feeds yet: `riskwire feeds add URL`.",
    )
    if problems := [problem for status in statuses for problem in _problems(status, settings.zone)]:
        print("\n" + "\n".join(map(printable, problems)))
    if feed_list.removed_by_hand and not failing:
        print(f"\nIn the feed list's file and removed by hand: {printable(', '.join(feed_list.removed_by_hand))}.")
        print("`riskwire feeds add ID` adds one again.")
    return code


def _with_short_deadline(settings: Settings) -> Settings:
    """Returns settings with a short deadline for reading the states of polls.

    An open transaction, or a missing permission, can delay that for as long as the deadline, and the list is useful
    without the states.
    """
    deadline_s = min(_MAX_STATUS_WAIT_S, settings.kafka.deadline_s)
    return settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"deadline_s": deadline_s})})


def _json_fields(status: FeedStatus, feed_list: FeedList) -> dict[str, object]:
    """Returns a feed of the list with the state of its polls, as `feeds list --json` prints it.

    The fields of the polls are None if the state could not be read.
    """
    from riskwire.ingest.feeds.schedule import PollState

    feed = status.feed
    fields = feed.model_dump(mode="json") | {"from": feed_list.origin(feed.id), "state": status.state}
    if not status.known:
        return fields | dict.fromkeys(sorted(_POLL_FIELDS))
    poll = PollState(url=feed.url) if status.poll is None else status.poll
    return fields | poll.model_dump(mode="json", include=_POLL_FIELDS)


def _problems(status: FeedStatus, zone: tzinfo) -> Iterator[str]:
    """Yields a line of text for each problem of a feed that may make riskwire miss news; none for a healthy feed.

    A problem is a state (failing, gone, or "in part": the last document was damaged), dates that cannot be read or make
    all news backfill, or a permanent move. Repairs of the last document are listed as well. Yields nothing if
    the feed was not polled, or if the state of its polls cannot be read.
    """
    from riskwire.ingest.feeds.dating import is_late

    feed, poll = status.feed, status.poll
    if poll is None or not status.known or not status.feed.enabled:
        return
    if poll.repairs:
        yield f"{feed.id} has faults that are repaired when it is read: {'; '.join(poll.repairs)}"
    if not status.may_miss_news:
        return
    by = f", polled by {poll.polled_by}" if poll.polled_by else ""
    if status.state == "failing":
        times = "1 failure" if poll.failures == 1 else f"{poll.failures} failures in a row"
        yield (
            f"{feed.id} fails: {poll.error or poll.problem} ({times}, the last {_time_text(poll.failed_at, zone)}; "
            f"last read {_time_text(poll.read_at, zone)}; next poll {_time_text(poll.next_at, zone)}{by})"
        )
    elif status.state == "gone":
        yield (
            f"{feed.id} is no longer polled: its server says that it is gone permanently "
            f"({_time_text(poll.failed_at, zone)}{by})"
        )
    elif status.state == "in part":
        yield f"{feed.id} is damaged: its last document was only partly readable ({_time_text(poll.read_at, zone)}{by})"
    if poll.unreadable_dates and status.state != "gone":
        yield (
            f"{feed.id}: {poll.unreadable_dates} of {poll.items} dates cannot be read, such as {poll.date_example!r}; "
            "these items count as published when first seen"
        )
    if is_late(poll):
        yield (
            f"{feed.id} is late: its last {poll.late_items} new items were published so long before they were seen "
            "that they are backfill, which never fires an alert"
        )
    if poll.moved_to is not None:
        command = shlex.join(["riskwire", "feeds", "add", feed.id, "--url", poll.moved_to])  # quotes a foreign URL
        yield f"{feed.id} has moved permanently and is read at its new address; `{command}` changes the list"


def _time_text(at: datetime | None, zone: tzinfo) -> str:
    return "never" if at is None else f"{at.astimezone(zone):%Y-%m-%d %H:%M} {zone}"
