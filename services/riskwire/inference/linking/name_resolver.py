"""Resolves a name by itself: on the watchlist, in the tables of companies, among the countries. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from riskwire.entities.common_words import is_common_word
from riskwire.entities.names import DESCRIPTORS, LEGAL_FORMS, acronyms, name_key, slug, words_of_name
from riskwire.entities.watchlist import WatchedEntity
from riskwire.inference.linking.candidate import COMPANY_TYPES, Candidate
from riskwire.inference.linking.companies import US, Company, CompanyTable, agrees
from riskwire.inference.linking.places import country
from riskwire.inference.linking.publishers import is_market_or_label, is_publisher, is_rater
from riskwire.inference.linking.watched import MAX_CAPITALS, WatchedNames, need_of_name
from riskwire.records import MentionType

INITIALS = re.compile(r"[A-Z][A-Z&]{1,4}")


class Resolution(NamedTuple):
    """The entity that a name refers to.

    Attributes:
        entity: the id of the entity; empty when it is unknown.
        watched: the watchlist entry, when the entity is on the watchlist.
        country: whether the entity is a country.
        weak: whether only a single word led to the entity. A fuller name in the same article takes precedence.
    """

    entity: str = ""
    name: str = ""
    watched: WatchedEntity | None = None
    country: bool = False
    weak: bool = False


UNRESOLVED = Resolution()


class NameResolver:
    """Resolves names, without a cache.

    The linker caches the results. If this object held a cache that calls its own methods, the two would form a
    reference cycle, and a linker that is no longer used would stay in memory, because a running stage almost never
    collects cycles (`app/garbage_collection.py`).
    """

    def __init__(self, watched: WatchedNames, companies: CompanyTable) -> None:
        self._watched = watched
        self._companies = companies

    def owns_possessive(self, name: str) -> bool:
        """Returns whether a final 's belongs to the name, as in Moody's and Macy's. "GM's" is not GMS Inc.

        That is so for a rating agency, and if the watchlist or the company table has the name written with 's.
        """
        watched, company = self._watched.by_name(name), self._companies.exact(name)
        names = (*(watched.names if watched else ()), *(company.names if company else ()))
        return is_rater(name) or any("'s" in known.replace("’", "'").casefold() for known in names)

    def resolve_name(self, text: str, kind: MentionType) -> Resolution:
        """Resolves a name without a ticker, as `resolve_certain` does."""
        return self.resolve_certain(text, Candidate(0, len(text), kind))

    def resolve_certain(self, text: str, candidate: Candidate) -> Resolution:
        """Resolves a mention by its watchlist entry, its ticker or an exact name, if one of these is unambiguous.

        A watchlist entry has precedence over a company, and a company over a country. A ticker whose company or entry
        does not agree with the text has no effect. The result is `UNRESOLVED` if nothing is found. It is weak if a name
        of a single word, without a ticker, led to a company without an ISIN.

        Args:
            text: the text of the mention.
            candidate: its type, the ticker mark that belongs to it, and the watchlist entry whose name it contains.
        """
        watched = candidate.watched
        company: Company | None = None
        if candidate.mark is not None:
            watched = watched or self._watched.by_ticker(candidate.mark.symbol)
            company = self._companies.by_ticker(candidate.mark.market, candidate.mark.symbol)
            if candidate.kind != "INSTRUMENT" and company is not None and not agrees(text, company):
                company = None
            by_ticker = watched if candidate.watched is None else None
            if by_ticker is not None and not _fits_ticker(text, candidate, by_ticker, company):
                watched = None
        watched = watched or self._watched_by_name(text)
        if company is None and candidate.kind in COMPANY_TYPES and not _is_no_company(text):
            company = self._companies.exact(text)
        watched = watched or (self._watched_entry(company) if company else None)
        if watched is not None:
            return Resolution(watched.id, watched.name, watched)
        if company is not None:
            sure = candidate.mark is not None or (company.entity or "").startswith("isin:")
            return _resolution_of(company, weak=not sure and len(name_key(text)) == 1)
        if candidate.kind in {"LOC", "ORG"} and (name := country(text)):
            return Resolution(f"name:{slug(name)}", name, country=True)
        return UNRESOLVED

    def resolve_fallback(self, text: str, kind: MentionType) -> Resolution:
        """Resolves a name that `resolve_certain` and the other names of the article leave unresolved.

        An organisation that is no publisher, market or label may be a short name or the initials of a company. Any
        other name becomes the entity `name:` and the normalised name; one without words stays `UNRESOLVED`.
        """
        if kind == "ORG" and not is_publisher(text) and not _is_no_company(text):
            company = self._companies.by_name(text)
            if company is None and INITIALS.fullmatch(text):
                company = self._companies.by_acronym(text)
            watched = self._watched_entry(company) if company else self._watched_by_beginning(text)
            if watched is not None:
                return Resolution(watched.id, watched.name, watched)
            if company is not None:
                return _resolution_of(company)
        name = slug(text)
        return Resolution(f"name:{name}", " ".join(text.split())) if name else UNRESOLVED

    def _watched_by_name(self, text: str) -> WatchedEntity | None:
        """Returns the watchlist entry with a name, but none for a single common word or an index.

        Those count only where their sentence supports them, which is decided before (`mentions.py`). A name in capitals
        is none in small letters: RIO is not Rio.
        """
        watched = self._watched.by_name(text)
        if watched is None or need_of_name(text.title()) != "none":
            return None
        names = [name for name in watched.names if name_key(name) == name_key(text)]
        capitals = all(name.isupper() and name.isalpha() and len(name) <= MAX_CAPITALS for name in names)
        return None if names and capitals and not text.isupper() else watched

    def _watched_by_beginning(self, text: str) -> WatchedEntity | None:
        """Returns the only watchlist entry whose name adds words for a trade: "Tencent Music (Entertainment Group)"."""
        watched = self._watched.by_beginning(text)
        length = len(name_key(text))
        keys = [key for name in watched.names if (key := name_key(name))[:length] == name_key(text)] if watched else []
        return watched if any(DESCRIPTORS.issuperset(key[length:]) for key in keys) else None

    def _watched_entry(self, company: Company) -> WatchedEntity | None:
        """Returns the watchlist entry of a company: by its ISIN, or by a US ticker when a name agrees."""
        if company.entity and company.entity.startswith("isin:"):
            watched = self._watched.by_isin(company.entity.removeprefix("isin:"))
            if watched is not None:
                return watched
        by_ticker = (self._watched.by_ticker(symbol) for market, symbol in company.tickers if market == US)
        for watched in by_ticker:
            if watched is not None and any(agrees(name, company) for name in watched.names):
                return watched
        return None


def _is_no_company(text: str) -> bool:
    """Returns whether a text is a market, a label, or a common word written small ("monster"), whoever has its name."""
    return is_market_or_label(text) or (text.islower() and is_common_word(text))


def _fits_ticker(text: str, candidate: Candidate, watched: WatchedEntity, company: Company | None) -> bool:
    """Returns whether the text of a mention agrees with the watchlist entry that has its ticker.

    Tickers pass to other companies over the years and differ between markets, so the text must share a word with a name
    of the entry or be its initials. A mention that is only a ticker (INSTRUMENT) always agrees.

    Args:
        company: the company that the table has for the ticker if it agrees with the text; then the result is True.
    """
    if candidate.kind == "INSTRUMENT" or company is not None:
        return True
    words = {word for name in watched.names for word in words_of_name(name)} - LEGAL_FORMS
    return bool(words & set(words_of_name(text))) or any(text.upper() in acronyms(name) for name in watched.names)


def _resolution_of(company: Company, *, weak: bool = False) -> Resolution:
    name = company.display_name
    return Resolution(company.entity or f"name:{slug(name)}", name, weak=weak)
