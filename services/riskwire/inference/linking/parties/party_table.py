"""Whom a name means on a day: short and former names, institutions, products and their makers, subsidiaries. Pure.

The tables beside this file are written by hand. They add to the tables of companies (`companies.py`) what these do not
have: names that newspapers use, names of the past with the days on which they held, and parties that are not listed.
A name means one party on every day, so that two articles agree on it without knowing of each other (decision 0041).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ahocorasick_rs import AhoCorasick, MatchKind

from riskwire.entities.folded_words import folded_words
from riskwire.entities.legal_forms import has_another_form
from riskwire.entities.names import join_key, name_key
from riskwire.inference.linking.companies import US, Company, CompanyTable, shipped_companies
from riskwire.inference.linking.parties.validity import Validity

_TABLES = Path(__file__).parents[1] / "tables"
_MAX_CAPITALS = 5
"""A name of at most this many letters that a table writes in capitals is found only in capitals ("EU", "WHO")."""


_SURELY_INITIALS = 3
"""A text in capitals of at most this many letters is never a name that the tables write in small letters ("Kia")."""


class Meaning(NamedTuple):
    """Whom a name means.

    Attributes:
        known: whether the tables have the name, at any time.
        company: the party; None if the name means none of the tables on that day.
        product: whether the name is that of a product of the party.
        institution: whether the party is an authority or another institution, which no place or thing is called.
    """

    known: bool = False
    company: Company | None = None
    product: bool = False
    institution: bool = False


_UNKNOWN = Meaning()
_NOT_THEN = Meaning(known=True)


class _Naming(NamedTuple):
    """A line of a table for one name."""

    meaning: Meaning
    validity: Validity
    capitals: bool


class PartyTable:
    """Parties by name and day, their names of the time, and their parents."""

    def __init__(
        self,
        companies: CompanyTable,
        *,
        parties: Iterable[str] = (),
        institutions: Iterable[str] = (),
        products: Iterable[str] = (),
        subsidiaries: Iterable[str] = (),
    ) -> None:
        """Reads the lines of the tables; each table says at its top what a line has.

        Raises:
            ValueError: a day is not in the form `YYYY-MM-DD`.
        """
        self._companies = companies
        self._namings: dict[str, list[_Naming]] = {}
        self._names_of_the_time: dict[str, list[tuple[str, Validity]]] = {}
        self._parents: dict[str, list[tuple[Company, Validity]]] = {}
        self._lasting_names: dict[str, list[str]] = {}
        self._written: list[str] = []
        for lines, institution in ((parties, False), (institutions, True)):
            for party, names, *shown in _rows(lines):
                company = self._company(party)
                meaning = Meaning(True, company, institution=institution)
                own = [] if party.startswith("$") or f"{party}@" in names else [party]
                for name in (*own, *_split(names)):
                    self._add(name, meaning)
                for name in _split(shown[0]) if shown else ():
                    text, _, days = name.partition("@")
                    self._names_of_the_time.setdefault(_id(company), []).append((text, Validity.parse(days)))
        for maker, names in _rows(products):
            meaning = Meaning(True, self._party(maker), product=True)
            for name in _split(names):
                self._add(name, meaning)
        for name, parent, days in _rows(subsidiaries):
            belongs = (self._party(parent), Validity.parse(days))
            self._parents.setdefault(_id(self._party(name)), []).append(belongs)
        self._writings = frozenset(self._written)
        self._automaton = self._build_automaton()
        validities = [
            *(naming.validity for namings in self._namings.values() for naming in namings),
            *(validity for names in self._names_of_the_time.values() for _, validity in names),
            *(validity for parents in self._parents.values() for _, validity in parents),
        ]
        first_days = {validity.first for validity in validities if validity.first}
        self._changes = sorted(first_days | {validity.last + timedelta(1) for validity in validities if validity.last})

    def _build_automaton(self) -> AhoCorasick | None:
        """Returns the search for names of several words, each as its folded words between spaces; None without any."""
        words = {folded_words(name).words for name in self._written if " " in name}
        phrases = [f" {' '.join(phrase)} " for phrase in sorted(words) if len(phrase) > 1]
        return AhoCorasick(phrases, matchkind=MatchKind.LeftmostLongest) if phrases else None

    def find(self, sentence: str) -> list[tuple[int, int]]:
        """Returns the spans of names of several words, written with capitals; the longest ones, without overlaps."""
        if self._automaton is None:
            return []
        words = folded_words(sentence)
        spans = []
        for _, first, last in self._automaton.find_matches_as_indexes(words.joined):
            start = words.starts[bisect_left(words.positions, first)]
            end = words.ends[bisect_left(words.positions, last - 1) - 1]
            if sentence[start].isupper() and any(map(str.isupper, sentence[start + 1 : end])):
                spans.append((start, end))
        return spans

    def _company(self, party: str) -> Company:
        """Returns the company that a table names by its US ticker (`$GM`) or name; a new one if there is none."""
        by_ticker = party.startswith("$")
        companies = self._companies
        found: Company | None = companies.by_ticker(US, party[1:]) if by_ticker else companies.exact(party)
        name = party.removeprefix("$")
        return found or Company(None, name, (name_key(name),), ())

    def _party(self, name: str) -> Company:
        """Returns the party that a name of these tables or of the tables of companies means today, or last meant."""
        namings = self._namings.get(_key(name), [])
        for naming in (*(naming for naming in namings if naming.validity.last is None), *namings):
            if naming.meaning.company is not None and not naming.meaning.product:
                return naming.meaning.company
        found: Company | None = self._companies.by_name(name)
        return found or self._company(name)

    def _add(self, text: str, meaning: Meaning) -> None:
        name, _, days = text.partition("@")
        if not days and meaning.company is not None and not meaning.product:
            self._lasting_names.setdefault(_id(meaning.company), []).append(name)
        self._written.append(name)
        letters = name.replace(".", "")
        capitals = letters.isupper() and len(letters) <= _MAX_CAPITALS
        self._namings.setdefault(_key(name), []).append(_Naming(meaning, Validity.parse(days), capitals))

    def writes(self, text: str) -> bool:
        """Returns whether the tables have a name in exactly this writing, such as "MGM studio"."""
        return text in self._writings

    def era(self, day: date | None) -> date | None:
        """Returns the first day of the time in which every name means the same as on a day; None without a day.

        So that results for one era can be cached together. Before the first change it is the first day of all.
        """
        if day is None:
            return None
        index = bisect_right(self._changes, day)
        return self._changes[index - 1] if index else date.min

    def by_name(self, text: str, day: date | None) -> Meaning:
        """Returns whom a name means on a day; without a day, whom it means now."""
        namings = self._namings.get(_key(text))
        if not namings:
            return _UNKNOWN
        letters = text.replace(".", "")
        if not letters.isupper():
            namings = [naming for naming in namings if not naming.capitals]
        elif len(letters) <= _SURELY_INITIALS:
            namings = [naming for naming in namings if naming.capitals]
        for naming in namings:
            if naming.validity.covers(day):
                company = naming.meaning.company
                return _UNKNOWN if company and has_another_form(text, company.names) else naming.meaning
        return _NOT_THEN if namings else _UNKNOWN

    def by_ticker(self, symbol: str, day: date | None) -> Meaning:
        """Returns whom a US ticker meant on a day; `known` is False if the tables do not have that ticker."""
        for naming in self._namings.get(f"${symbol.upper()}", ()):
            if naming.validity.covers(day):
                return naming.meaning
        return _UNKNOWN

    def display_name(self, company: Company, day: date | None) -> str:
        """Returns the name of a party on a day: "Research In Motion" for BlackBerry in 2010."""
        for name, validity in self._names_of_the_time.get(_id(company), ()):
            if validity.covers(day):
                return name
        return company.display_name

    def parent(self, company: Company, day: date | None) -> Company | None:
        """Returns the company that a party belonged to on a day, or None."""
        for parent, validity in self._parents.get(_id(company), ()):
            if validity.covers(day):
                return parent
        return None

    def names(self, company: Company) -> Iterable[str]:
        """Returns the names of a party that mean it at all times, without those of its products."""
        return self._lasting_names.get(_id(company), ())

    def overlaps(self) -> Iterator[str]:
        """Yields the names that mean two parties on one day. The first one counts, so a table should have none."""
        for key, namings in self._namings.items():
            for index, naming in enumerate(namings):
                for earlier in namings[:index]:
                    if earlier.meaning.company is not naming.meaning.company and _overlap(
                        earlier.validity, naming.validity
                    ):
                        yield key


def _overlap(first: Validity, second: Validity) -> bool:
    return (first.last is None or second.first is None or second.first <= first.last) and (
        second.last is None or first.first is None or first.first <= second.last
    )


def _key(name: str) -> str:
    """Returns what names of one party have in common: its words, or for a ticker the ticker itself."""
    return name if name.startswith("$") else join_key(name_key(name))


def _id(company: Company) -> str:
    return company.entity or f"name:{_key(company.name)}"


def _rows(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yields the columns of each line that is no comment."""
    for line in lines:
        if line.strip() and not line.startswith("#"):
            yield line.rstrip("\n").split("\t")


def _split(names: str) -> list[str]:
    return [name for name in names.split("|") if name]


@cache
def shipped_parties() -> PartyTable:
    """Returns the table of the shipped files over the shipped companies; builds it once."""
    lines = {
        name: (_TABLES / f"{name}.tsv").read_text(encoding="utf-8").splitlines()
        for name in ("parties", "institutions", "products", "subsidiaries")
    }
    return PartyTable(shipped_companies(), **lines)
