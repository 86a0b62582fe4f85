"""Whether the target of an alert is the party that the list of events names: "GM" and "General Motors". Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from riskwire.entities.names import DESCRIPTORS, LEGAL_FORMS, acronyms, is_prefix, join_key, name_key, words_of_name
from riskwire.entities.watchlist import Watchlist
from riskwire.inference.linking import LinkedMention, Linker
from riskwire.inference.model.named_spans import NamedSpan
from riskwire.inference.model.prediction import DocumentPrediction, PredictedSentence, SentencePrediction
from riskwire.inference.model.sentences import SentenceSpan, TextDocument

OTHER_NAMES = Path(__file__).with_name("party_names.tsv")
_COMMON = frozenset(
    [
        *("american", "bank", "british", "china", "dutch", "europe", "european", "first", "france", "french"),
        *("and", "of", "the", "for"),
        *("general", "german", "germany", "group", "india", "irish", "japan", "national", "new", "north", "royal"),
        *("south", "state", "states", "swiss", "united", "us", "world", "york"),
    ]
) | DESCRIPTORS | LEGAL_FORMS  # fmt: skip
"""Words that many parties share: they do not show that two names are of one party."""
_SHORTEST = 4
"""Letters of an abbreviated word, such as "Micro" for "Microsystems"."""


class _Party(NamedTuple):
    """The result of linking a name.

    Attributes:
        targets: the targets to which it resolves.
        known: whether it is a country, a listed company or on the watchlist, and so no person.
    """

    targets: frozenset[str]
    known: bool


class PartyNames:
    """Decides which targets are the party that an event names.

    A target is the party if the linker resolves the name of the event to it; if their names agree (`names_agree`); or
    if it was linked in the title of the event's own first story under a name that shares a distinctive word with it.
    """

    def __init__(self, watchlist: Watchlist | None = None) -> None:
        self._linker = Linker(watchlist)
        self._parties: dict[str, _Party] = {}
        self._linked: dict[str, set[str]] = {}

    def add_linked(self, event_name: str, target: str, name: str, mention: str) -> None:
        """Notes a target that was linked in the title of an event's first story.

        Args:
            event_name: the name that the list has for the party.
            name: the name of the target.
            mention: the text that was linked to it.
        """
        if any(_share_a_word(event_name, candidate) for candidate in (name, mention)):
            self._linked.setdefault(event_name, set()).add(target)

    def targets_of(self, event_name: str) -> frozenset[str]:
        """Returns the targets that are the party by their id: resolved by the linker, or linked in a title."""
        return self._party(event_name).targets | self._linked.get(event_name, set())

    def is_party(self, event_name: str, target: str, name: str) -> bool:
        """Returns whether a target, with its name, is the party that an event names."""
        return target in self.targets_of(event_name) or any(
            names_agree(alias, name, known=self._party(event_name).known)
            for alias in (event_name, *other_names().get(event_name, ()))
        )

    def _party(self, event_name: str) -> _Party:
        """Returns the result of linking the name of an event and its other names."""
        if (party := self._parties.get(event_name)) is None:
            names = (event_name, *other_names().get(event_name, ()))
            mentions = [mention for name in names for kind in ("ORG", "LOC") for mention in self._link(name, kind)]
            entities = {mention.entity for mention in mentions}
            known = any(mention.watched or (mention.type == "LOC" and mention.followed) for mention in mentions) or any(
                not entity.startswith("name:") for entity in entities
            )
            party = self._parties[event_name] = _Party(frozenset(f"entity:{entity}" for entity in entities), known)
        return party

    def _link(self, name: str, kind: str) -> list[LinkedMention]:
        """Returns what the linker makes of a text that consists of one name."""
        names = (NamedSpan(0, len(name), kind),)
        reading = SentencePrediction((0.0, 1.0, 0.0), (), names, np.zeros((0, 2), dtype=np.int32), None)
        document = TextDocument(name, len(name))
        return self._linker.link(
            DocumentPrediction(document, (PredictedSentence(SentenceSpan(0, len(name), is_title=True), reading),))
        )


def names_agree(event_name: str, name: str, *, known: bool = False) -> bool:
    """Returns whether two names can only be of one party.

    They agree if they differ only in spelling and legal form ("Wal-Mart", "Walmart Inc"); if one is the initials of
    the other, with three letters or more; if the name only adds to the event's what a company does ("General Growth
    Properties"). Unless the event's party is known, they also agree if the name begins with the event's name of two
    words or more ("Smurfit-Stone Container"), or is a person of that last name ("Madoff", "Bernard Madoff").

    Args:
        known: whether the event's party is a country or a listed company.
    """
    first, second = name_key(event_name), name_key(name)
    if not first or not second:
        return False
    if join_key(first) == join_key(second):
        return True
    if _are_initials(event_name, name) or _are_initials(name, event_name):
        return True
    if is_prefix(first, second) and not set(first) <= _COMMON:
        only_adds = set(second[len(first) :]) <= DESCRIPTORS | LEGAL_FORMS
        return only_adds or (not known and len(first) > 1)
    is_last_name = len(first) == 1 and len(second) in (2, 3) and second[-1] == first[0]
    return is_last_name and not known and not set(second) & _COMMON


@cache
def other_names() -> dict[str, tuple[str, ...]]:
    """Returns the other names of parties, by the name that a list of events may have."""
    lines = OTHER_NAMES.read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return {name: tuple(aliases) for name, *aliases in rows}


def _are_initials(short: str, long: str) -> bool:
    letters = short.replace(".", "").replace("&", "")
    return len(letters) >= 3 and letters.isupper() and letters in acronyms(long)


def _share_a_word(first: str, second: str) -> bool:
    """Returns whether two names share a distinctive word, or one has the initials or a shortened word of the other."""
    if _are_initials_of_two(first, second) or _are_initials_of_two(second, first):
        return True
    mine, second_words = _distinctive(first), _distinctive(second)
    if mine & second_words or join_key(name_key(first)) == join_key(name_key(second)):
        return True
    return any(
        min(len(word), len(second_word)) >= _SHORTEST and (word.startswith(second_word) or second_word.startswith(word))
        for word in mine
        for second_word in second_words
    )


def _are_initials_of_two(short: str, long: str) -> bool:
    letters = short.replace(".", "")
    return len(letters) >= 2 and letters.isupper() and letters in acronyms(long)


def _distinctive(name: str) -> set[str]:
    return set(words_of_name(name)) - _COMMON


class NameIndex:
    """Finds the names of a list that mean a target, without comparing it with each name."""

    def __init__(self, parties: PartyNames, names: Iterable[str]) -> None:
        """Indexes names. The parties must know all targets that were linked in titles (`PartyNames.add_linked`)."""
        self._parties = parties
        self._order = {name: number for number, name in enumerate(dict.fromkeys(names))}
        self._by_mark: dict[str, set[str]] = defaultdict(set)
        self._found: dict[tuple[str, str], tuple[str, ...]] = {}
        for event_name in self._order:
            for target in parties.targets_of(event_name):
                self._by_mark[target].add(event_name)
            for name in (event_name, *other_names().get(event_name, ())):
                for mark in _marks(name):
                    self._by_mark[mark].add(event_name)

    def of(self, target: str, name: str) -> tuple[str, ...]:
        """Returns the names that mean a target, in the order of the list."""
        key = (target, name)
        if (matches := self._found.get(key)) is None:
            marks = {target, *_marks(name)}
            candidates = set().union(*(self._by_mark.get(mark, ()) for mark in marks))
            matches = self._found[key] = tuple(
                event_name
                for event_name in sorted(candidates, key=self._order.__getitem__)
                if self._parties.is_party(event_name, target, name)
            )
        return matches


def _marks(name: str) -> set[str]:
    """Returns what two names that agree have in common: at least one of these texts."""
    key = name_key(name)
    if not key:
        return set()
    letters = name.replace(".", "").replace("&", "")
    return {f"word {key[0]}", f"word {key[-1]}", f"key {join_key(key)}"} | {
        f"initials {initials}" for initials in acronyms(name) | ({letters} if letters.isupper() else frozenset())
    }
