"""What a name stands for by itself: on the watchlist, in the tables of companies, among the countries. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from riskwire.entities.names import LEGAL, acronyms, name_key, slug, words_of_name
from riskwire.entities.watchlist import WatchedEntity
from riskwire.inference.linking.companies import US, Company, CompanyTable, agrees
from riskwire.inference.linking.mentions import Candidate
from riskwire.inference.linking.places import country
from riskwire.inference.linking.publishers import is_publisher, is_rater, names_nobody
from riskwire.inference.linking.watched import WatchedNames
from riskwire.records import MentionType

INITIALS = re.compile(r"[A-Z][A-Z&]{1,4}")
COMPANIES: tuple[MentionType, ...] = ("ORG", "INSTRUMENT")


class Meaning(NamedTuple):
    """What a name stands for; without an entity nobody knows yet."""

    entity: str = ""
    name: str = ""
    watched: WatchedEntity | None = None
    country: bool = False
    weak: bool = False
    """Found in the tables by a single word and nothing else: a fuller name in the same article knows better."""


UNKNOWN = Meaning()


class Meanings:
    """Looks names up, each time anew.

    It knows of no cache: with one that it held and that calls its methods it would be a cycle, which outlives its use,
    since a running stage all but never collects cycles (`commands/collector.py`).
    """

    def __init__(self, watched: WatchedNames, companies: CompanyTable) -> None:
        self._watched = watched
        self._companies = companies

    def owns_possessive(self, name: str) -> bool:
        """Whether a name that ends in 's is written so itself, as Moody's and Macy's are: "GM's" is not GMS Inc."""
        watched, company = self._watched.by_name(name), self._companies.exact(name)
        names = (*(watched.names if watched else ()), *(company.names if company else ()))
        return is_rater(name) or any("'s" in one.replace("’", "'").casefold() for one in names)

    def alone(self, text: str, kind: MentionType) -> Meaning:
        """What a name means by itself, without a ticker beside it."""
        return self.surely(text, Candidate(0, len(text), kind))

    def surely(self, text: str, candidate: Candidate) -> Meaning:
        """What a mention means for certain: by its watchlist entity, its ticker, or a name that only one bears."""
        watched = candidate.watched
        company: Company | None = None
        if candidate.mark is not None:
            watched = watched or self._watched.by_ticker(candidate.mark.symbol)
            company = self._companies.by_ticker(candidate.mark.market, candidate.mark.symbol)
            if candidate.kind != "INSTRUMENT" and company is not None and not agrees(text, company):
                company = None
            if watched is not None and candidate.watched is None and not _may_be(text, candidate, watched, company):
                watched = None
        watched = watched or self._watched.by_name(text)
        if company is None and candidate.kind in COMPANIES and not names_nobody(text):
            company = self._companies.exact(text)
        watched = watched or (self._watched_company(company) if company else None)
        if watched is not None:
            return Meaning(watched.id, watched.name, watched)
        if company is not None:
            sure = candidate.mark is not None or (company.entity or "").startswith("isin:")
            return _meaning_of(company, weak=not sure and len(name_key(text)) == 1)
        if candidate.kind in {"LOC", "ORG"} and (name := country(text)):
            return Meaning(f"name:{slug(name)}", name, country=True)
        return UNKNOWN

    def _watched_company(self, company: Company) -> WatchedEntity | None:
        if company.entity and company.entity.startswith("isin:"):
            found = self._watched.by_isin(company.entity.removeprefix("isin:"))
            if found is not None:
                return found
        tickers = (self._watched.by_ticker(symbol) for market, symbol in company.tickers if market == US)
        for found in tickers:
            if found is not None and any(agrees(name, company) for name in found.names):
                return found
        return None

    def at_last(self, text: str, kind: MentionType) -> Meaning:
        """What a name means that no table knows for certain and no fuller name in the article explains."""
        if kind == "ORG" and not is_publisher(text) and not names_nobody(text):
            company = self._companies.by_name(text)
            if company is None and INITIALS.fullmatch(text):
                company = self._companies.by_acronym(text)
            if company is not None:
                watched = self._watched_company(company)
                return _meaning_of(company) if watched is None else Meaning(watched.id, watched.name, watched)
        name = slug(text)
        return Meaning(f"name:{name}", " ".join(text.split())) if name else UNKNOWN


def _may_be(text: str, candidate: Candidate, watched: WatchedEntity, company: Company | None) -> bool:
    """Tickers are given to others over the years, and differ from market to market: the name must not speak
    against it."""
    if candidate.kind == "INSTRUMENT" or company is not None:
        return True
    words = {word for name in watched.names for word in words_of_name(name)} - LEGAL
    return bool(words & set(words_of_name(text))) or any(text.upper() in acronyms(name) for name in watched.names)


def _meaning_of(company: Company, *, weak: bool = False) -> Meaning:
    name = company.display_name
    return Meaning(company.entity or f"name:{slug(name)}", name, weak=weak)
