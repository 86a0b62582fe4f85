"""Each item is published once per version, with its times; the memory of items is bounded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskwire.ingest.admission import admit, date_fault
from riskwire.ingest.memory import MAX_CONTENTS, ItemMemory
from riskwire.ingest.parsing.items import FeedItem

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def item(key: str = "a", content: str = "1", published_at: datetime | None = NOON) -> FeedItem:
    return FeedItem(id=key, content=content, url="", title=content, text="", language="en", published_at=published_at)


def versions(memory: ItemMemory, *contents: str) -> list[int | None]:
    return [memory.version_of("a", content) for content in contents]


def test_only_new_content_makes_a_new_version() -> None:
    assert versions(ItemMemory({}, 1_000), "x", "x", "y", "x", "y", "z") == [1, None, 2, None, None, 3]


def test_alternating_contents_of_one_item_make_two_versions_only() -> None:
    memory = ItemMemory({}, 1_000)
    assert [version for version in versions(memory, *["x", "y"] * 50) if version] == [1, 2]


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("12345")), max_size=60),
    st.integers(min_value=0, max_value=60),
    st.integers(min_value=1, max_value=8),
)
def test_a_memory_restored_from_its_changes_behaves_like_the_original(
    steps: list[tuple[str, str]], stop: int, limit: int
) -> None:
    """Each step asks for the version of an item (key, content); None means that nothing new is to be published.

    Args:
        steps: the items, in order.
        stop: after so many steps the memory is restored from its state.
        limit: the most items that it remembers.
    """
    uninterrupted, first = ItemMemory({}, limit), ItemMemory({}, limit)
    expected = [uninterrupted.version_of(*step) for step in steps]
    state: dict[str, bytes] = {}
    before = [first.version_of(*step) for step in steps[:stop]]
    for key, value in first.take_changes().items():
        if value is None:
            state.pop(key, None)
        else:
            state[key] = value
    assert len(state) == len(first) <= limit
    second = ItemMemory(state, limit)
    assert before + [second.version_of(*step) for step in steps[stop:]] == expected


def test_the_item_unseen_for_longest_is_forgotten_beyond_the_limit() -> None:
    """The memory holds three items. `mark_seen` renews a, so the new item d replaces b; None deletes its key.

    Of one item, only the last `MAX_CONTENTS` hashes are remembered, so that its entry stays small.
    """
    memory = ItemMemory({}, 3)
    for key in "abc":
        memory.version_of(key, "1")
    assert set(memory.take_changes()) == {"item:a", "item:b", "item:c"}
    memory.mark_seen("a")
    memory.version_of("d", "1")
    assert len(memory) == 3
    assert memory.take_changes()["item:b"] is None
    assert memory.version_of("a", "1") is None
    for content in range(3 * MAX_CONTENTS):
        memory.version_of("a", f"content {content}")
    changes = memory.take_changes()
    assert len(changes["item:a"] or b"") < 40 * MAX_CONTENTS


def test_published_at_is_never_later_than_seen_at_and_defaults_to_it() -> None:
    """The items are seen at noon: one is dated nine days later, the other has no date."""
    memory = ItemMemory({}, 1_000)
    future, undated = admit(
        [item("a", published_at=NOON + timedelta(days=9)), item("b", published_at=None)], "s", memory, NOON, 60
    )
    assert future.published_at == undated.published_at == future.seen_at == NOON
    assert not future.backfill


def test_an_item_older_than_the_limit_is_published_as_backfill() -> None:
    """The limit is 21,600 s before `seen_at`; an item of exactly this age is still news."""
    memory = ItemMemory({}, 1_000)
    ages = {"at": 21_600, "over": 21_601, "ancient": 40 * 365 * 86_400}
    articles = admit(
        [item(name, published_at=NOON - timedelta(seconds=age)) for name, age in ages.items()],
        "s",
        memory,
        NOON,
        21_600,
    )
    assert [article.backfill for article in articles] == [False, True, True]


def test_an_undated_item_of_the_first_document_of_a_feed_is_backfill() -> None:
    """`first` marks the first document ever read of a feed, where an item without a date may be old."""
    undated, dated = item("a", published_at=None), item("b")
    first = admit([undated, dated], "feed", ItemMemory({}, 1_000), NOON, 21_600, first=True)
    later = admit([undated, dated], "feed", ItemMemory({}, 1_000), NOON, 21_600)
    assert [article.backfill for article in first] == [True, False]
    assert [article.backfill for article in later] == [False, False]


def dated(published_at: datetime | None, stated_date: str, published_by: datetime | None = None) -> FeedItem:
    """An item with a date as it was read (`published_at`) and as the publisher wrote it (`stated_date`)."""
    return item().model_copy(
        update={"published_at": published_at, "published_by": published_by, "stated_date": stated_date}
    )


@pytest.mark.parametrize(
    ("dated_item", "fault"),
    [
        (dated(None, ""), "missing"),
        (dated(None, "the day before yesterday"), "unreadable"),
        (dated(NOON + timedelta(hours=24, seconds=1), "2026-11-25T12:00:01Z"), "future"),
        (dated(datetime(9990, 1, 1, tzinfo=UTC), "9990-01-01"), "future"),
        (dated(NOON + timedelta(hours=14), "2026-11-25T02:00:00"), None),
        (dated(NOON - timedelta(days=9), "2026-11-15T12:00:00Z"), None),
    ],
)
def test_a_date_that_is_missing_unreadable_or_beyond_tomorrow_is_unknown(
    dated_item: FeedItem, fault: str | None
) -> None:
    assert date_fault(dated_item, NOON) == fault


@pytest.mark.parametrize("first", [True, False])
def test_an_item_whose_date_is_wrong_is_news_seen_now_and_not_backfill(first: bool) -> None:
    """Also in the first document of a feed: a wrong date must not mute bad news."""
    for wrong in (dated(None, "31/31/2026"), dated(NOON + timedelta(days=2), "2026-11-26T12:00:00Z")):
        (article,) = admit([wrong], "feed", ItemMemory({}, 1_000), NOON, 21_600, first=first)
        assert (article.published_at, article.backfill) == (NOON, False)


def test_a_date_without_zone_or_clock_makes_an_item_backfill_only_if_it_is_old_in_any_case() -> None:
    """The item is dated ten hours ago; its date may mean a time up to two hours ago, or up to eight hours ago."""
    published_at = NOON - timedelta(hours=10)
    for latest, backfill in ((timedelta(hours=2), False), (timedelta(hours=8), True)):
        dated_item = dated(published_at, "2026-11-24 02:00", NOON - latest)
        (article,) = admit([dated_item], "feed", ItemMemory({}, 1_000), NOON, 21_600)
        assert (article.published_at, article.backfill) == (published_at, backfill)
