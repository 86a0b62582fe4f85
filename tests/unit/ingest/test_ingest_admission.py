"""Each item is published once per version, with its times, and what is remembered is bounded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from riskwire.ingest.admission import admit
from riskwire.ingest.memory import CONTENTS, ItemMemory
from riskwire.ingest.parsing.items import Item

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def item(key: str = "a", content: str = "1", published_at: datetime | None = NOON) -> Item:
    return Item(id=key, content=content, url="", title=content, text="", language="en", published_at=published_at)


def versions(memory: ItemMemory, *contents: str) -> list[int | None]:
    return [memory.version_of("a", content) for content in contents]


def test_new_content_makes_a_new_version_and_known_content_does_not() -> None:
    assert versions(ItemMemory({}, 1_000), "x", "x", "y", "x", "y", "z") == [1, None, 2, None, None, 3]


def test_two_feeds_that_word_an_item_differently_make_two_versions_for_good() -> None:
    memory = ItemMemory({}, 1_000)
    assert [each for each in versions(memory, *["x", "y"] * 50) if each] == [1, 2]


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("12345")), max_size=60),
    st.integers(min_value=0, max_value=60),
    st.integers(min_value=1, max_value=8),
)
def test_a_memory_restored_from_its_changes_goes_on_as_if_it_had_never_stopped(
    steps: list[tuple[str, str]], stop: int, limit: int
) -> None:
    through, first = ItemMemory({}, limit), ItemMemory({}, limit)
    wanted = [through.version_of(*step) for step in steps]
    state: dict[str, bytes] = {}
    got = [first.version_of(*step) for step in steps[:stop]]
    for key, value in first.take_changes().items():
        if value is None:
            state.pop(key, None)
        else:
            state[key] = value
    assert len(state) == len(first) <= limit
    second = ItemMemory(state, limit)
    assert got + [second.version_of(*step) for step in steps[stop:]] == wanted


def test_the_memory_is_bounded_and_forgets_what_was_unseen_longest() -> None:
    memory = ItemMemory({}, 3)
    for key in "abc":
        memory.version_of(key, "1")
    memory.saw("a")
    memory.version_of("d", "1")
    assert len(memory) == 3
    assert memory.take_changes()["item:b"] is None
    assert memory.version_of("a", "1") is None
    for content in range(3 * CONTENTS):
        memory.version_of("a", f"content {content}")
    changes = memory.take_changes()
    assert len(changes["item:a"] or b"") < 40 * CONTENTS


def test_published_is_never_later_than_seen_and_a_missing_time_is_when_it_was_seen() -> None:
    memory = ItemMemory({}, 1_000)
    late, none = admit(
        [item("a", published_at=NOON + timedelta(days=9)), item("b", published_at=None)], "s", memory, NOON, 60
    )
    assert late.published_at == none.published_at == late.seen_at == NOON
    assert not late.backfill


def test_what_is_older_than_the_limit_is_backfill_and_still_published() -> None:
    memory = ItemMemory({}, 1_000)
    ages = {"at": 21_600, "over": 21_601, "ancient": 40 * 365 * 86_400}
    articles = admit(
        [item(k, published_at=NOON - timedelta(seconds=s)) for k, s in ages.items()], "s", memory, NOON, 21_600
    )
    assert [article.backfill for article in articles] == [False, True, True]


def test_an_undated_item_of_the_first_document_of_a_feed_is_of_unknown_age_so_backfill() -> None:
    undated, dated = item("a", published_at=None), item("b")
    first = admit([undated, dated], "feed", ItemMemory({}, 1_000), NOON, 21_600, first=True)
    later = admit([undated, dated], "feed", ItemMemory({}, 1_000), NOON, 21_600)
    assert [article.backfill for article in first] == [True, False]
    assert [article.backfill for article in later] == [False, False]
