"""What infer has read: the last many, whatever the batches and restarts, in few keys."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from riskwire.inference.seen_articles import SeenArticles


def commit(state: dict[str, bytes], changes: Mapping[str, bytes | None]) -> None:
    for key, value in changes.items():
        if value is None:
            state.pop(key, None)
        else:
            state[key] = value


def written(ring: SeenArticles) -> dict[str, bytes]:
    state: dict[str, bytes] = {}
    commit(state, ring.take_changes())
    return state


def remembered(state: Mapping[str, bytes], most: int, count: int) -> list[int]:
    """Which of the versions of one article are still known; asked of a ring each, so that asking changes nothing."""
    return [at for at in range(count) if not SeenArticles(most, state).add("a", at)]


@pytest.mark.parametrize("size", [1, 7, 64, 1_000])
def test_the_last_are_known_and_older_ones_forgotten_wherever_batches_and_restarts_fall(size: int) -> None:
    state: dict[str, bytes] = {}
    for start in range(0, 500, size):
        ring = SeenArticles(100, state)
        assert all(ring.add("a", at) for at in range(start, min(500, start + size)))
        commit(state, ring.take_changes())
    known = remembered(state, 100, 500)
    assert known == list(range(known[0], 500))
    assert 100 <= len(known) < 100 + 2 * 64
    assert known[0] == 320, "the same however it was cut"


def test_a_batch_writes_a_key_for_each_64_and_drops_what_is_forgotten() -> None:
    ring = SeenArticles(1_000, {})
    for at in range(500):
        ring.add(str(at), 1)
    assert set(ring.take_changes()) == {f"read/{block}" for block in range(8)}
    assert ring.take_changes() == {}
    ring.add("500", 1)
    assert set(ring.take_changes()) == {"read/7"}
    for at in range(501, 1_200):
        ring.add(str(at), 1)
    changes = ring.take_changes()
    assert [key for key, value in changes.items() if value is None] == ["read/0", "read/1"]


def test_versions_and_articles_are_told_apart_and_a_huge_id_takes_no_more_room() -> None:
    ring = SeenArticles(1_000, {})
    assert [ring.add(*one) for one in (("a", 1), ("a", 11), ("a1", 1), ("a\0001", 1), ("a", 1))] == [True] * 4 + [False]
    assert ring.add("x" * 1_000_000, 1)
    assert len(written(ring)["read/0"]) == 5 * 16


def test_a_smaller_setting_forgets_and_a_larger_one_keeps_what_is_there() -> None:
    ring = SeenArticles(1_000, {})
    for at in range(500):
        ring.add("a", at)
    state = written(ring)
    assert remembered(state, 10_000, 500) == list(range(500))
    smaller = SeenArticles(64, state)
    changes = smaller.take_changes()
    assert set(changes) == {f"read/{block}" for block in range(6)}
    commit(state, changes)
    assert remembered(state, 64, 500) == list(range(384, 500))
