"""Which article versions a partition has read: a bounded ring, kept in the stage's state one slot a key."""

from __future__ import annotations

from collections.abc import Mapping

_COUNT = "seen-count"
_PREFIX = "seen/"
_SEPARATOR = b"\0"


class SeenRing:
    """The last `most` (id, version) pairs; a pair that is older is forgotten, and would be read again."""

    def __init__(self, most: int, state: Mapping[str, bytes]) -> None:
        self._most = most
        self._count = int(state.get(_COUNT, b"0"))
        self._slots: dict[int, bytes] = {
            int(key.removeprefix(_PREFIX)): value for key, value in state.items() if key.startswith(_PREFIX)
        }
        self._dropped = [slot for slot in self._slots if slot >= most]  # the setting was larger once
        for slot in self._dropped:
            del self._slots[slot]
        self._pairs = set(self._slots.values())
        self._changed: dict[str, bytes | None] = {f"{_PREFIX}{slot}": None for slot in self._dropped}

    def add(self, article: str, version: int) -> bool:
        """Remember a pair; False when it was there already."""
        pair = article.encode("utf-8", "surrogatepass") + _SEPARATOR + str(version).encode()
        if pair in self._pairs:
            return False
        slot = self._count % self._most
        self._pairs.discard(self._slots.get(slot, b""))
        self._slots[slot] = pair
        self._pairs.add(pair)
        self._count += 1
        self._changed[f"{_PREFIX}{slot}"] = pair
        return True

    def changes(self) -> dict[str, bytes | None]:
        """What has changed since the last call, for the stage's state."""
        changed, self._changed = self._changed, {}
        if changed:
            changed[_COUNT] = str(self._count).encode()
        return changed
