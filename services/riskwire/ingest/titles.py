"""Compares titles by short hashes of their words, which are small enough to be remembered for every item."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import blake2b

from riskwire.ingest.parsing.clean import letters_of

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+")
"""A word, or a character of a script without spaces."""
_WORD_MARK = 3
_MAX_WORDS = 12
_MIN_SHARED = 0.5
"""The least share of common words in similar titles, of the title with fewer words."""


def title_mark(title: str) -> str:
    """Returns a mark that titles have in common if they differ only in case, spaces and punctuation."""
    return _mark(letters_of(title), 6)


def word_marks(title: str) -> str:
    """Returns the marks of at most `_MAX_WORDS` different words of a title, one after the other."""
    return "".join(sorted({_mark(word, 2) for word in _WORD.findall(title.casefold())})[:_MAX_WORDS])


def are_similar(first: str, second: str) -> bool:
    """Returns whether two titles share so many words that one is a correction of the other.

    Args:
        first: the `word_marks` of one title; `second`: those of the other.
    """
    words, other_words = _split(first), _split(second)
    return len(words & other_words) >= _MIN_SHARED * max(1, min(len(words), len(other_words)))


def _mark(text: str, size: int) -> str:
    """Returns a short hash of a text: of `size` bytes, in base64 without padding."""
    digest = blake2b(text.encode("utf-8", "replace"), digest_size=size).digest()
    return b64encode(digest).decode().rstrip("=")


def _split(marks: str) -> set[str]:
    return {marks[start : start + _WORD_MARK] for start in range(0, len(marks), _WORD_MARK)}
