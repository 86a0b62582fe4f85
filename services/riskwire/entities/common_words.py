"""Recognises common words of English, which as a name need support: Gap, Visa, Next, Target, COST, OPEN. Pure.

The words are those that SCOWL writes in lower case (its American list of size 60), so that "google" and "nestle" are
common words and "Boeing" is none. `dictionary/COPYING` has their copyright.
"""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path

_WORDS = Path(__file__).with_name("dictionary") / "words.txt.gz"


@cache
def common_words() -> frozenset[str]:
    """Returns the common words, of two letters or more and in lower case; reads them once, in 30 ms."""
    return frozenset(gzip.decompress(_WORDS.read_bytes()).decode("ascii").split())


def is_common_word(word: str) -> bool:
    """Returns whether a word is a common one, in any case.

    >>> is_common_word("Target"), is_common_word("Boeing")
    (True, False)
    """
    return word.casefold() in common_words()
