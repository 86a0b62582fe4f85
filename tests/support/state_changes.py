"""Applies the state changes of a step to a committed state, as the bus does."""

from __future__ import annotations

from collections.abc import Mapping


def apply_changes(state: dict[str, bytes], changes: Mapping[str, bytes | None]) -> None:
    """Writes the changes into the state; None deletes a key."""
    for key, value in changes.items():
        if value is None:
            state.pop(key, None)
        else:
            state[key] = value
