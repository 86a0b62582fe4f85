"""Keyed state: the committed entries with the changes of each step applied equal the entries."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from riskwire.stage.state import KeyedState

KEYS = st.sampled_from(["a", "b", "c"])
STEPS = st.lists(st.lists(st.tuples(st.sampled_from(["set", "touch", "delete"]), KEYS, st.integers(0, 9))))


def open_state(committed: dict[str, bytes]) -> KeyedState[list[int]]:
    return KeyedState("item/", committed, encode=bytes, decode=list)


def commit(committed: dict[str, bytes], changes: dict[str, bytes | None]) -> None:
    """Applies the changes of a step to a committed state; None deletes an entry.

    Raises:
        KeyError: a change deletes an entry that was never committed.
    """
    for key, value in changes.items():
        if value is None:
            del committed[key]
        else:
            committed[key] = value


@given(STEPS)
def test_applying_the_changes_of_each_step_to_the_committed_state_yields_the_entries(
    steps: list[list[tuple[str, str, int]]],
) -> None:
    """Entries are lists of numbers. `touch` reports that a list was changed in place.

    Args:
        steps: for each step, its actions: what to do, the key, and the number to set or to append.
    """
    committed = {"other/a": b"untouched"}
    state = open_state(committed)
    for step in steps:
        for action, key, number in step:
            if action == "set":
                state.set(key, [number])
            elif key in state and action == "touch":
                state[key].append(number)
                state.touch(key)
            elif key in state:
                state.delete(key)
        commit(committed, state.take_changes())
        assert open_state(committed).entries == state.entries
        assert state.take_changes() == {}, "no change since the last call"
    assert committed["other/a"] == b"untouched"


def test_a_value_is_encoded_once_per_step() -> None:
    """`touch` reports that a value was changed in place."""
    encoded: list[list[int]] = []

    def encode(value: list[int]) -> bytes:
        encoded.append(list(value))
        return bytes(value)

    state: KeyedState[list[int]] = KeyedState("", {}, encode=encode, decode=list)
    state.set("a", [1])
    for number in range(5):
        state["a"].append(number)
        state.touch("a")
    state.take_changes()
    assert encoded == [[1, 0, 1, 2, 3, 4]]


def test_an_entry_set_and_deleted_in_one_step_is_not_a_change() -> None:
    state = open_state({})
    state.set("a", [1])
    state.delete("a")
    assert state.take_changes() == {}


def test_entries_are_restored_oldest_first() -> None:
    """The age of an entry is its number; entries of equal age are ordered by key."""
    committed = {"item/b": bytes([2]), "item/c": bytes([1]), "item/a": bytes([2])}
    state: KeyedState[list[int]] = KeyedState(
        "item/", committed, encode=bytes, decode=list, oldest_first=lambda value: value[0]
    )
    assert list(state) == ["c", "a", "b"]
    state.move_to_end("c")
    assert list(state) == ["a", "b", "c"]
    assert state.take_changes() == {}, "the order is not part of the state"


@dataclass(frozen=True)
class Visit:
    """A value with fields that have a JSON form."""

    at: float
    by: str = "ada"


def test_entries_of_a_dataclass_are_json_objects_and_fields_of_a_newer_riskwire_are_ignored() -> None:
    written = KeyedState.of_dataclass("visit:", {}, Visit)
    written.set("a", Visit(2.5))
    assert written.take_changes() == {"visit:a": b'{"at":2.5,"by":"ada"}'}
    committed = {"visit:b": b'{"at":3,"of_a_newer_one":1}', "visit:a": b'{"at":2.5,"by":"grace"}', "other": b""}
    read = KeyedState.of_dataclass("visit:", committed, Visit, oldest_first=lambda visit: visit.at)
    assert read.entries == {"a": Visit(2.5, "grace"), "b": Visit(3)}
