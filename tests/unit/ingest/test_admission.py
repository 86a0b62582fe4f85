"""Each item is published once per version, with its times; the memory of items is bounded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from riskwire.ingest.admission import admit
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
