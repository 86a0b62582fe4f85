"""The article versions that a partition has seen: the most recent ones, in the stage's state, in blocks.

One key for each article version would be a fifth of the records that infer writes, and most of its state.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

from riskwire.stage import KeyedState

_BLOCK = 64
"""Digests of a block. The newest block is written again until it is full."""
_DIGEST_BYTES = 16


class SeenArticles:
    """At least the last `capacity` article versions: the oldest block is dropped as a block.

    What is remembered depends on the order of articles alone, not on batches and restarts.

    Args:
        capacity: the article versions to remember. An older one is forgotten, and would be read again.
        committed: the committed state of the stage.
    """

    def __init__(self, capacity: int, committed: Mapping[str, bytes]) -> None:
        """Restores the digests of seen article versions from the keys `read/N` of the committed state.

        Each key holds a block of up to `_BLOCK` digests; the highest N is the newest block. If the capacity was lowered
        since then, the oldest blocks are dropped.

        Args:
            capacity: the article versions to remember at least. It is rounded up to whole blocks.
        """
        self._max_blocks = -(-capacity // _BLOCK) + 1
        self._blocks = KeyedState[list[bytes]]("read/", committed, encode=b"".join, decode=_split_digests)
        self._digests = {digest for block in self._blocks.entries.values() for digest in block}
        numbers = [int(key) for key in self._blocks]
        self._oldest, self._newest = min(numbers, default=0), max(numbers, default=-1)
        self._drop_oldest()

    def add(self, article_id: str, version: int) -> bool:
        """Remembers an article version. Returns False if it is remembered already, so that it is not analysed again.

        A new version is added to the newest block. A full block is followed by a new one, and the oldest block is
        forgotten when there are too many.
        """
        digest = _digest(article_id, version)
        if digest in self._digests:
            return False
        self._digests.add(digest)
        newest = self._blocks.get(str(self._newest))
        if newest is None or len(newest) == _BLOCK:
            self._newest += 1
            self._blocks.set(str(self._newest), [digest])
            self._drop_oldest()
        else:
            newest.append(digest)
            self._blocks.touch(str(self._newest))
        return True

    def take_changes(self) -> dict[str, bytes | None]:
        """Returns the changes of the state since the last call."""
        return self._blocks.take_changes()

    def _drop_oldest(self) -> None:
        """Forgets the oldest blocks of article digests while there are too many. A block is one key of the state."""
        while len(self._blocks) > self._max_blocks:
            key = str(self._oldest)
            self._digests.difference_update(self._blocks[key])
            self._blocks.delete(key)
            self._oldest += 1


def without_articles(key: str, value: bytes, versions: Mapping[str, int]) -> bytes:
    """Returns the value of a key of the stage's state without some articles, so that they are read again.

    Args:
        versions: by id of an article, its newest version; all versions up to it are left out.
    """
    if not key.startswith("read/"):
        return value
    forgotten = {_digest(article, number + 1) for article, newest in versions.items() for number in range(newest)}
    return b"".join(digest for digest in _split_digests(value) if digest not in forgotten)


def _digest(article_id: str, version: int) -> bytes:
    """Returns the digest of an article version. Its size is fixed, however long an id from outside is."""
    raw = f"{article_id}\0{version}".encode("utf-8", "surrogatepass")
    return blake2b(raw, digest_size=_DIGEST_BYTES).digest()


def _split_digests(block: bytes) -> list[bytes]:
    """Returns the digests that a block of the state consists of."""
    return [block[start : start + _DIGEST_BYTES] for start in range(0, len(block), _DIGEST_BYTES)]
