"""`SeenArticles` remembers the last article versions, independent of batches and restarts, in few keys."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from state_changes import apply_changes

from riskwire.inference.seen_articles import SeenArticles


def committed(seen: SeenArticles) -> dict[str, bytes]:
    """Returns the state that a first step commits."""
    state: dict[str, bytes] = {}
    apply_changes(state, seen.take_changes())
    return state


def remembered(state: Mapping[str, bytes], capacity: int, count: int) -> list[int]:
    """Returns the remembered versions of article `a`; each is looked up in a new object, because `add` remembers it."""
    return [version for version in range(count) if not SeenArticles(capacity, state).add("a", version)]


@pytest.mark.parametrize("batch_size", [1, 7, 64, 1_000])
def test_the_last_versions_are_remembered_and_older_ones_forgotten_for_every_batch_size(batch_size: int) -> None:
    """Of 500 versions with a capacity of 100, at least the last 100 are remembered, in blocks of 64.

    The object is restored from the state for each batch. `add` returns whether a version is new.
    """
    state: dict[str, bytes] = {}
    for start in range(0, 500, batch_size):
        seen = SeenArticles(100, state)
        assert all(seen.add("a", version) for version in range(start, min(500, start + batch_size)))
        apply_changes(state, seen.take_changes())
    versions = remembered(state, 100, 500)
    assert versions == list(range(versions[0], 500))
    assert 100 <= len(versions) < 100 + 2 * 64
    assert versions[0] == 320, "the same for every batch size"


def test_a_step_writes_one_key_for_64_versions_and_deletes_forgotten_blocks() -> None:
    """A block of 64 versions is one key, `read/NUMBER`, and None deletes it. 1,200 versions exceed the capacity of
    1,000.
    """
    seen = SeenArticles(1_000, {})
    for number in range(500):
        seen.add(str(number), 1)
    assert set(seen.take_changes()) == {f"read/{block}" for block in range(8)}
    assert seen.take_changes() == {}
    seen.add("500", 1)
    assert set(seen.take_changes()) == {"read/7"}
    for number in range(501, 1_200):
        seen.add(str(number), 1)
    deleted = [key for key, value in seen.take_changes().items() if value is None]
    assert deleted == ["read/0", "read/1"]


def test_versions_and_ids_are_distinguished_and_a_long_id_takes_no_more_room() -> None:
    """Ids and versions that look alike when joined are different. Each version takes 16 bytes of the state."""
    seen = SeenArticles(1_000, {})
    versions = [("a", 1), ("a", 11), ("a1", 1), ("a\0001", 1), ("a", 1)]
    assert [seen.add(article_id, version) for article_id, version in versions] == [True] * 4 + [False]
    assert seen.add("x" * 1_000_000, 1)
    assert len(committed(seen)["read/0"]) == 5 * 16


def test_a_smaller_capacity_forgets_and_a_larger_one_remembers_the_committed_versions() -> None:
    """The state of 500 versions (eight blocks of 64) is restored with another capacity.

    With a capacity of 64, two blocks are kept: versions 384 to 499.
    """
    seen = SeenArticles(1_000, {})
    for version in range(500):
        seen.add("a", version)
    state = committed(seen)
    assert remembered(state, 10_000, 500) == list(range(500))
    smaller = SeenArticles(64, state)
    changes = smaller.take_changes()
    assert set(changes) == {f"read/{block}" for block in range(6)}
    apply_changes(state, changes)
    assert remembered(state, 64, 500) == list(range(384, 500))


def test_blocks_are_restored_in_any_order() -> None:
    """The keys of the state in reverse order give the same versions."""
    seen = SeenArticles(1_000, {})
    for version in range(1_000):
        seen.add("a", version)
    state = committed(seen)
    reversed_state = dict(reversed(state.items()))
    assert remembered(reversed_state, 64, 1_000) == remembered(state, 64, 1_000) == list(range(896, 1_000))
