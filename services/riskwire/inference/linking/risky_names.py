"""Names of a watchlist that may mean something else, and their meaning in titles. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from riskwire.entities.common_words import is_common_word
from riskwire.entities.folded_words import folded_words
from riskwire.entities.watchlist import WatchedEntity, Watchlist
from riskwire.inference.linking.companies import shipped_companies
from riskwire.inference.linking.watched import Need, WatchedNames, need_of_name, need_of_ticker
from riskwire.inference.linking.watched_mentions import with_watched

_MAX_EXAMPLES = 3
"""Titles that are quoted for a name."""
_SHORT_TICKER = 3
"""A ticker of at most this length is not reported: it hardly counts without a mark."""


@dataclass(slots=True)
class RiskyName:
    """A name or ticker that counts only with support, and how titles write it.

    Attributes:
        entry: the id of the watchlist entry.
        need: what it needs: `support`, or `mark` for the name of an index.
        titles: the number of titles that have it, outside ordinary and excluded phrases.
        shown: the number of these in which the words around it show the company; in others, the model decides.
        examples: the first titles in which the words around it show nothing.
    """

    entry: str
    text: str
    need: Need
    titles: int = 0
    shown: int = 0
    examples: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """What makes the name risky."""
        if self.need == "mark":
            return "the name of an index"
        return "a common word" if is_common_word(self.text) else "a family name"


def risky_names(watchlist: Watchlist, titles: Iterable[str]) -> list[RiskyName]:
    """Returns the risky names of a watchlist, in its order, with what they match in titles.

    A risky name is a common word, a family name, the name of an index, or a ticker that is a common word.
    """
    risky = {
        (entity.id, folded_words(text).joined): RiskyName(entity.id, text, need)
        for entity in watchlist.entities
        for text, need in _risky_texts(entity)
    }
    if not risky:
        return []
    watched, companies = WatchedNames(watchlist), shipped_companies()
    for title in titles:
        spans = [span for span in watched.find(title).spans if span.need != "none"]
        mentions = with_watched(title, [], watched, companies) if spans else []
        counted = {mention.start for mention in mentions if mention.watched is not None}
        for span in spans:
            name = risky.get((span.entity.id, folded_words(title[span.start : span.end]).joined))
            if name is None:
                continue
            name.titles += 1
            if span.start in counted:
                name.shown += 1
            elif len(name.examples) < _MAX_EXAMPLES:
                name.examples = (*name.examples, title)
    return list(risky.values())


def _risky_texts(entity: WatchedEntity) -> Iterator[tuple[str, Need]]:
    """Yields the names and tickers of an entry that need support, and what they need."""
    for name in entity.names:
        if (need := need_of_name(name)) != "none":
            yield name, need
    for ticker in entity.tickers:
        if len(ticker) > _SHORT_TICKER and (need := need_of_ticker(ticker)) != "none":
            yield ticker, need
