"""Which article versions a partition has read: the last many, kept in the stage's state in blocks.

A key for each article would be a fifth of the records that infer writes, and nearly all that it restores.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

_PREFIX = "read/"
_BLOCK = 64
"""Marks of one key. The newest block is written again until it is full."""
_BYTES = 16
_OLD_PREFIX, _OLD_COUNT = "seen/", "seen-count"
"""Once each article version had a key, `seen/SLOT`, in a ring of slots; `seen-count` of them had ever been read."""


class SeenRing:
    """The last `most` article versions, and the rest of the block that the oldest of them is in; one that is older is
    forgotten, and would be read again. What is remembered does not depend on batches and restarts."""

    def __init__(self, most: int, state: Mapping[str, bytes]) -> None:
        self._most = -(-most // _BLOCK) + 1
        self._blocks: dict[int, list[bytes]] = {
            int(key.removeprefix(_PREFIX)): [value[at : at + _BYTES] for at in range(0, len(value), _BYTES)]
            for key, value in sorted(state.items(), key=_in_order)
            if key.startswith(_PREFIX)
        }
        self._marks = {mark for block in self._blocks.values() for mark in block}
        self._changed: set[int] = set()
        self._gone = [key for key in state if key.startswith(_OLD_PREFIX) or key == _OLD_COUNT]
        for pair in _old_pairs(state):
            self._add(_mark(pair))
        self._forget()

    def add(self, article: str, version: int) -> bool:
        """Remember an article version; False when it was there already."""
        mark = _mark(f"{article}\0{version}".encode("utf-8", "surrogatepass"))
        if mark in self._marks:
            return False
        self._add(mark)
        self._forget()
        return True

    def changes(self) -> dict[str, bytes | None]:
        """What has changed since the last call, for the stage's state."""
        changes: dict[str, bytes | None] = dict.fromkeys(self._gone)
        changes |= {f"{_PREFIX}{number}": b"".join(self._blocks[number]) for number in sorted(self._changed)}
        self._changed, self._gone = set(), []
        return changes

    def _add(self, mark: bytes) -> None:
        newest = next(reversed(self._blocks), -1)
        if newest < 0 or len(self._blocks[newest]) == _BLOCK:
            newest += 1
            self._blocks[newest] = []
        self._blocks[newest].append(mark)
        self._marks.add(mark)
        self._changed.add(newest)

    def _forget(self) -> None:
        while len(self._blocks) > self._most:
            oldest = next(iter(self._blocks))
            self._marks.difference_update(self._blocks.pop(oldest))
            self._changed.discard(oldest)
            self._gone.append(f"{_PREFIX}{oldest}")


def _mark(pair: bytes) -> bytes:
    """What is remembered of an article version, of one size whatever an id from outside is."""
    return blake2b(pair, digest_size=_BYTES).digest()


def _in_order(item: tuple[str, bytes]) -> int:
    number = item[0].removeprefix(_PREFIX)
    return int(number) if number.isdecimal() else -1


def _old_pairs(state: Mapping[str, bytes]) -> list[bytes]:
    """The pairs of the ring of old, the oldest first."""
    slots = {int(key.removeprefix(_OLD_PREFIX)): pair for key, pair in state.items() if key.startswith(_OLD_PREFIX)}
    pairs = [slots[slot] for slot in sorted(slots)]
    count = int(state.get(_OLD_COUNT, b"0"))
    oldest = count % len(pairs) if count > len(pairs) > 0 else 0
    return pairs[oldest:] + pairs[:oldest]
