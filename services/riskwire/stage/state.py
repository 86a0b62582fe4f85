"""Keyed state: the entries of a stage's state under one prefix, and what has changed since the last step.

Every stage keeps its state in these. A task reads and changes the entries while it works on a batch; `take_changes` then
gives what the step must write. After a failed step the task is opened again from the committed state, so changes
that were taken and not committed are never missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

V = TypeVar("V")


class KeyedState(Generic[V]):
    """Values by key, under one prefix of a stage's state.

    `entries` is for reading. `set` and `delete` change an entry. `touch` notes that a value was changed in place: it
    is encoded when the changes are taken, once a step however often it changed.

    Args:
        prefix: what the keys of the state begin with; other keys are not this object's.
        committed: the state of the last committed step.
        encode: a value as bytes of the state.
        decode: the value of such bytes.
    """

    def __init__(
        self,
        prefix: str,
        committed: Mapping[str, bytes],
        *,
        encode: Callable[[V], bytes],
        decode: Callable[[bytes], V],
    ) -> None:
        self._prefix = prefix
        self._encode = encode
        self.entries: dict[str, V] = {
            key.removeprefix(prefix): decode(value) for key, value in committed.items() if key.startswith(prefix)
        }
        self._committed = set(self.entries)
        self._changed: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self.entries)

    def __contains__(self, key: object) -> bool:
        return key in self.entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __getitem__(self, key: str) -> V:
        return self.entries[key]

    def get(self, key: str) -> V | None:
        """The value of a key, or None."""
        return self.entries.get(key)

    def set(self, key: str, value: V) -> None:
        """Put a value under a key."""
        self.entries[key] = value
        self._changed[key] = None

    def touch(self, key: str) -> None:
        """Note that the value of a key was changed in place."""
        self._changed[key] = None

    def delete(self, key: str) -> None:
        """Remove an entry; one that was never committed leaves no trace in the changes.

        Raises:
            KeyError: there is no such entry.
        """
        del self.entries[key]
        if key in self._committed:
            self._changed[key] = None
        else:
            self._changed.pop(key, None)

    def take_changes(self) -> dict[str, bytes | None]:
        """The changes since the last call, as a step takes them: full keys; None for an entry that was deleted."""
        changes: dict[str, bytes | None] = {}
        for key in self._changed:
            if key in self.entries:
                changes[self._prefix + key] = self._encode(self.entries[key])
                self._committed.add(key)
            else:
                changes[self._prefix + key] = None
                self._committed.discard(key)
        self._changed.clear()
        return changes
