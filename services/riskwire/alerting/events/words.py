"""What the words of a title or sentence say: a type of event, and whether it happened, is feared or is denied. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_GAP = "..."
"""Between the words of a phrase, any thirty characters."""
_LARGE = "#"
"""In place of a word, a large number."""
_LARGE_PATTERN = r"(?:\d{1,3}(?:,\d{3})+|\d[\d.]*[\s-]+(?:billion|bln|bn))\b"
_BRANCH = 2
"""A branch of a pattern with at most this many phrases is not branched further."""
_CLAUSE_END = re.compile(r"[,;]\s+|\s+but\s+")
Phrases = Annotated[tuple[str, ...], Field(max_length=1_000)]


class WordLists(BaseModel):
    """The words of a file of rules; `families.yaml` explains them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    feared: Phrases
    denied: Phrases
    not_denied: Phrases
    relief: Phrases
    rescue: Phrases
    types: dict[str, Phrases]
    outright: dict[str, Phrases]
    done: dict[str, Phrases]


@dataclass(frozen=True, slots=True)
class StatedType:
    """The event type that a sentence states.

    Attributes:
        clause: the clause that states it.
        outright: whether it states a severe fact, such as a filing, so that it only matters whom it concerns.
        rescue: whether it is help for a party that fails, which is bad news in good words.
    """

    type: str
    clause: str = ""
    outright: bool = False
    rescue: bool = False


class EventWords:
    """Reads titles and sentences by the words of the rules. Case does not matter."""

    def __init__(self, lists: WordLists) -> None:
        self._feared = _pattern(lists.feared)
        self._denied = _pattern(lists.denied)
        self._not_denied = _pattern(lists.not_denied)
        self._relief = _pattern(lists.relief)
        self._rescue = _pattern(lists.rescue)
        self._done = {event_type: _pattern(phrases) for event_type, phrases in lists.done.items()}
        self._stated = _typed_pattern(lists.types)
        self._outright = _typed_pattern(lists.outright)

    def is_feared(self, title: str) -> bool:
        """Returns whether a title says that something may happen, and not that it has."""
        return self._feared.search(title.casefold()) is not None

    def is_done(self, event_type: str, text: str) -> bool:
        """Returns whether a sentence says that an event of a type is a fact, such as a filing, and no mere plan."""
        pattern = self._done.get(event_type)
        return pattern is not None and pattern.search(text.casefold()) is not None

    def is_rescue(self, text: str) -> bool:
        """Returns whether a sentence speaks of help for a party that fails."""
        return self._rescue.search(text.casefold()) is not None

    def is_denied(self, title: str) -> bool:
        """Returns whether a title says that the party denies something."""
        title = title.casefold()
        return self._denied.search(title) is not None and self._not_denied.search(title) is None

    def is_relief(self, title: str) -> bool:
        """Returns whether a title says that trouble ends or is less than feared."""
        return self._relief.search(title.casefold()) is not None

    def without_good_news(self, text: str) -> str:
        """Returns a text without the clauses that tell of a relief or a denial; the text itself if it has none.

        "Wins debt reprieve, warns of liquidation" has one clause of each kind. A clause of relief that states a severe
        fact outright is none: "wins creditor protection".
        """
        if not (self.is_denied(text) or self.is_relief(text)):
            return text
        return ", ".join(clause for clause in _CLAUSE_END.split(text) if not self._is_good(clause))

    def _is_good(self, clause: str) -> bool:
        if self.is_denied(clause):
            return True
        return self.is_relief(clause) and not _first_type(self._outright, clause.casefold())

    def stated(self, text: str) -> StatedType | None:
        """Returns the event type that the words of a sentence state, else None.

        A severe fact that is stated outright decides before any other; of several types, the first in the file.
        """
        clauses = _CLAUSE_END.split(text.casefold())
        for pattern, outright in ((self._outright, True), (self._stated, False)):
            numbered = [(number, clause) for clause in clauses if (number := _first_type(pattern, clause))]
            if numbered:
                number, clause = min(numbered, key=_BY_NUMBER)
                return StatedType(pattern.types[number - 1], clause, outright, self._rescue.search(clause) is not None)
        return None


_BY_NUMBER = itemgetter(0)


def _first_type(pattern: _TypedPattern, text: str) -> int:
    """Returns the number of the first type that a text states anywhere, from 1; 0 for none."""
    numbers = pattern.numbers
    return min([numbers[match.lastindex or 0] for match in pattern.search.finditer(text)], default=0)


@dataclass(frozen=True, slots=True)
class _TypedPattern:
    """A pattern that finds the phrases of several event types at once.

    Attributes:
        types: the event types that have phrases.
        search: the pattern. It consumes nothing, so that no match hides another that overlaps it. Of several types that
            match at one place it finds the first.
        numbers: by group of `search`, the number of its type, from 1; 0 for no group.
    """

    types: Sequence[str]
    search: re.Pattern[str]
    numbers: Sequence[int]


_Numbered = tuple[int, str]
"""The number of a type, from 1, and a phrase of it or the rest of its pattern."""


def _typed_pattern(phrases_by_type: Mapping[str, Sequence[str]]) -> _TypedPattern:
    types = [event_type for event_type, phrases in phrases_by_type.items() if phrases]
    numbers = [0]

    def branch(patterns: Sequence[_Numbered]) -> str:
        """Returns patterns that begin alike, with an empty group at the end of each type."""
        groups = []
        for number, of_type in groupby(patterns, key=_BY_NUMBER):
            groups.append(f"(?:{'|'.join([pattern for _, pattern in of_type])})()")
            numbers.append(number)
        return "|".join(groups)

    phrases = [(number, phrase) for number, name in enumerate(types, 1) for phrase in phrases_by_type[name]]
    return _TypedPattern(types, re.compile(rf"\b(?={_tree(phrases, branch)})"), numbers)


def _pattern(phrases: Sequence[str]) -> re.Pattern[str]:
    """Returns a pattern that finds any of these words or phrases.

    A trailing * of a word means any ending, ... between words means any thirty characters, and # means a large number.
    """

    def branch(patterns: Sequence[_Numbered]) -> str:
        return "|".join([pattern for _, pattern in patterns])

    return re.compile(rf"\b(?:{_tree([(1, phrase) for phrase in phrases], branch)})")


def _tree(phrases: Sequence[_Numbered], branch: Callable[[Sequence[_Numbered]], str]) -> str:
    """Returns a pattern of phrases, branched by the letters of their first word.

    Most places of a text fit no branch. In a plain alternation each place of the text tries each phrase, which takes
    several times as long. Phrases that begin with a large number are a branch of their own.

    Args:
        branch: joins the patterns of one branch, which have kept their order.
    """
    large = [(number, _phrase_pattern(phrase)) for number, phrase in phrases if phrase.startswith(_LARGE)]
    plain_phrases = [(number, _phrase_pattern(phrase)) for number, phrase in phrases if not phrase.startswith(_LARGE)]
    branches = [_subtree(plain_phrases, branch)] if plain_phrases else []
    branches += [rf"(?=\d)(?:{branch(large)})"] if large else []
    return "|".join(branches) or r"(?!)"


def _subtree(patterns: Sequence[_Numbered], branch: Callable[[Sequence[_Numbered]], str]) -> str:
    """Returns a pattern of patterns, branched by their first letters as long as each pattern begins with one.

    Two patterns that may match at one place are in one branch, so that the first is found.
    """
    letters = {pattern[:1] for _, pattern in patterns}
    if len(patterns) <= _BRANCH or not all(map(str.isalnum, letters)):
        return branch(patterns)
    subtrees = []
    for letter in sorted(letters):
        below = [(number, pattern[1:]) for number, pattern in patterns if pattern.startswith(letter)]
        subtrees.append(f"{letter}(?:{_subtree(below, branch)})")
    return "|".join(subtrees)


def _phrase_pattern(phrase: str) -> str:
    pattern = ""
    for word in phrase.split():
        if word == _GAP:
            pattern += r"\b.{0,30}?"
            continue
        if pattern:
            pattern += r"\b" if pattern.endswith("?") else r"\s+"
        if word == _LARGE:
            pattern += _LARGE_PATTERN
        else:
            pattern += re.escape(word.removesuffix("*")) + (r"\w*" if word.endswith("*") else r"\b")
    return pattern
