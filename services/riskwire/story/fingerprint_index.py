"""An index of fingerprints that many holders share, in arrays.

The targets of the alert stage remember the stories of three days, and most articles concern several targets. With an
index of stories for each target, as `StoryIndex` is, the bands of a fingerprint were filed once for each of these
targets, and took two thirds of what the stage held. Here they are filed once, in 64 bytes.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

from riskwire.story.minhash import SHARED_BANDS, is_fingerprint, same_story

_BANDS = 16
"""Bands of a fingerprint: eight of the title, then eight of the lead."""
_KINDS = ((0, 8, SHARED_BANDS["t"]), (8, 16, SHARED_BANDS["l"]))
"""First and last band of title and of lead, and the least number of bands that two of one story share."""
_MIN_SIZE = 256
_MAX_SIZE = 65_536
"""Chains of a band: one for each value that a band can have."""
_NONE = array("I", [0])


class FingerprintIndex:
    """Fingerprints with the number of their holders, found by similarity.

    Fingerprints that have the same value in a band are linked to a chain. A small index has fewer chains than a band
    has values, and each chain then has fingerprints of several values; what `similar` returns is the same.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._fingerprints = [""]
        """By number. Number 0 ends a chain; a number without a fingerprint is free."""
        self._holders = array("I", _NONE)
        """By number."""
        self._next = array("I", _NONE * _BANDS)
        """By number and band: the next number of the chain."""
        self._free: list[int] = []
        self._size = _MIN_SIZE
        self._heads = array("I", _NONE * _BANDS * self._size)
        """By band and chain: the first number of the chain."""

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def allocated(self) -> int:
        """Bytes of its arrays."""
        return sum(part.itemsize * len(part) for part in (self._holders, self._next, self._heads))

    def add(self, fingerprint: str) -> str:
        """Counts a further holder of a fingerprint. Returns the text that all its holders share."""
        number = self._numbers.get(fingerprint)
        if number is None:
            if len(self._numbers) >= self._size < _MAX_SIZE:
                self._grow()
            number = self._new_number(fingerprint)
            self._link(number)
        self._holders[number] += 1
        return self._fingerprints[number]

    def remove(self, fingerprint: str) -> None:
        """Counts one holder less; without a holder the fingerprint is not found any more.

        Raises:
            KeyError: the fingerprint has no holder.
        """
        number = self._numbers[fingerprint]
        self._holders[number] -= 1
        if self._holders[number]:
            return
        self._unlink(number)
        del self._numbers[fingerprint]
        self._fingerprints[number] = ""
        self._free.append(number)

    def similar(self, fingerprint: str) -> list[str]:
        """Returns the fingerprints that belong to one story with this one, each once: itself, if it has a holder, too.

        A text that has not the form of a fingerprint resembles only itself.
        """
        matches = {fingerprint: None} if fingerprint in self._numbers else {}
        heads, following, fingerprints, size = self._heads, self._next, self._fingerprints, self._size
        for min_shared, bands in _bands_by_kind(fingerprint):
            candidates: list[int] = []
            for band, value in bands:
                number = heads[band * size + (value & size - 1)]
                while number:
                    candidates.append(number)
                    number = following[number * _BANDS + band]
            if len(candidates) < min_shared:
                continue
            for number, shared in Counter(candidates).items():
                if shared >= min_shared and same_story(fingerprints[number], fingerprint):
                    matches[fingerprints[number]] = None
        return list(matches)

    def _chains(self, fingerprint: str) -> Iterator[tuple[int, int]]:
        """Yields the bands of a fingerprint, and the place of their chains among the heads."""
        for _, bands in _bands_by_kind(fingerprint):
            for band, value in bands:
                yield band, band * self._size + (value & self._size - 1)

    def _new_number(self, fingerprint: str) -> int:
        if self._free:
            number = self._free.pop()
            self._fingerprints[number] = fingerprint
        else:
            number = len(self._fingerprints)
            self._fingerprints.append(fingerprint)
            self._holders.append(0)
            self._next.extend(_NONE * _BANDS)
        self._numbers[fingerprint] = number
        return number

    def _link(self, number: int) -> None:
        """Puts a number at the start of the chains of its bands."""
        for band, chain in self._chains(self._fingerprints[number]):
            self._next[number * _BANDS + band] = self._heads[chain]
            self._heads[chain] = number

    def _unlink(self, number: int) -> None:
        """Takes a number out of the chains of its bands."""
        for band, chain in self._chains(self._fingerprints[number]):
            following = self._next[number * _BANDS + band]
            if self._heads[chain] == number:
                self._heads[chain] = following
                continue
            before = self._heads[chain]
            while self._next[before * _BANDS + band] != number:
                before = self._next[before * _BANDS + band]
            self._next[before * _BANDS + band] = following

    def _grow(self) -> None:
        """Makes more chains, and links every fingerprint again."""
        self._size = min(4 * self._size, _MAX_SIZE)
        self._heads = array("I", _NONE * _BANDS * self._size)
        for number in self._numbers.values():
            self._link(number)


@lru_cache(maxsize=1_000)
def _bands_by_kind(fingerprint: str) -> tuple[tuple[int, tuple[tuple[int, int], ...]], ...]:
    """Returns, for title and for lead, the least number of bands that one story's fingerprints share, and the bands.

    A band is its number and its value. A half without a sketch, which is zeros, has none, and neither has a text that
    has not the form of a fingerprint. The result is cached, as every target of an article looks up one fingerprint.
    """
    if not is_fingerprint(fingerprint):
        return ()
    values = array("H", bytes.fromhex(fingerprint))
    return tuple(
        (min_shared, tuple(zip(range(first, last), values[first:last], strict=True)))
        for first, last, min_shared in _KINDS
        if any(values[first:last])
    )
