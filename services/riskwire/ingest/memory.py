"""Which items have been published, and in which versions. Pure and bounded; its changes are part of a step's state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

PREFIX = "item:"
CONTENTS = 8
"""Contents remembered of one item: going back to one of them makes no new version."""


@dataclass(slots=True)
class _Known:
    turn: int
    version: int
    contents: list[str]


class ItemMemory:
    """Remembers `limit` items; those longest unseen are forgotten first.

    Args:
        state: the state of the last committed step; keys that are not its own are left alone.
        limit: most items remembered.
    """

    def __init__(self, state: Mapping[str, bytes], limit: int) -> None:
        self._limit = limit
        read = ((key, orjson.loads(value)) for key, value in state.items() if key.startswith(PREFIX))
        self._known = {
            key.removeprefix(PREFIX): _Known(turn, version, contents)
            for key, (turn, version, contents) in sorted(read, key=lambda pair: pair[1][0])
        }
        self._turn = max((known.turn for known in self._known.values()), default=0)
        self._changes: dict[str, bytes | None] = {}

    def __len__(self) -> int:
        return len(self._known)

    def version_of(self, item: str, content: str) -> int | None:
        """The version to publish, or None where this content of this item has been published."""
        known = self._known.get(item)
        if known is not None and content in known.contents:
            return None
        self._turn += 1
        if known is None:
            known = _Known(self._turn, 1, [content])
        else:
            del self._known[item]  # to the end: forgotten last
            known = _Known(self._turn, known.version + 1, [*known.contents, content][-CONTENTS:])
        self._known[item] = known
        self._changes[PREFIX + item] = orjson.dumps([known.turn, known.version, known.contents])
        while len(self._known) > self._limit:
            oldest = next(iter(self._known))
            del self._known[oldest]
            self._changes[PREFIX + oldest] = None
        return known.version

    def saw(self, item: str) -> None:
        """An item still stands in a document: forget it later. Not part of the state, so that a poll writes little."""
        known = self._known.pop(item, None)
        if known is not None:
            self._known[item] = known

    def take_changes(self) -> dict[str, bytes | None]:
        """What changed since the last call, for the state of the step that publishes it."""
        changes, self._changes = self._changes, {}
        return changes
