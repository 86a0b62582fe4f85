"""Resolves a name by itself: on the watchlist, in the tables of parties, among the countries. Pure."""

from __future__ import annotations

import re
from datetime import date
from typing import NamedTuple

from riskwire.entities.common_words import is_common_word
from riskwire.entities.names import DESCRIPTORS, LEGAL_FORMS, acronyms, is_prefix, name_key, slug, words_of_name
from riskwire.entities.watchlist import WatchedEntity
from riskwire.inference.linking.candidate import COMPANY_TYPES, Candidate, is_proper
from riskwire.inference.linking.companies import US, Company, CompanyTable, agrees, names_another_company
from riskwire.inference.linking.parties import PartyTable
from riskwire.inference.linking.parties.party_table import Meaning
from riskwire.inference.linking.parties.short_names import (
    COMMON_TRADES,
    common_key,
    expanded,
    is_distinctive,
    without_division,
    without_part,
)
from riskwire.inference.linking.places import country, country_of_government, nationality
from riskwire.inference.linking.publishers import is_market_or_label, is_publisher, is_rater
from riskwire.inference.linking.watched import MAX_CAPITALS, WatchedNames, need_of_name
from riskwire.records import MentionType

INITIALS = re.compile(r"[A-Z][A-Z&]{1,4}")
_AMBIGUOUS_INITIALS = 2
"""Initials of at most this length mean too much to find a company by themselves: MS is a disease, too."""
_PLURAL_INITIALS = re.compile(r"[A-Z]{2,4}s")


class Resolution(NamedTuple):
    """The entity that a name refers to.

    Attributes:
        entity: the id of the entity; empty when it is unknown.
        watched: the watchlist entry, when the entity is on the watchlist.
        country: whether the entity is a country.
        party: whether a table of parties or companies has the name.
        institution: whether it is an authority or another institution.
        product: whether the name is that of a product, and the entity its maker.
        parent: the id of the company that the entity belonged to on that day; empty if to none.
        weak: whether only a single word led to the entity. A fuller name in the same article takes precedence.
    """

    entity: str = ""
    name: str = ""
    watched: WatchedEntity | None = None
    country: bool = False
    party: bool = False
    institution: bool = False
    product: bool = False
    parent: str = ""
    weak: bool = False


UNRESOLVED = Resolution()


class NameResolver:
    """Resolves names, without a cache.

    The linker caches the results. If this object held a cache that calls its own methods, the two would form a
    reference cycle, and a linker that is no longer used would stay in memory, because a running stage almost never
    collects cycles (`app/garbage_collection.py`).
    """

    def __init__(self, watched: WatchedNames, companies: CompanyTable, parties: PartyTable) -> None:
        self._watched = watched
        self._companies = companies
        self._parties = parties

    def owns_possessive(self, name: str) -> bool:
        """Returns whether a final 's belongs to the name, as in Moody's and Macy's. "GM's" is not GMS Inc.

        That is so for a rating agency, and if the watchlist or a table has the name written with 's.
        """
        watched, company = self._watched.by_name(name), self._companies.exact(name)
        names = (*(watched.names if watched else ()), *(company.names if company else ()))
        written = name.replace("’", "'")
        return (
            is_rater(name)
            or self._parties.writes(written)
            or any("'s" in known.replace("’", "'").casefold() for known in names)
        )

    def knows(self, name: str) -> str:
        """Returns `product` for the name of a product, `party` for another name of the tables, else an empty text."""
        if " " in name and not is_proper(name) and not self._parties.writes(name):
            return ""
        meaning = self._parties.by_name(name, None)
        if meaning.known:
            return "product" if meaning.product else "party"
        if self._watched.by_name(name) is not None or self._companies.by_name(name) is not None:
            return "party"
        return "party" if any(self._known(full, None) for full in expanded(name)) else ""

    def resolve_name(self, text: str, kind: MentionType, day: date | None) -> Resolution:
        """Resolves a name without a ticker, as `resolve_certain` does."""
        return self.resolve_certain(text, Candidate(0, len(text), kind), day)

    def resolve_certain(self, text: str, candidate: Candidate, day: date | None) -> Resolution:
        """Resolves a mention by its watchlist entry, its ticker or an exact name, if one of these is unambiguous.

        A watchlist entry has precedence over a party, and a party over a country. A ticker whose company or entry does
        not agree with the text has no effect. The result is `UNRESOLVED` if nothing is found. It is weak if a name of a
        single word, without a ticker, led to a company without an ISIN.

        Args:
            text: the text of the mention.
            candidate: its type, the ticker mark that belongs to it, and the watchlist entry whose name it contains.
            day: the day of the article, because names and tickers pass on; None for the meanings of today.
        """
        watched = candidate.watched
        company: Company | None = None
        if candidate.mark is not None:
            watched = watched or self._watched.by_ticker(candidate.mark.symbol)
            company = self._by_ticker(candidate.mark.market, candidate.mark.symbol, day)
            if candidate.kind != "INSTRUMENT" and company is not None and not agrees(text, company):
                company = None
            by_ticker = watched if candidate.watched is None else None
            if by_ticker is not None and not _fits_ticker(text, candidate, by_ticker, company):
                watched = None
        watched = watched or self._watched_by_name(text)
        meaning = self._meaning(text, candidate.kind, day)
        product = company is None and meaning.product
        if company is None and candidate.mark is not None and not meaning.known:
            company = self._by_code(text, candidate.mark.symbol, day)
        company = company or meaning.company
        if company is None and candidate.kind in COMPANY_TYPES and not meaning.known and not _is_no_company(text):
            company = self._companies.exact(text)
        if company is not None:
            sure = candidate.mark is not None or meaning.company is not None or _has_isin(company)
            found = self._resolution_of(company, day, product=product, weak=not sure and len(name_key(text)) == 1)
            found = found._replace(institution=meaning.institution)
            return found if watched is None else found._replace(entity=watched.id, name=watched.name, watched=watched)
        if watched is not None:
            return Resolution(watched.id, watched.name, watched, party=True)
        if (name := _country(text, candidate.kind)) is not None:
            return Resolution(f"name:{slug(name)}", name, country=True)
        return UNRESOLVED

    def _by_ticker(self, market: str, symbol: str, day: date | None) -> Company | None:
        """Returns the company that was listed under a ticker on a day, if the tables know; else the one of today."""
        then = self._parties.by_ticker(symbol, day) if market == US else None
        return then.company if then is not None and then.known else self._companies.by_ticker(market, symbol)

    def _by_code(self, text: str, symbol: str, day: date | None) -> Company | None:
        """Returns the party whose initials are a stock code and whose name goes on from a text.

        "National Bank (NBGr.AT)" is the National Bank of Greece: `r` marks a registered share.
        """
        for initials in (symbol, symbol.removesuffix("R")):
            company = self._parties.by_name(initials, day).company
            if company is not None and any(is_prefix(name_key(text), key) for key in company.keys):
                return company
        return None

    def _meaning(self, text: str, kind: MentionType, day: date | None) -> Meaning:
        """Returns whom a name means in the tables of parties, unless the model takes it for something else.

        The model takes some companies and institutions for persons, places or things. Such a kind does not count for an
        institution and for a company of several words; a thing may also be a product, or a company of one word that is
        no common word.
        """
        proper = is_proper(text) or " " not in text or self._parties.writes(text)
        meaning = self._parties.by_name(text, day) if proper else Meaning()
        if meaning.company is None or kind in COMPANY_TYPES or (kind != "PER" and meaning.institution):
            return meaning
        several = not meaning.product and (" " in text or (kind == "PER" and is_distinctive(text)))
        thing = kind == "MISC" and (meaning.product or not is_common_word(text))
        return meaning if several or thing else Meaning()

    def resolve_fallback(self, text: str, kind: MentionType, day: date | None) -> Resolution:
        """Resolves a name that `resolve_certain` and the other names of the article leave unresolved.

        An organisation that is no publisher, market or label may be a short name or the initials of a company. Any
        other name becomes the entity `name:` and the normalised name; one without words stays `UNRESOLVED`.
        """
        known = self._parties.by_name(text, day).known
        if kind == "ORG" and not known and not is_publisher(text) and not _is_no_company(text):
            company = self._companies.by_name(text)
            if company is None and INITIALS.fullmatch(text) and len(text) > _AMBIGUOUS_INITIALS:
                company = self._companies.by_acronym(text)
            if company is not None:
                return self._resolution_of(company, day)
            watched = self._watched_by_beginning(text)
            if watched is not None:
                return Resolution(watched.id, watched.name, watched, party=True)
            company = self._by_variant(text, day)
            if company is not None:
                return self._resolution_of(company, day)
            name = "-".join(common_key(text, self._companies.starts))[:80].strip("-")
        else:
            name = slug(text)
        return Resolution(f"name:{name}", " ".join(text.split())) if name else UNRESOLVED

    def _by_variant(self, text: str, day: date | None) -> Company | None:
        """Returns the company whose name a text shortens, or whose part it names; None if there is none.

        The name of a trade or of a part is left out only after a name that tells the company by itself.
        """
        for name in expanded(text):
            if company := self._known(name, day):
                return company
        for name in without_division(text):
            if is_distinctive(name) and (company := self._known(name, day)) and company.standing == "constituent":
                return company
        for name in without_part(text):
            initials = name.isupper() and not (text.isupper() and is_common_word(name))
            company = self._known(name, day) if is_distinctive(name) or initials else None
            if company is not None and company.standing != "obscure":
                return company
        key = name_key(text)
        head = " ".join(common_key(text, lambda word: self._companies.starts(word) - 1, COMMON_TRADES))
        company = self._known(head, day) if len(name_key(head)) < len(key) else None
        return company if company is not None and company.standing != "obscure" else None

    def _known(self, name: str, day: date | None) -> Company | None:
        meaning = self._parties.by_name(name, day)
        return None if meaning.product else meaning.company or (None if meaning.known else self._companies.exact(name))

    def _resolution_of(
        self, company: Company, day: date | None, *, product: bool = False, weak: bool = False
    ) -> Resolution:
        """Returns the resolution to a company: to its watchlist entry, or to the entry of the company it belongs to.

        A subsidiary that is not on the watchlist counts for its parent that is, because the desk holds the parent.
        """
        parent = self._parties.parent(company, day)
        parent_id = "" if parent is None else _entity_of(parent)
        watched = self._watched_entry(company)
        if watched is None and parent is not None:
            watched = self._watched_entry(parent)
        if watched is not None:
            return Resolution(watched.id, watched.name, watched, party=True, product=product, parent=parent_id)
        name = self._parties.display_name(company, day)
        return Resolution(_entity_of(company), name, party=True, product=product, parent=parent_id, weak=weak)

    def _watched_by_name(self, text: str) -> WatchedEntity | None:
        """Returns the watchlist entry with a name, but none for a single common word or an index.

        Those count only where their sentence supports them, which is decided before (`mentions.py`). A name in capitals
        is none in small letters: RIO is not Rio.
        """
        watched = self._watched.by_name(text)
        if watched is None or need_of_name(text.title()) != "none" or _PLURAL_INITIALS.fullmatch(text):
            return None
        if names_another_company(text, watched, self._companies):
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
        """Returns the watchlist entry of a company: by ISIN, by a US ticker when a name agrees, or by another name."""
        if company.entity and company.entity.startswith("isin:"):
            watched = self._watched.by_isin(company.entity.removeprefix("isin:"))
            if watched is not None:
                return watched
        by_ticker = (self._watched.by_ticker(symbol) for market, symbol in company.tickers if market == US)
        for watched in by_ticker:
            if watched is not None and any(agrees(name, company) for name in watched.names):
                return watched
        for name in self._parties.names(company):
            watched = self._watched.by_name(name)
            if watched is not None and need_of_name(name) == "none":
                return watched
        return None


def _is_no_company(text: str) -> bool:
    """Returns whether a text is a market, a label, several things ("FIs") or written small ("monster", "U.S. bank")."""
    if is_market_or_label(text) or _PLURAL_INITIALS.fullmatch(text):
        return True
    return is_common_word(text) if text.islower() else " " in text and not is_proper(text)


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


def _country(text: str, kind: MentionType) -> str | None:
    """Returns the country that a place, organisation or thing names, also by its people or its government."""
    if kind in {"LOC", "ORG"} and (name := country(text)):
        return name
    return (nationality(text) or country_of_government(text)) if kind in {"LOC", "ORG", "MISC"} else None


def _has_isin(company: Company) -> bool:
    return company.entity is not None and company.entity.startswith("isin:")


def _entity_of(company: Company) -> str:
    return company.entity or f"name:{slug(company.display_name)}"
