"""The words of a text as names compare them: without case, accents and punctuation, with `&` as `and`. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from riskwire.entities.names import fold

_WORD = re.compile(r"(?<=\w)['’`´][sS]\b|&|(?:[^\W_]|[\u0300-\u036f])+(?:['’`´](?![sS]\b)[^\W_]+)*")
_APOSTROPHES = str.maketrans("", "", "'’`´")
POSSESSIVE = "'s"
"""A possessive as a folded word."""


@dataclass(frozen=True, slots=True)
class FoldedWords:
    """The folded words of a text and their places in it.

    Attributes:
        words: the words; a possessive is a separate word (`'s`), and `&` is `and`.
        starts: for each word, its first offset in the text.
        ends: for each word, the offset after it.
        joined: the words with a space before and after each one, in which a phrase is sought.
        positions: for each word, the offset in `joined` of the space before it.
    """

    words: tuple[str, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    joined: str
    positions: tuple[int, ...]


@lru_cache(maxsize=256)
def folded_words(text: str) -> FoldedWords:
    """Returns the folded words of a text, with their offsets."""
    words: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    positions: list[int] = []
    position = 0
    for match in _WORD.finditer(text):
        word = _folded(match[0])
        if not word:
            continue
        words.append(word)
        starts.append(match.start())
        ends.append(match.end())
        positions.append(position)
        position += len(word) + 1
    joined = f" {' '.join(words)} " if words else ""
    return FoldedWords(tuple(words), tuple(starts), tuple(ends), joined, tuple(positions))


def phrase_spans(text: str, phrase: str) -> list[tuple[int, int]]:
    """Returns the spans of a text in which the words of a phrase stand, compared folded."""
    words, sought = folded_words(text), folded_words(phrase).words
    count = len(sought)
    return [
        (words.starts[first], words.ends[first + count - 1])
        for first in range(len(words.words) - count + 1)
        if count and words.words[first : first + count] == sought
    ]


def _folded(word: str) -> str:
    """Returns one word folded: a possessive as `'s`, `&` as `and`, else in lower case without accents."""
    if word == "&":
        return "and"
    if word[0] in "'’`´":
        return POSSESSIVE
    if word.isascii() and word.isalnum():
        return word.lower()
    return fold(word).translate(_APOSTROPHES)
