"""Which items have been published, and in which versions. Pure; its changes are part of the state of a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from riskwire.stage.state import KeyedState

MAX_CONTENTS = 8
"""Content hashes remembered of one item. An item that returns to a remembered content gets no new version."""
_PREFIX = "item:"


@dataclass(frozen=True, slots=True)
class _PublishedItem:
    """The last publication of an item.

    Attributes:
        turn: a counter over all publications, which orders items by age after a restart.
        contents: the hashes of its last contents, oldest first.
    """

    turn: int
    version: int
    contents: list[str]


class ItemMemory:
    """Remembers the last versions of items; forgets the items that were not seen for longest first.

    Args:
        state: the committed state of the stage.
        limit: the most items remembered.
    """

    def __init__(self, state: Mapping[str, bytes], limit: int) -> None:
        """Restores the memory of published items from the committed state.

        The turn of an item is a number that grows with each publication, so that items can be ordered by age.

        Args:
            limit: the most items remembered.
        """
        self._limit = limit
        self._items: KeyedState[_PublishedItem] = KeyedState(
            _PREFIX,
            state,
            encode=lambda item: orjson.dumps([item.turn, item.version, item.contents]),
            decode=lambda value: _PublishedItem(*orjson.loads(value)),
            oldest_first=lambda item: item.turn,
        )
        self._turn = max((item.turn for item in self._items.entries.values()), default=0)

    def __len__(self) -> int:
        return len(self._items)

    def version_of(self, item_id: str, content: str) -> int | None:
        """Returns the version under which to publish an item, or None when this content has been published before.

        A new item has version 1, each new content the next one. The item is remembered as published with this content,
        with at most `MAX_CONTENTS` contents. Beyond the limit of items, those not seen for longest are forgotten.

        Args:
            content: the hash of the item's content.
        """
        published = self._items.get(item_id)
        if published is not None and content in published.contents:
            return None
        self._turn += 1
        if published is None:
            version, contents = 1, [content]
        else:
            version, contents = published.version + 1, [*published.contents, content][-MAX_CONTENTS:]
        self._items.set(item_id, _PublishedItem(self._turn, version, contents))
        self._items.move_to_end(item_id)
        while len(self._items) > self._limit:
            self._items.delete(next(iter(self._items)))
        return version

    def mark_seen(self, item_id: str) -> None:
        """Makes an item that is still in a document the last to be forgotten.

        This order is not part of the state, so that a poll without news writes nothing.
        """
        if item_id in self._items:
            self._items.move_to_end(item_id)

    def take_changes(self) -> dict[str, bytes | None]:
        """Returns the state entries that changed since the last call, for the step that publishes the items."""
        return self._items.take_changes()
