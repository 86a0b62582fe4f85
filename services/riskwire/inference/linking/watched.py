"""Finds watchlist names in a text, in one pass for any number of names (Aho-Corasick). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ahocorasick_rs import AhoCorasick

from riskwire.entities.names import join_key, name_key
from riskwire.entities.watchlist import WatchedEntity, Watchlist

BARE_TICKER = 4
"""A ticker of at least this length counts without a mark ("AAPL"); a shorter one may be a word ("ALL", "IT")."""


@dataclass(frozen=True, slots=True)
class WatchedSpan:
    """A watchlist name in a sentence."""

    start: int
    end: int
    entity: WatchedEntity


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A name of a watchlist entry to search for; `any_case` if it matches in any case."""

    text: str
    entity: WatchedEntity
    any_case: bool


class WatchedNames:
    """Finds the names and aliases of a watchlist as complete words.

    A name matches in the case in which it is written. It matches in any case when it has two words or more or unusual
    letters (digits, inner capitals, accents), and in a headline that is all capitals.
    """

    def __init__(self, watchlist: Watchlist) -> None:
        """Prepares the search for entries: by normalised name, ticker and ISIN, and in sentences.

        A ticker is searched for in sentences if it has at least `BARE_TICKER` letters; a shorter one may be a word.
        """
        self._by_key = {join_key(name_key(name)): entity for entity in watchlist.entities for name in entity.names}
        self._by_ticker = {ticker: entity for entity in watchlist.entities for ticker in entity.tickers}
        self._by_isin = {entity.isin: entity for entity in watchlist.entities if entity.isin}
        self._patterns = [
            _Pattern(text, entity, _is_unusual(text))
            for entity in watchlist.entities
            for text in dict.fromkeys(
                (*entity.names, *(ticker for ticker in entity.tickers if len(ticker) >= BARE_TICKER))
            )
        ]
        folded = [_folded(pattern.text) for pattern in self._patterns]
        self._automaton = AhoCorasick(folded) if folded else None

    def __bool__(self) -> bool:
        """Returns whether the watchlist has any entry."""
        return self._automaton is not None

    def by_name(self, name: str) -> WatchedEntity | None:
        """Returns the entity with a name, ignoring case, punctuation and legal form."""
        return self._by_key.get(join_key(name_key(name)))

    def by_ticker(self, symbol: str) -> WatchedEntity | None:
        """Returns the entity with a ticker."""
        return self._by_ticker.get(symbol.upper()) or self._by_ticker.get(symbol.upper().replace("-", "."))

    def by_isin(self, isin: str) -> WatchedEntity | None:
        """Returns the entity with an ISIN."""
        return self._by_isin.get(isin)

    def find(self, sentence: str) -> list[WatchedSpan]:
        """Returns the names in a sentence; of names that overlap, the leftmost and then the longest."""
        if self._automaton is None:
            return []
        matches = sorted(
            self._complete_words(sentence, all_capitals=sentence.isupper()), key=lambda span: (span.start, -span.end)
        )
        spans: list[WatchedSpan] = []
        for span in matches:
            if not spans or span.start >= spans[-1].end:
                spans.append(span)
        return spans

    def _complete_words(self, sentence: str, *, all_capitals: bool) -> Iterator[WatchedSpan]:
        """Yields the watched names in a sentence that begin and end at word boundaries; they may overlap.

        An unusual name (of several words, or with digits, accents or inner capitals) is found in any case. Another name
        is found only as it is written in the watchlist.

        Args:
            all_capitals: whether the sentence has only capitals. If it does, the case of a name is not compared.
        """
        assert self._automaton is not None
        for index, start, end in self._automaton.find_matches_as_indexes(_folded(sentence), overlapping=True):
            pattern = self._patterns[index]
            if not (pattern.any_case or all_capitals or sentence[start:end] == pattern.text):
                continue
            if _is_word_boundary(sentence, start) and _is_word_boundary(sentence, end):
                yield WatchedSpan(start, end, pattern.entity)


def _folded(text: str) -> str:
    """Returns a text in lower case, character by character, so that offsets stay the same.

    A character whose lower case is longer than one character stays as it is.
    """
    if text.isascii():
        return text.lower()
    return "".join(lower if len(lower := char.lower()) == 1 else char for char in text)


def _is_unusual(text: str) -> bool:
    """Returns whether a name is recognised in any case: it has several words, or digits, accents or inner capitals."""
    if len(text.split()) > 1:
        return True
    letters_only = text.isalpha() and text.isascii()
    usual = text in (text.capitalize(), text.upper(), text.lower())
    return not (letters_only and usual)


def _is_word_boundary(sentence: str, offset: int) -> bool:
    """Returns whether an offset is not inside a word, that is not between two letters, digits or underscores."""
    if offset in (0, len(sentence)):
        return True
    return not (_in_word(sentence[offset - 1]) and _in_word(sentence[offset]))


def _in_word(char: str) -> bool:
    return char.isalnum() or char == "_"
