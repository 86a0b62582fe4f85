"""An index of stories by fingerprint.

Comparing a fingerprint with every known one is too slow for a target with thousands of stories. The index files each
story under the bands of its fingerprint, and compares only stories that share enough bands (`minhash.bands`).
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Generic, Protocol, TypeVar

from riskwire.story.minhash import SHARED_BANDS, bands, same_story


class Fingerprinted(Protocol):
    """An object with a fingerprint."""

    @property
    def fingerprint(self) -> str: ...


S = TypeVar("S", bound=Fingerprinted)


class _Several(list[S]):
    """Stories that share a band."""


class StoryIndex(Generic[S]):
    """Finds the stories that a fingerprint resembles. Stories are distinguished by identity.

    Most bands have one story, which is filed without a list: thousands of targets hold the stories of three days, and
    the lists were a sixth of what the alert stage holds.
    """

    def __init__(self) -> None:
        self._by_band: dict[str, S | _Several[S]] = {}

    def add(self, story: S) -> None:
        """Adds a story under the bands of its fingerprint. A band is a part of it; similar fingerprints share some."""
        by_band = self._by_band
        for _, keys in _bands_by_kind(story.fingerprint):
            for band in keys:
                filed = by_band.get(band)
                if filed is None:
                    by_band[band] = story
                elif isinstance(filed, _Several):
                    filed.append(story)
                else:
                    by_band[band] = _Several((filed, story))

    def remove(self, story: S) -> None:
        """Removes a story that was added; does nothing for another. An equal but different object stays."""
        by_band = self._by_band
        for _, keys in _bands_by_kind(story.fingerprint):
            for band in keys:
                filed = by_band.get(band)
                if isinstance(filed, _Several):
                    remaining = _Several(candidate for candidate in filed if candidate is not story)
                    if len(remaining) > 1:
                        by_band[band] = remaining
                    elif remaining:
                        by_band[band] = remaining[0]
                    else:
                        del by_band[band]
                elif filed is story:
                    del by_band[band]

    def similar(self, fingerprint: str) -> list[S]:
        """Returns the stories that a text with this fingerprint retells; a story may occur more than once.

        They have the same fingerprint, or `same_story` confirms them. Only stories that share at least `min_shared`
        bands (parts of the fingerprint) of the title, or of the lead, are compared.
        """
        matches: list[S] = []
        for min_shared, keys in _bands_by_kind(fingerprint):
            candidates: list[S] = []
            for filed in map(self._by_band.get, keys):
                if isinstance(filed, _Several):
                    candidates += filed
                elif filed is not None:
                    candidates.append(filed)
            if candidates:
                matches += [story for story in candidates if story.fingerprint == fingerprint]
            if len(candidates) >= min_shared:
                shared = Counter(map(id, candidates))
                matches += [
                    story
                    for story in {id(story): story for story in candidates}.values()
                    if shared[id(story)] >= min_shared and same_story(story.fingerprint, fingerprint)
                ]
        return matches


@lru_cache(maxsize=5_000)
def _bands_by_kind(fingerprint: str) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """Returns, for title and for lead, the least number of bands that one story's fingerprints share, and the bands.

    The result is cached: every target of an article looks up the same fingerprint, and each looks it up twice.
    """
    return tuple((SHARED_BANDS[kind], tuple(keys)) for kind, keys in groupby(bands(fingerprint), key=itemgetter(0)))
