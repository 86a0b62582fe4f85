"""From mentions to entities.

In this order: the watchlist; a ticker that belongs to the mention and agrees with its name; the tables' exact names;
a fuller name in the same article ("GM", "Moody" and "Nardelli" after "General Motors Corp", "Moody's Corp" and "Bob
Nardelli"); the tables' short names; else the normalised name. Ids: `<watchlist id>`, `isin:US…`, `cik:0000320193`,
`name:<slug>`. Pure: what an article's mentions resolve to depends on the article, the watchlist and the tables alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from riskwire.inference.linking.companies import US, Company, CompanyTable, agrees, shipped_companies
from riskwire.inference.linking.mentions import Candidate, candidates
from riskwire.inference.linking.places import country
from riskwire.inference.linking.publishers import dateline_end, is_publisher, is_rater, names_nobody, speaks_of_others
from riskwire.inference.linking.watched import WatchedNames
from riskwire.inference.probabilities import Distribution
from riskwire.inference.reading import Reading
from riskwire.names import LEGAL, acronyms, is_prefix, name_key, slug, words_of_name
from riskwire.schemas import MentionType
from riskwire.watchlist import WatchedEntity, Watchlist

_INITIALS = re.compile(r"[A-Z][A-Z&]{1,4}")
_SMALL_WORDS = frozenset({"of", "and", "the", "for", "de", "du", "la", "del", "von", "van", "&"})
_REMEMBERED = 16_384
"""Names whose meaning is remembered."""
_COMPANIES: tuple[MentionType, ...] = ("ORG", "INSTRUMENT")


class LinkedMention(NamedTuple):
    """A mention in its document and what it resolves to.

    `followed` says whether it may become a signal: a company or organisation, a country, or anything watched, and
    neither a dateline nor a news agency naming itself. `speaker`: named as one who rates or comments on others.
    """

    start: int
    end: int
    text: str
    type: MentionType
    sentence: int
    entity: str
    name: str
    sentiment: Distribution
    watched: WatchedEntity | None = None
    followed: bool = False
    speaker: bool = False


class _Meaning(NamedTuple):
    """What a name stands for; without an entity nobody knows yet."""

    entity: str = ""
    name: str = ""
    watched: WatchedEntity | None = None
    country: bool = False
    weak: bool = False
    """Found in the tables by a single word and nothing else: a fuller name in the same article knows better."""


_UNKNOWN = _Meaning()


@dataclass(slots=True)
class _Open:
    """A mention that is being resolved."""

    candidate: Candidate
    text: str
    sentence: int
    meaning: _Meaning = _UNKNOWN

    @property
    def entity(self) -> str:
        """Its entity, empty as long as it is not known."""
        return self.meaning.entity


class Linker:
    """Resolves the mentions of an article against a watchlist and the tables of companies."""

    def __init__(self, watchlist: Watchlist | None = None, companies: CompanyTable | None = None) -> None:
        self.watchlist = watchlist or Watchlist()
        self._watched = WatchedNames(self.watchlist)
        self._companies = companies or shipped_companies()
        # Most names come again and again, and what a name alone means never changes.
        self._alone = lru_cache(maxsize=_REMEMBERED)(self._meaning_alone)
        self._at_last = lru_cache(maxsize=_REMEMBERED)(self._meaning_at_last)

    @property
    def companies(self) -> CompanyTable:
        """The tables of companies it knows."""
        return self._companies

    def link(self, reading: Reading) -> list[LinkedMention]:
        """The mentions of a document, in order."""
        content = reading.document.content
        mentions: list[_Open] = []
        for at, read in enumerate(reading.sentences):
            place = read.place
            sentence = content[place.start : place.end]
            for found in candidates(sentence, read.reading.names, self._watched, self._companies):
                candidate = _with_own_possessive(sentence, found, self._owns_possessive)
                mentions.append(_Open(candidate, sentence[candidate.start : candidate.end], at))
        for mention in mentions:
            candidate = mention.candidate
            by_name = candidate.mark is None and candidate.watched is None
            mention.meaning = (
                self._alone(mention.text, candidate.kind) if by_name else self._surely(mention.text, candidate)
            )
        if len(mentions) > 1:
            self._resolve_short_forms(mentions)
        for mention in mentions:
            if not mention.entity:
                mention.meaning = self._at_last(mention.text, mention.candidate.kind)
        return [self._placed(reading, mention) for mention in mentions if mention.entity]

    def _owns_possessive(self, name: str) -> bool:
        """Whether a name that ends in 's is written so itself, as Moody's and Macy's are: "GM's" is not GMS Inc."""
        watched, company = self._watched.by_name(name), self._companies.exact(name)
        names = (*(watched.names if watched else ()), *(company.names if company else ()))
        return is_rater(name) or any("'s" in one.replace("’", "'").casefold() for one in names)

    def _meaning_alone(self, text: str, kind: MentionType) -> _Meaning:
        """What a name means by itself, without a ticker beside it."""
        return self._surely(text, Candidate(0, len(text), kind))

    def _surely(self, text: str, candidate: Candidate) -> _Meaning:
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
        if company is None and candidate.kind in _COMPANIES and not names_nobody(text):
            company = self._companies.exact(text)
        watched = watched or (self._watched_company(company) if company else None)
        if watched is not None:
            return _Meaning(watched.id, watched.name, watched)
        if company is not None:
            sure = candidate.mark is not None or (company.entity or "").startswith("isin:")
            return _meaning_of(company, weak=not sure and len(name_key(text)) == 1)
        if candidate.kind in {"LOC", "ORG"} and (name := country(text)):
            return _Meaning(f"name:{slug(name)}", name, country=True)
        return _UNKNOWN

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

    def _resolve_short_forms(self, mentions: Sequence[_Open]) -> None:
        """Names that stand for a fuller name of the same article; where two fuller names fit, for none."""
        fuller = [
            (name_key(one.text), one)
            for one in mentions
            if one.candidate.kind in {"ORG", "PER"} and _is_proper(one.text) and not is_publisher(one.text)
        ]
        for mention in mentions:
            kind = mention.candidate.kind
            if mention.entity and not mention.meaning.weak:
                continue
            if is_publisher(mention.text) or names_nobody(mention.text):
                continue
            key = name_key(mention.text)
            fits = [one for long, one in fuller if one is not mention and _is_short_for(mention, key, long, one)]
            for one in fits:
                if not one.entity:
                    one.meaning = self._at_last(one.text, one.candidate.kind)
            meant = {one.entity: one for one in reversed(fits) if one.entity}
            if len(meant) == 1:
                (one,) = meant.values()
                mention.meaning = mention.meaning._replace(
                    entity=one.entity, name=one.meaning.name, watched=one.meaning.watched
                )
                if kind in {"PER", "LOC"} and one.candidate.kind == "ORG":
                    mention.candidate = replace(mention.candidate, kind="ORG")

    def _meaning_at_last(self, text: str, kind: MentionType) -> _Meaning:
        """What a name means that no table knows for certain and no fuller name in the article explains."""
        if kind == "ORG" and not is_publisher(text) and not names_nobody(text):
            company = self._companies.by_name(text)
            if company is None and _INITIALS.fullmatch(text):
                company = self._companies.by_acronym(text)
            if company is not None:
                watched = self._watched_company(company)
                return _meaning_of(company) if watched is None else _Meaning(watched.id, watched.name, watched)
        name = slug(text)
        return _Meaning(f"name:{name}", " ".join(text.split())) if name else _UNKNOWN

    def _placed(self, reading: Reading, mention: _Open) -> LinkedMention:
        read = reading.sentences[mention.sentence]
        place, candidate, meaning = read.place, mention.candidate, mention.meaning
        sentence = reading.document.content[place.start : place.end]
        kind = candidate.kind
        first_of_text = mention.sentence == (1 if reading.sentences[0].place.title else 0)
        in_dateline = first_of_text and candidate.start < dateline_end(sentence)
        identified = not meaning.entity.startswith("name:")
        named = identified or _is_proper(mention.text)
        known = kind == "ORG" or identified  # a code that no table knows names nobody
        followed = meaning.country or (kind in _COMPANIES and named and known and not names_nobody(mention.text))
        ignored = in_dateline or is_publisher(mention.text)
        return LinkedMention(
            start=place.start + candidate.start,
            end=place.start + candidate.end,
            text=mention.text,
            type=kind,
            sentence=mention.sentence,
            entity=meaning.entity,
            name=meaning.name,
            sentiment=read.reading.toward(candidate.start, candidate.end),
            watched=meaning.watched,
            followed=meaning.watched is not None or (followed and not ignored),
            speaker=kind in _COMPANIES and speaks_of_others(sentence, candidate.start, candidate.end),
        )


def _may_be(text: str, candidate: Candidate, watched: WatchedEntity, company: Company | None) -> bool:
    """Tickers are given to others over the years, and differ from market to market: the name must not speak
    against it."""
    if candidate.kind == "INSTRUMENT" or company is not None:
        return True
    words = {word for name in watched.names for word in words_of_name(name)} - LEGAL
    return bool(words & set(words_of_name(text))) or any(text.upper() in acronyms(name) for name in watched.names)


def _meaning_of(company: Company, *, weak: bool = False) -> _Meaning:
    name = company.display_name
    return _Meaning(company.entity or f"name:{slug(name)}", name, weak=weak)


@lru_cache(maxsize=16_384)
def _is_proper(text: str) -> bool:
    """Whether every word but "of", "and" and the like begins with a capital or a digit."""
    words = text.split()
    return (
        bool(words)
        and all(
            word in _SMALL_WORDS or not word[:1].islower() or any(char.isupper() for char in word) for word in words
        )
        and any(char.isupper() or char.isdigit() for char in text)
    )


def _is_short_for(mention: _Open, key: tuple[str, ...], long: tuple[str, ...], fuller: _Open) -> bool:
    begins = is_prefix(key, long) and long[len(key)] != "and"
    if mention.candidate.kind in {"PER", "LOC"}:
        if mention.candidate.kind == "PER" and fuller.candidate.kind == "PER":
            return _is_last_name(key, long)
        watched = fuller.meaning.watched is not None
        surely = fuller.candidate.mark is not None or watched or fuller.entity.startswith("isin:")
        return surely and (key == long or (begins and mention.candidate.kind == "PER"))
    if fuller.candidate.kind != "ORG":
        return False
    plain = mention.text.replace(".", "")
    return begins or (_INITIALS.fullmatch(plain) is not None and plain in _initials(fuller))


def _is_last_name(short: tuple[str, ...], long: tuple[str, ...]) -> bool:
    return len(short) == 1 and len(long) > 1 and long[-1] == short[0]


def _initials(mention: _Open) -> frozenset[str]:
    mark = mention.candidate.mark
    found = acronyms(mention.text)
    return found | {mark.symbol} if mark is not None else found


def _with_own_possessive(sentence: str, candidate: Candidate, owns: Callable[[str], bool]) -> Candidate:
    """Give back an 's that is part of a name: "Moody's", "Macy's"."""
    after = sentence[candidate.end : candidate.end + 2]
    if after not in {"'s", "’s"} or candidate.kind not in _COMPANIES:
        return candidate
    whole = sentence[candidate.start : candidate.end + 2]
    return replace(candidate, end=candidate.end + 2) if owns(whole) else candidate
