"""Recognises family names, which may be those of a person: "BP Singh" is not BP, "Fed's Williams" not Williams. Pure.

`dictionary/family_names.txt` has the frequent ones that are no common words of English.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from riskwire.entities.names import fold

_NAMES = Path(__file__).with_name("dictionary") / "family_names.txt"
_INITIALS = re.compile(r"[A-Z]{2,3}|(?:[A-Z]\. ?){1,2}[A-Z]\.?")
_NEXT_WORD = re.compile(r"\.? ([A-Z][\w'’]+)")


@cache
def _family_names() -> frozenset[str]:
    lines = _NAMES.read_text(encoding="utf-8").splitlines()
    return frozenset(fold(name) for line in lines if not line.startswith("#") for name in line.split("|"))


def is_family_name(word: str) -> bool:
    """Returns whether a word is a frequent family name, in any case.

    >>> is_family_name("Singh"), is_family_name("Boeing")
    (True, False)
    """
    return fold(word) in _family_names()


def person_end(sentence: str, start: int, end: int) -> int:
    """Returns where the family name after initials ends: for "BP" in "BP Singh". Returns `end` if none follows."""
    if _INITIALS.fullmatch(sentence, start, end) and (word := _NEXT_WORD.match(sentence, end)):
        name = word[1].removesuffix("'s").removesuffix("’s")
        if is_family_name(name):
            return word.start(1) + len(name)
    return end


def is_person(name: str) -> bool:
    """Returns whether a name is initials and a family name: "BP Singh", "A. K. Rao"."""
    initials, _, family = name.rpartition(" ")
    return _INITIALS.fullmatch(initials) is not None and is_family_name(family)
