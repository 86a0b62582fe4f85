"""A span of a sentence that may be a mention, and a mention that is linked to its entity."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from riskwire.entities.watchlist import WatchedEntity
from riskwire.inference.linking.tickers import TickerMark
from riskwire.inference.model.probabilities import Distribution
from riskwire.records import EventScore, Level, MentionType

COMPANY_TYPES: tuple[MentionType, ...] = ("ORG", "INSTRUMENT")
_SMALL_WORDS = frozenset({"of", "in", "and", "the", "for", "de", "du", "la", "del", "von", "van", "&"})


@dataclass(frozen=True, slots=True)
class Candidate:
    """A span of a sentence that may be a mention.

    Attributes:
        kind: the apparent type.
        mark: the ticker mark that belongs to it.
        watched: the watchlist entry whose name it contains.
        possible: the watchlist entry whose name it is if a fuller name in the article confirms it.
        only_possible: whether nothing but `possible` makes it a mention; without confirmation it is none.
        excluded: the watchlist entries that it does not name, because it is in a phrase that they exclude.
    """

    start: int
    end: int
    kind: MentionType
    mark: TickerMark | None = None
    watched: WatchedEntity | None = None
    possible: WatchedEntity | None = None
    only_possible: bool = False
    excluded: tuple[WatchedEntity, ...] = ()


class LinkedMention(NamedTuple):
    """A mention in its document, and the entity it refers to.

    Attributes:
        sentence: the index of the sentence.
        level: how bad the sentence is for the entity; None if the bundle does not predict levels.
        events: what happened to the entity, the most probable event type first; None if the bundle does not predict
            them.
        watched: the watchlist entry, when the entity is on the watchlist.
        followed: whether it may become a signal. That is so for a company, an organisation, a country, a person in a
            title without a company, and any watched entity, but not in a dateline and not for a news agency that names
            itself.
        speaker: whether it is mentioned only as rating or commenting on others.
        country: whether the entity is a country.
        institution: whether it is an authority or another institution.
        parent: the id of the company that the entity belonged to on the day of the article; empty if to none.
    """

    start: int
    end: int
    text: str
    type: MentionType
    sentence: int
    entity: str
    name: str
    sentiment: Distribution
    level: Level | None = None
    events: tuple[EventScore, ...] | None = None
    watched: WatchedEntity | None = None
    followed: bool = False
    speaker: bool = False
    country: bool = False
    institution: bool = False
    parent: str = ""


@lru_cache(maxsize=16_384)
def is_proper(text: str) -> bool:
    """Returns whether a text is written as a name: it has a capital or a digit, and no word in lower case.

    Words such as "of" and "and" may be in lower case, and a word may have its capital inside ("eBay").
    """
    words = text.split()
    return (
        bool(words)
        and all(
            word in _SMALL_WORDS or not word[:1].islower() or any(char.isupper() for char in word) for word in words
        )
        and any(char.isupper() or char.isdigit() for char in text)
    )
