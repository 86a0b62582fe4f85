"""From mentions to entities.

In this order: the watchlist; a ticker that belongs to the mention and agrees with its name; the tables' exact names;
a fuller name in the same article ("GM", "Moody" and "Nardelli" after "General Motors Corp", "Moody's Corp" and "Bob
Nardelli"); the tables' short names; else the normalised name. Ids: `<watchlist id>`, `isin:US…`, `cik:0000320193`,
`name:<slug>`. Pure: what an article's mentions resolve to depends on the article, the watchlist and the tables alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from riskwire.entities.names import acronyms, is_prefix, name_key
from riskwire.entities.watchlist import WatchedEntity, Watchlist
from riskwire.inference.linking.companies import CompanyTable, shipped_companies
from riskwire.inference.linking.meanings import COMPANIES, INITIALS, UNKNOWN, Meaning, Meanings
from riskwire.inference.linking.mentions import Candidate, candidates
from riskwire.inference.linking.publishers import dateline_end, is_publisher, names_nobody, speaks_of_others
from riskwire.inference.linking.watched import WatchedNames
from riskwire.inference.model.probabilities import Distribution
from riskwire.inference.model.reading import Reading
from riskwire.records import MentionType

_SMALL_WORDS = frozenset({"of", "and", "the", "for", "de", "du", "la", "del", "von", "van", "&"})
_REMEMBERED = 16_384
"""Names whose meaning is remembered."""
_COMPARED = 300
"""Mentions of an article, the first ones, that may be a short or the fuller form of one another: each is compared with
each, and whoever writes thousands of names into one article means no one to read it. News has up to a hundred."""


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


@dataclass(slots=True)
class _Open:
    """A mention that is being resolved."""

    candidate: Candidate
    text: str
    sentence: int
    meaning: Meaning = UNKNOWN

    @property
    def entity(self) -> str:
        """Its entity, empty as long as it is not known."""
        return self.meaning.entity


class _Fuller(NamedTuple):
    """A mention that others may be short for: the words of its name, and its initials."""

    key: tuple[str, ...]
    initials: frozenset[str]
    mention: _Open


class Linker:
    """Resolves the mentions of an article against a watchlist and the tables of companies."""

    def __init__(self, watchlist: Watchlist | None = None, companies: CompanyTable | None = None) -> None:
        self.watchlist = watchlist or Watchlist()
        self._watched = WatchedNames(self.watchlist)
        self._companies = companies or shipped_companies()
        self._meanings = Meanings(self._watched, self._companies)
        # Most names come again and again, and what a name alone means never changes.
        self._alone = lru_cache(maxsize=_REMEMBERED)(self._meanings.alone)
        self._at_last = lru_cache(maxsize=_REMEMBERED)(self._meanings.at_last)

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
                candidate = _with_own_possessive(sentence, found, self._meanings.owns_possessive)
                mentions.append(_Open(candidate, sentence[candidate.start : candidate.end], at))
        for mention in mentions:
            candidate = mention.candidate
            by_name = candidate.mark is None and candidate.watched is None
            mention.meaning = (
                self._alone(mention.text, candidate.kind) if by_name else self._meanings.surely(mention.text, candidate)
            )
        if len(mentions) > 1:
            self._resolve_short_forms(mentions[:_COMPARED])
        for mention in mentions:
            if not mention.entity:
                mention.meaning = self._at_last(mention.text, mention.candidate.kind)
        dateline = _dateline(reading) if mentions else range(0)
        return [_placed(reading, mention, dateline) for mention in mentions if mention.entity]

    def _resolve_short_forms(self, mentions: Sequence[_Open]) -> None:
        """Names that stand for a fuller name of the same article; where two fuller names fit, for none."""
        fuller = [
            _Fuller(name_key(one.text), _initials(one), one)
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
            plain = mention.text.replace(".", "")
            initials = plain if INITIALS.fullmatch(plain) else ""
            fits = [
                one.mention
                for one in fuller
                if one.mention is not mention and _is_short_for(mention, key, initials, one)
            ]
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


def _dateline(reading: Reading) -> range:
    """Where in the document the dateline of its text is."""
    for read in reading.sentences:
        if not read.place.title:
            start = read.place.start
            return range(start, start + dateline_end(reading.document.content[start : read.place.end]))
    return range(0)


def _placed(reading: Reading, mention: _Open, dateline: range) -> LinkedMention:
    read = reading.sentences[mention.sentence]
    place, candidate, meaning = read.place, mention.candidate, mention.meaning
    sentence = reading.document.content[place.start : place.end]
    kind = candidate.kind
    identified = not meaning.entity.startswith("name:")
    named = identified or _is_proper(mention.text)
    known = kind == "ORG" or identified  # a code that no table knows names nobody
    followed = meaning.country or (kind in COMPANIES and named and known and not names_nobody(mention.text))
    ignored = place.start + candidate.start in dateline or is_publisher(mention.text)
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
        speaker=kind in COMPANIES and speaks_of_others(sentence, candidate.start, candidate.end),
    )


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


def _is_short_for(mention: _Open, key: tuple[str, ...], initials: str, fuller: _Fuller) -> bool:
    long, one = fuller.key, fuller.mention
    begins = is_prefix(key, long) and long[len(key)] != "and"
    if mention.candidate.kind in {"PER", "LOC"}:
        if mention.candidate.kind == "PER" and one.candidate.kind == "PER":
            return _is_last_name(key, long)
        watched = one.meaning.watched is not None
        surely = one.candidate.mark is not None or watched or one.entity.startswith("isin:")
        return surely and (key == long or (begins and mention.candidate.kind == "PER"))
    return one.candidate.kind == "ORG" and (begins or initials in fuller.initials)


def _is_last_name(short: tuple[str, ...], long: tuple[str, ...]) -> bool:
    return len(short) == 1 and len(long) > 1 and long[-1] == short[0]


def _initials(mention: _Open) -> frozenset[str]:
    mark = mention.candidate.mark
    found = acronyms(mention.text)
    return found | {mark.symbol} if mark is not None else found


def _with_own_possessive(sentence: str, candidate: Candidate, owns: Callable[[str], bool]) -> Candidate:
    """Give back an 's that is part of a name: "Moody's", "Macy's"."""
    after = sentence[candidate.end : candidate.end + 2]
    if after not in {"'s", "’s"} or candidate.kind not in COMPANIES:
        return candidate
    whole = sentence[candidate.start : candidate.end + 2]
    return replace(candidate, end=candidate.end + 2) if owns(whole) else candidate
