"""Which items have been published, under which id and in which versions.

Pure; its changes are part of the state of a step.

An item has several names (`parsing/identity.py`). Its id is its first name that no other item shares. A name is shared
if a document shows that, or if an item has a name of an earlier item, but another guid and a title that is no
correction of the earlier title. It stays shared from then on. The first item with a name keeps it as its id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import orjson

from riskwire.ingest.parsing.items import FeedItem
from riskwire.ingest.titles import are_similar, title_mark, word_marks
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
        guid: the mark of its guid; empty without one.
        title: the mark of its title, `words` those of the words in it.
        shared: whether its id is a name that other items have as well. Without a version only that is known of it.
    """

    turn: int
    version: int
    contents: list[str]
    guid: str = ""
    title: str = ""
    words: str = ""
    shared: bool = False

    def is_of(self, guid: str, title: str) -> bool:
        """Returns whether this is certainly the item with a guid, given by its mark, and a title."""
        if self.guid and guid:
            return self.guid == guid
        return self.version > 0 and self.title == title_mark(title)

    def may_be_of(self, guid: str, title: str) -> bool:
        """Returns whether this is an item of which the guid or the title has changed, or neither."""
        if not self.title or (guid and guid == self.guid) or self.title == title_mark(title):
            return True
        return are_similar(self.words, word_marks(title))


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
            encode=lambda item: orjson.dumps(
                [item.turn, item.version, item.contents, item.guid, item.title, item.words, item.shared]
            ),
            decode=lambda value: _PublishedItem(*orjson.loads(value)),
            oldest_first=lambda item: item.turn,
        )
        self._turn = max((item.turn for item in self._items.entries.values()), default=0)

    def __len__(self) -> int:
        return len(self._items)

    def id_of(self, item: FeedItem) -> str:
        """Returns the id of an item: the first of its names that is not shared, or that it had before it was shared.

        Remembers which names are shared. The names are marked as seen, so that this is not forgotten before the items.
        """
        names = item.names or (item.id,)
        shared_here = names.index(item.id)
        for position, name in enumerate(names[:-1]):
            is_shared_here = position < shared_here
            known = self._items.get(name)
            if known is None and not is_shared_here:
                return name
            if known is None:
                self._add(name, _PublishedItem(self._turn, 0, [], shared=True))
                continue
            self._items.move_to_end(name)
            if known.shared or is_shared_here:
                if known.is_of(item.guid, item.title):
                    self._share(name, known)
                    return name
            elif known.may_be_of(item.guid, item.title):
                return name
            self._share(name, known)
        return names[-1]

    def _share(self, name: str, item: _PublishedItem) -> None:
        """Remembers that a name is shared."""
        if not item.shared:
            self._items.set(name, replace(item, shared=True))

    def version_of(self, item_id: str, content: str, *, title: str = "", guid: str = "") -> int | None:
        """Returns the version under which to publish an item, or None when this content has been published before.

        A new item has version 1, each new content the next one. The item is remembered as published with this content,
        with at most `MAX_CONTENTS` contents. Beyond the limit of items, those not seen for longest are forgotten.

        Args:
            content: the hash of the item's content.
            title: its title. The item is still recognised after either its title or its guid has changed.
            guid: the mark of its `guid`.
        """
        published = self._items.get(item_id)
        if published is not None and content in published.contents:
            return None
        self._turn += 1
        if published is None:
            version, contents = 1, [content]
        else:
            version, contents = published.version + 1, [*published.contents, content][-MAX_CONTENTS:]
        shared = published is not None and published.shared
        marks = (guid, title_mark(title), word_marks(title)) if title else (guid, "", "")
        self._add(item_id, _PublishedItem(self._turn, version, contents, *marks, shared))
        return version

    def _add(self, name: str, item: _PublishedItem) -> None:
        """Stores an item as the newest, and forgets the oldest beyond the limit."""
        self._items.set(name, item)
        self._items.move_to_end(name)
        while len(self._items) > self._limit:
            self._items.delete(next(iter(self._items)))

    def mark_seen(self, item_id: str) -> None:
        """Makes an item that is still in a document the last to be forgotten.

        This order is not part of the state, so that a poll without news writes nothing.
        """
        if item_id in self._items:
            self._items.move_to_end(item_id)

    def take_changes(self) -> dict[str, bytes | None]:
        """Returns the state entries that changed since the last call, for the step that publishes the items."""
        return self._items.take_changes()
