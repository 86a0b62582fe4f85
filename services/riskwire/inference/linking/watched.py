"""Finds watchlist names in a text, in one pass for any number of names (Aho-Corasick). Pure.

Names are compared by their folded words: without case, accents and punctuation, with `&` as `and`. How a name must be
written in the text to count depends on the name (`_Writing`). A single common word (Gap, Visa, COST) and a short ticker
are found as well, and need support.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ahocorasick_rs import AhoCorasick

from riskwire.entities.common_words import is_common_word
from riskwire.entities.family_names import is_family_name
from riskwire.entities.folded_words import POSSESSIVE, FoldedWords, folded_words
from riskwire.entities.names import LEGAL_FORMS, join_key, name_key
from riskwire.entities.watchlist import WatchedEntity, Watchlist
from riskwire.inference.linking.context import is_ordinary
from riskwire.inference.linking.publishers import is_market_or_label

BARE_TICKER = 4
"""A ticker of at least this length that is no common word counts without a mark ("AAPL"); others need support."""
MAX_CAPITALS = 5
"""A name of at most this length that the watchlist writes in capitals is found only in capitals ("GE", "BMW")."""
_Writing = Literal["any", "capital", "capitals"]
"""How a name must be written in the text: in any case, with a capital at the start, or in capitals."""
Need = Literal["none", "support", "mark"]
"""What a name needs to count besides its text: nothing; the model, a mark, a fuller name or the words around it; or
words after it that only a company has, since the model takes every index for one."""


@dataclass(frozen=True, slots=True)
class WatchedSpan:
    """A watchlist name in a sentence.

    Attributes:
        need: what it needs besides its text to count.
        ticker: whether it is the bare ticker.
        full: whether the name ends with its legal form, so that no longer name can contain it.
    """

    start: int
    end: int
    entity: WatchedEntity
    need: Need = "none"
    ticker: bool = False
    full: bool = False


class WatchedMatches(NamedTuple):
    """The watchlist in a sentence.

    Attributes:
        spans: the names, in order and without overlaps.
        excluded: the phrases that the entries exclude: start, end, entry.
    """

    spans: list[WatchedSpan]
    excluded: list[tuple[int, int, WatchedEntity]]


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A name, ticker or excluded phrase of an entry to search for."""

    text: str
    entity: WatchedEntity
    writing: _Writing = "any"
    need: Need = "none"
    ticker: bool = False
    excluded: bool = False


class WatchedNames:
    """Finds the names, aliases and tickers of a watchlist as complete words."""

    def __init__(self, watchlist: Watchlist) -> None:
        """Prepares the search for entries: by normalised name, ticker and ISIN, and in sentences."""
        self._by_key = {join_key(name_key(name)): entity for entity in watchlist.entities for name in entity.names}
        self._by_ticker = {ticker: entity for entity in watchlist.entities for ticker in entity.tickers}
        self._by_isin = {entity.isin: entity for entity in watchlist.entities if entity.isin}
        self._by_beginning: dict[tuple[str, ...], WatchedEntity | None] = {}
        for entity in watchlist.entities:
            for key in {name_key(name) for name in entity.names}:
                for length in range(2, len(key)):
                    claimed = self._by_beginning.setdefault(key[:length], entity)
                    if claimed is not entity:
                        self._by_beginning[key[:length]] = None
        self._patterns: list[_Pattern] = []
        phrases: list[str] = []
        for entity in watchlist.entities:
            for phrase, pattern in _patterns(entity):
                phrases.append(f" {' '.join(phrase)} ")
                self._patterns.append(pattern)
        self._automaton = AhoCorasick(phrases) if phrases else None

    def __bool__(self) -> bool:
        """Returns whether the watchlist has any entry."""
        return self._automaton is not None

    def by_name(self, name: str) -> WatchedEntity | None:
        """Returns the entity with a name, ignoring case, punctuation and legal form."""
        return self._by_key.get(join_key(name_key(name)))

    def by_beginning(self, name: str) -> WatchedEntity | None:
        """Returns the only entity with a name that begins with the two words or more of this one."""
        return self._by_beginning.get(name_key(name))

    def by_ticker(self, symbol: str) -> WatchedEntity | None:
        """Returns the entity with a ticker."""
        return self._by_ticker.get(symbol.upper()) or self._by_ticker.get(symbol.upper().replace("-", "."))

    def by_isin(self, isin: str) -> WatchedEntity | None:
        """Returns the entity with an ISIN."""
        return self._by_isin.get(isin)

    def find(self, sentence: str) -> WatchedMatches:
        """Returns the names in a sentence and the excluded phrases; of names that overlap, the leftmost and longest.

        A name within an excluded phrase of its entry, or a common word within an ordinary phrase, is not returned.
        """
        if self._automaton is None:
            return WatchedMatches([], [])
        words = folded_words(sentence)
        excluded: list[tuple[int, int, WatchedEntity]] = []
        hidden: dict[str, set[int]] = {}
        """For each entry, the words in its excluded phrases, by their index."""
        matches: list[tuple[WatchedSpan, int, int]] = []
        for pattern, first, last in self._matches(words):
            start, end = words.starts[first], words.ends[last]
            if pattern.excluded:
                excluded.append((start, end, pattern.entity))
                hidden.setdefault(pattern.entity.id, set()).update(range(first, last + 1))
            elif _is_written(sentence, start, end, pattern) and not (
                first == last and pattern.need != "none" and is_ordinary(words, first)
            ):
                full = last > first and words.words[last] in LEGAL_FORMS
                span = WatchedSpan(start, end, pattern.entity, pattern.need, pattern.ticker, full)
                matches.append((span, first, last))
        matches.sort(key=lambda match: (match[0].start, -match[0].end, match[0].need != "none"))
        spans: list[WatchedSpan] = []
        for span, first, last in matches:
            if hidden and not hidden.get(span.entity.id, set()).isdisjoint(range(first, last + 1)):
                continue
            if not spans or span.start >= spans[-1].end:
                spans.append(span)
        return WatchedMatches(spans, excluded)

    def _matches(self, words: FoldedWords) -> Iterator[tuple[_Pattern, int, int]]:
        """Yields the patterns in a text with the first and the last of their words; they may overlap."""
        assert self._automaton is not None
        for index, start, end in self._automaton.find_matches_as_indexes(words.joined, overlapping=True):
            yield self._patterns[index], bisect_left(words.positions, start), bisect_left(words.positions, end - 1) - 1


def need_of_name(name: str) -> Need:
    """Returns what a name or alias needs in a text besides being written there."""
    words = folded_words(name).words
    if is_market_or_label(name) and words == _without_legal_form(words):
        return "mark"
    may_be_else = len(words) == 1 and (is_common_word(words[0]) or is_family_name(words[0]))
    return "support" if may_be_else and not name.islower() else "none"


def need_of_ticker(ticker: str) -> Need:
    """Returns what a bare ticker needs in a text besides being written there in capitals."""
    if is_market_or_label(ticker):
        return "mark"
    return "support" if len(ticker) < BARE_TICKER or is_common_word(ticker) else "none"


def _patterns(entity: WatchedEntity) -> Iterator[tuple[tuple[str, ...], _Pattern]]:
    """Yields the folded words to search for with their patterns, each once for an entry."""
    seen: set[tuple[tuple[str, ...], str]] = set()
    for name in entity.names:
        words = folded_words(name).words
        for phrase in _spellings(words):
            if phrase and (phrase, name) not in seen:
                seen.add((phrase, name))
                yield phrase, _Pattern(name, entity, _writing(name, words), need_of_name(name))
    for name in entity.names:
        words = _without_legal_form(folded_words(name).words)
        known = {phrase for phrase, _ in seen}
        for phrase in _spellings(words):
            if phrase not in known:
                need: Need = "mark" if is_market_or_label(" ".join(words)) else "support"
                writing: _Writing = "capital" if len(words) == 1 or all(map(is_common_word, words)) else "any"
                yield phrase, _Pattern(name, entity, writing, need if len(words) == 1 else need_of_name(name))
    for ticker in entity.tickers:
        words = folded_words(ticker).words
        if len(ticker) > 1 and len(words) == 1 and not ticker.isdigit():
            yield words, _Pattern(ticker, entity, "capitals", need_of_ticker(ticker), ticker=True)
    for excluded in entity.exclude:
        if words := folded_words(excluded).words:
            yield words, _Pattern(excluded, entity, excluded=True)


def _without_legal_form(words: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the words of a name without the legal form at its end: `target` for "Target Corporation"."""
    end = len(words)
    while end > 1 and (words[end - 1] in LEGAL_FORMS or (end < len(words) and words[end - 1] == "and")):
        end -= 1
    return words[:end]


def _spellings(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yields the words of a name, and the same with its possessive written otherwise: "Macys", "McDonald's"."""
    yield words
    if POSSESSIVE in words:
        place = words.index(POSSESSIVE)
        yield (*words[: place - 1], words[place - 1] + "s", *words[place + 1 :])
    for place, word in enumerate(words):
        if len(word) > 3 and word.endswith("s") and not is_common_word(word) and word.isalpha():
            yield (*words[:place], word[:-1], POSSESSIVE, *words[place + 1 :])


def _writing(name: str, words: tuple[str, ...]) -> _Writing:
    """Returns how a name must be written in a text.

    In any case: a name of several words that are not all common, one with digits, accents or inner capitals, and one
    that the watchlist writes small. In capitals: one that the watchlist writes so ("GE", "BMW").
    """
    if name.islower():
        return "any"
    if len(words) > 1:
        return "capital" if all(is_common_word(word) for word in words) else "any"
    if name.isupper() and name.isalpha() and len(name) <= MAX_CAPITALS:
        return "capitals"
    if is_common_word(words[0]):
        return "capital"
    usual = name.isalpha() and name.isascii() and name in (name.capitalize(), name.upper())
    return "capital" if usual else "any"


def _is_written(sentence: str, start: int, end: int, pattern: _Pattern) -> bool:
    """Returns whether a span is written as its name requires. A ticker never counts in a sentence of capitals."""
    text = sentence[start:end]
    if pattern.writing == "any":
        return True
    if pattern.writing == "capital":
        return text[:1].isupper() or text[:1].isdigit()
    return text.isupper() and (not pattern.ticker or not sentence.isupper())
