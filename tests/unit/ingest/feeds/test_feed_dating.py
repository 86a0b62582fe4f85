"""The list of feeds says when the dates of a feed cannot be read, or make all its news backfill."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from riskwire.ingest.feeds.dating import MIN_LATE_ITEMS, has_unreadable_dates, is_late, with_date_counts
from riskwire.ingest.feeds.schedule import PollState
from riskwire.ingest.feeds.status import feed_statuses
from riskwire.ingest.parsing.items import FeedItem
from riskwire.records import Article, Feed

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
START = PollState(url="https://e.example/", polls=1)


def item(published_at: datetime | None, stated_date: str = "") -> FeedItem:
    return FeedItem(
        id="a",
        content="c",
        url="",
        title="t",
        text="",
        language=None,
        published_at=published_at,
        stated_date=stated_date,
    )


def articles(number: int, *, backfill: bool, version: int = 1) -> list[Article]:
    return [
        Article(
            id=f"{n}",
            version=version,
            url="",
            source="s",
            title="t",
            published_at=NOON,
            seen_at=NOON,
            backfill=backfill,
        )
        for n in range(number)
    ]


def test_a_feed_is_undated_when_at_least_half_its_dates_cannot_be_used() -> None:
    """An unreadable date and one beyond tomorrow count; an item without a date does not."""
    unreadable, future, good = item(None, "soon"), item(NOON + timedelta(days=9), "2026-12-03"), item(NOON, "now")
    undated = with_date_counts(START, [good, unreadable, future, item(None)], [], NOON, first=False)
    assert (undated.unreadable_dates, undated.items, undated.date_example) == (2, 4, "soon")
    assert has_unreadable_dates(undated)
    assert not has_unreadable_dates(with_date_counts(undated, [good, good, unreadable], [], NOON, first=False))
    assert not has_unreadable_dates(with_date_counts(undated, [], [], NOON, first=False))


def test_a_feed_is_late_when_all_its_new_items_come_out_as_backfill() -> None:
    """The first document does not count, nor do changes of old items; one item in time ends it."""
    state = with_date_counts(START, [], articles(50, backfill=True), NOON, first=True)
    state = with_date_counts(state, [], articles(50, backfill=True, version=2), NOON, first=False)
    assert state.late_items == 0
    for _ in range(MIN_LATE_ITEMS):
        assert not is_late(state)
        state = with_date_counts(state, [], articles(1, backfill=True), NOON, first=False)
    assert is_late(state)
    assert is_late(with_date_counts(state, [], [], NOON, first=False))
    mixed = [*articles(1, backfill=True), *articles(1, backfill=False)]
    assert not is_late(with_date_counts(state, [], mixed, NOON, first=False))


def test_the_state_of_a_feed_names_the_fault_of_its_dates() -> None:
    feed = Feed(id="f", url=START.url)
    for update, state in (
        ({"items": 2, "unreadable_dates": 1}, "undated"),
        ({"late_items": MIN_LATE_ITEMS}, "late"),
        ({"items": 2, "unreadable_dates": 2, "incomplete": True}, "in part"),
        ({}, "ok"),
    ):
        (status,) = feed_statuses([feed], {"f": START.model_copy(update=update)})
        assert (status.state, status.may_miss_news) == (state, state != "ok")
