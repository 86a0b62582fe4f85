"""Watchlist names in a text, found in one pass whatever their number (Aho-Corasick). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ahocorasick_rs import AhoCorasick

from riskwire.entities.names import joined, name_key
from riskwire.entities.watchlist import WatchedEntity, Watchlist

BARE_TICKER = 4
"""A ticker this long counts without a mark ("AAPL"); a shorter one may be a word ("ALL", "IT")."""


@dataclass(frozen=True, slots=True)
class WatchedSpan:
    """A watchlist name in a sentence."""

    start: int
    end: int
    entity: WatchedEntity


@dataclass(frozen=True, slots=True)
class _Pattern:
    text: str
    entity: WatchedEntity
    any_case: bool


class WatchedNames:
    """Matches names and aliases as whole words.

    In the case they are written in; in any case where a name has two words or more or unusual letters (digits, inner
    capitals, accents), and in a headline all in capitals.
    """

    def __init__(self, watchlist: Watchlist) -> None:
        self._by_key = {joined(name_key(name)): entity for entity in watchlist.entities for name in entity.names}
        self._by_ticker = {ticker: entity for entity in watchlist.entities for ticker in entity.tickers}
        self._by_isin = {entity.isin: entity for entity in watchlist.entities if entity.isin}
        self._patterns = [
            _Pattern(text, entity, _is_unusual(text))
            for entity in watchlist.entities
            for text in dict.fromkeys((*entity.names, *(one for one in entity.tickers if len(one) >= BARE_TICKER)))
        ]
        self._automaton = AhoCorasick([_folded(one.text) for one in self._patterns]) if self._patterns else None

    def __bool__(self) -> bool:
        """Whether anything is watched."""
        return self._automaton is not None

    def by_name(self, name: str) -> WatchedEntity | None:
        """The entity that bears a name, but for case, punctuation and legal form."""
        return self._by_key.get(joined(name_key(name)))

    def by_ticker(self, symbol: str) -> WatchedEntity | None:
        """The entity of a ticker."""
        return self._by_ticker.get(symbol.upper()) or self._by_ticker.get(symbol.upper().replace("-", "."))

    def by_isin(self, isin: str) -> WatchedEntity | None:
        """The entity of an ISIN."""
        return self._by_isin.get(isin)

    def find(self, sentence: str) -> list[WatchedSpan]:
        """Names in a sentence: leftmost first, the longest of those that overlap."""
        if self._automaton is None:
            return []
        shouted = sentence.isupper()
        found = sorted(self._whole_words(sentence, shouted), key=lambda one: (one.start, -one.end))
        spans: list[WatchedSpan] = []
        for span in found:
            if not spans or span.start >= spans[-1].end:
                spans.append(span)
        return spans

    def _whole_words(self, sentence: str, shouted: bool) -> Iterator[WatchedSpan]:
        assert self._automaton is not None
        for at, start, end in self._automaton.find_matches_as_indexes(_folded(sentence), overlapping=True):
            pattern = self._patterns[at]
            if not (pattern.any_case or shouted or sentence[start:end] == pattern.text):
                continue
            if _is_word_end(sentence, start) and _is_word_end(sentence, end):
                yield WatchedSpan(start, end, pattern.entity)


def _folded(text: str) -> str:
    """Lower case, character by character, so that offsets stay."""
    if text.isascii():
        return text.lower()
    return "".join(lower if len(lower := char.lower()) == 1 else char for char in text)


def _is_unusual(text: str) -> bool:
    if len(text.split()) > 1:
        return True
    letters_only = text.isalpha() and text.isascii()
    usual = text in (text.capitalize(), text.upper(), text.lower())
    return not (letters_only and usual)


def _is_word_end(sentence: str, at: int) -> bool:
    """Whether no word runs over position `at`."""
    if at in (0, len(sentence)):
        return True
    return not (_in_word(sentence[at - 1]) and _in_word(sentence[at]))


def _in_word(char: str) -> bool:
    return char.isalnum() or char == "_"
