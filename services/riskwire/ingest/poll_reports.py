"""What logs and metrics say of a finished poll."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import itemgetter

import structlog

from riskwire import metrics
from riskwire.ingest.admission import date_fault
from riskwire.ingest.feeds.dating import has_unreadable_dates, is_late
from riskwire.ingest.feeds.schedule import PollResult, PollState
from riskwire.ingest.feeds.status import FeedStatus
from riskwire.ingest.outage import Outage
from riskwire.ingest.parsing.items import FeedItem, ParseResult
from riskwire.records import Article, Feed

log = structlog.get_logger(__name__)


def count_dates(item: FeedItem, articles: Sequence[Article], now: datetime) -> None:
    """Counts a new item whose date is unknown, or makes it backfill.

    Args:
        articles: the article of the item if it is new or changed, otherwise empty.
    """
    for article in articles:
        if article.version == 1:
            if fault := date_fault(item, now):
                metrics.UNKNOWN_DATES.labels(reason=fault).inc()
            metrics.BACKFILL_ITEMS.inc(int(article.backfill))
            if not article.backfill:
                metrics.PUBLICATION_AGE.observe((article.seen_at - article.published_at).total_seconds())


def show_feeds(feeds: Iterable[tuple[Feed, PollState]], partition: int) -> None:
    """Sets the metrics of the feeds of a partition: how many are in each state, and when each was last read.

    Args:
        feeds: each feed with the state of its polls; none when the partition is given up.
    """
    part, states = str(partition), Counter[tuple[str, ...]]()
    undatable = late = 0
    read_at: dict[tuple[str, ...], float] = {}
    for feed, poll in feeds:
        states[FeedStatus(feed, poll if poll.polls else None).state,] += 1
        undatable, late = undatable + has_unreadable_dates(poll), late + is_late(poll)
        read_at[feed.id,] = poll.read_at.timestamp() if poll.read_at else 0.0
    metrics.UNDATABLE_FEEDS.labels(partition=part).set(undatable)
    metrics.LATE_FEEDS.labels(partition=part).set(late)
    metrics.FEEDS.replace(states, part)
    metrics.FEED_SUCCESS.replace(dict(sorted(read_at.items(), key=itemgetter(1))), part)


def log_changes(
    before: PollState, after: PollState, poll: PollResult, wait_s: float, outage: Outage, feeds: int
) -> None:
    """Logs what a poll changed in the status of its feed, and counts the items that were left out.

    Args:
        before: the state of the feed's polls before the poll; `after`: the state after it.
        wait_s: seconds until the next poll.
        outage: what is known of the network; while it is missing, its failure is logged and not that of each feed.
        feeds: the number of feeds on the list.
    """
    feed = poll.feed
    has_new_problem = after.problem != before.problem
    if poll.reached_no_server:
        _log_unreached(poll, outage, feeds, is_new=has_new_problem)
        return
    if poll.fetched is not None:
        _log_reached(outage)
    if has_new_problem:
        if after.problem == "gone":
            log.warning("feed is gone (410) and is not polled any more", feed=feed.id, url=feed.url)
        elif after.problem:
            wait = round(wait_s)
            log.warning("feed fails", feed=feed.id, outcome=after.problem, error=poll.failure, again_in_s=wait)
        else:
            log.info("feed is back", feed=feed.id)
    if after.moved_to and after.moved_to != before.moved_to:
        log.warning("feed has moved permanently, change its url in the feed list", feed=feed.id, to=after.moved_to)
    if has_unreadable_dates(after) and not has_unreadable_dates(before):
        log.warning("the dates of the feed cannot be read", feed=feed.id, example=after.date_example)
    if is_late(after) and not is_late(before):
        log.warning("all new items of the feed are backfill, so none can fire an alert", feed=feed.id)
    if poll.parsed is not None:
        _count_skipped(poll.parsed)
        if after.incomplete and not before.incomplete:
            log.warning("feed was read in part", feed=feed.id, fault=poll.parsed.fault)
        if after.repairs and not before.repairs:
            log.info("the document of the feed was repaired", feed=feed.id, repairs=list(after.repairs))


def _log_unreached(poll: PollResult, outage: Outage, feeds: int, *, is_new: bool) -> None:
    """Logs that there is no network, once. The failure of a single feed is logged when another feed was reached."""
    if is_new or outage.take_unlogged(poll.feed.id):
        count = outage.unreached(poll.feed.id, poll.failure, feeds)
        if count:
            log.warning("no network: no feed can be reached", failed=count, feeds=feeds, error=poll.failure)


def _log_reached(outage: Outage) -> None:
    """Logs that the network is back, or else the feeds that failed alone."""
    is_back, unreached = outage.reached()
    if is_back:
        log.info("the network is back")
    for feed_id, error in unreached.items():
        log.warning("feed fails", feed=feed_id, outcome="failed", error=error)


def _count_skipped(parsed: ParseResult) -> None:
    """Counts the entries of a document that were left out, by reason, and the documents with a fault or a repair."""
    for reason, entries in parsed.skipped.items():
        metrics.SKIPPED_ENTRIES.labels(reason=reason).inc(entries)
    if parsed.fault:
        metrics.FAULTY_DOCUMENTS.inc()
    if parsed.repairs:
        metrics.REPAIRED_DOCUMENTS.inc()
