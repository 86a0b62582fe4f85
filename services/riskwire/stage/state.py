"""Keyed state: the entries of a stage's state under one prefix, and what has changed since the last step.

Every stage keeps its state in objects of this class. A task reads and changes entries while it works on a batch, and
`take_changes` returns what the step must write. After a failed step the task is opened again from the committed state,
which drops changes that were taken and not committed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import orjson

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

V = TypeVar("V")
D = TypeVar("D", bound="DataclassInstance")


class KeyedState(Generic[V]):
    """Values by key, under one prefix of a stage's state.

    `entries` is read-only for callers. `set` and `delete` change an entry; `touch` records that a value was changed in
    place. A changed value is encoded once per step, by `take_changes`.

    Args:
        prefix: the prefix of the keys that belong to this object; other keys of the state are ignored.
        committed: the state of the last committed step.
        encode: converts a value to the bytes that the state holds.
        decode: converts such bytes to a value.
        oldest_first: the age order of restored values; without it they come in the order of the committed state.
    """

    def __init__(
        self,
        prefix: str,
        committed: Mapping[str, bytes],
        *,
        encode: Callable[[V], bytes],
        decode: Callable[[bytes], V],
        oldest_first: Callable[[V], Any] | None = None,
    ) -> None:
        self._prefix = prefix
        self._encode = encode
        restored = [
            (key.removeprefix(prefix), decode(value)) for key, value in committed.items() if key.startswith(prefix)
        ]
        if oldest_first is not None:  # the age of a value; of equal ages, the key decides
            restored.sort(key=lambda entry: (oldest_first(entry[1]), entry[0]))
        self.entries: dict[str, V] = dict(restored)
        self._committed = set(self.entries)  # the keys that the committed state has
        self._changed: dict[str, None] = {}  # the keys changed since the last step, as an ordered set

    @staticmethod
    def of_dataclass(
        prefix: str,
        committed: Mapping[str, bytes],
        entry_type: type[D],
        *,
        oldest_first: Callable[[D], Any] | None = None,
    ) -> KeyedState[D]:
        """Returns the entries of a dataclass whose fields have a JSON form, each stored as a JSON object.

        Stored fields that the dataclass does not have are ignored: a newer version of riskwire wrote them.

        Args:
            entry_type: the dataclass.
        """
        names = {field.name for field in fields(entry_type)}

        def decode(encoded: bytes) -> D:
            stored = orjson.loads(encoded)
            return entry_type(**{name: stored[name] for name in stored if name in names})

        return KeyedState(prefix, committed, encode=orjson.dumps, decode=decode, oldest_first=oldest_first)

    def __len__(self) -> int:
        return len(self.entries)

    def __contains__(self, key: object) -> bool:
        return key in self.entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __getitem__(self, key: str) -> V:
        return self.entries[key]

    def get(self, key: str) -> V | None:
        """Returns the value of a key, or None."""
        return self.entries.get(key)

    def set(self, key: str, value: V) -> None:
        """Stores a value under a key."""
        self.entries[key] = value
        self._changed[key] = None

    def touch(self, key: str) -> None:
        """Records that the value of a key was changed in place."""
        self._changed[key] = None

    def move_to_end(self, key: str) -> None:
        """Makes an entry the newest in the order of `entries`. The order is not part of the state."""
        self.entries[key] = self.entries.pop(key)

    def delete(self, key: str) -> None:
        """Removes an entry. The removal of an entry that was never committed is not a change.

        Raises:
            KeyError: the key has no entry.
        """
        del self.entries[key]
        if key in self._committed:
            self._changed[key] = None
        else:
            self._changed.pop(key, None)

    def take_changes(self) -> dict[str, bytes | None]:
        """Returns the entries that were set, touched or deleted since the last call, for a step to commit.

        Returns:
            The encoded value by key with the prefix; None for a deleted entry. A second call returns only new changes.
        """
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
