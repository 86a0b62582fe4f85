"""A span of a sentence that may be a mention."""

from __future__ import annotations

from dataclasses import dataclass

from riskwire.entities.watchlist import WatchedEntity
from riskwire.inference.linking.tickers import TickerMark
from riskwire.records import MentionType

COMPANY_TYPES: tuple[MentionType, ...] = ("ORG", "INSTRUMENT")


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
