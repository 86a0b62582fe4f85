"""What the words of a title or sentence say: a type of event, and whether it happened, is feared or is denied. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_GAP = "..."
"""Between the words of a phrase, any thirty characters."""
_LARGE = "#"
"""In place of a word, a large number."""
_LARGE_PATTERN = r"(?:\d{1,3}(?:,\d{3})+|\d[\d.]*[\s-]+(?:billion|bln|bn))\b"
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
        self._types, self._stated = _typed_pattern(lists.types)
        self._outright_types, self._outright = _typed_pattern(lists.outright)

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
        return self.is_relief(clause) and not _first_group(self._outright, clause.casefold())

    def stated(self, text: str) -> StatedType | None:
        """Returns the event type that the words of a sentence state, else None.

        A severe fact that is stated outright decides before any other; of several types, the first in the file.
        """
        clauses = _CLAUSE_END.split(text.casefold())
        for types, pattern, outright in (
            (self._outright_types, self._outright, True),
            (self._types, self._stated, False),
        ):
            groups = [(group, clause) for clause in clauses if (group := _first_group(pattern, clause))]
            if groups:
                group, clause = min(groups, key=_BY_GROUP)
                return StatedType(types[group - 1], clause, outright, self._rescue.search(clause) is not None)
        return None


_BY_GROUP = itemgetter(0)


def _first_group(pattern: re.Pattern[str], text: str) -> int:
    """Returns the lowest number of a group that matches anywhere in a text; 0 for none."""
    return min([match.lastindex or 0 for match in pattern.finditer(text)], default=0)


def _typed_pattern(phrases_by_type: Mapping[str, Sequence[str]]) -> tuple[Sequence[str], re.Pattern[str]]:
    """Returns event types, and a pattern with a group for each of them.

    The pattern looks ahead and consumes nothing, so that no match hides another that overlaps it.
    """
    types = [event_type for event_type, phrases in phrases_by_type.items() if phrases]
    groups = [f"({_alternatives(phrases_by_type[event_type])})" for event_type in types]
    return types, re.compile(rf"\b(?={'|'.join(groups)})" if groups else r"(?!)")


def _pattern(phrases: Sequence[str]) -> re.Pattern[str]:
    """Returns a pattern that finds any of these words or phrases.

    A trailing * of a word stands for any ending, ... between words for any thirty characters, and # for a large number.
    """
    return re.compile(rf"\b(?:{_alternatives(phrases)})" if phrases else r"(?!)")


def _alternatives(phrases: Iterable[str]) -> str:
    return "|".join(map(_phrase_pattern, phrases))


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
