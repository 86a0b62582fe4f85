"""Adds the names of the watchlist to the mentions of a sentence, where they count. Pure."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

from riskwire.entities.legal_forms import form_end
from riskwire.entities.names import DESCRIPTORS, LEGAL_FORMS, PARTS, words_of_name
from riskwire.inference.linking.candidate import COMPANY_TYPES, Candidate
from riskwire.inference.linking.companies import CompanyTable, is_company_of, names_another_company
from riskwire.inference.linking.context import (
    in_list,
    is_longer_name,
    names_person,
    shows_company,
    shows_institution,
    shows_ticker,
)
from riskwire.inference.linking.watched import WatchedNames, WatchedSpan

_REPORT = re.compile(r"\s+(?:EPS|[QH][1-4]|FY\s?\d*)\b.*", re.DOTALL)
"""What follows a name in the title of a report, which the model takes for a part of the name: "TJX EPS"."""
_ADDED = LEGAL_FORMS | DESCRIPTORS | PARTS
"""Words that a longer form of a name may add to it."""
_SEPARATE = frozenset({"pharma", "pharmaceuticals", "steel"})
"""Trades by which separate companies of one name differ: "GSK Pharma" is not GSK."""
_JOINTS = "-–/"
"""Characters that join two names, as in "Schwab-Ameritrade"."""


class _PlacedMentions:
    """The mentions of a sentence by their place. They do not overlap, so that each is found by bisection.

    A sentence may be long and hostile: every step takes a time that hardly grows with the number of mentions.
    """

    def __init__(self, mentions: Sequence[Candidate]) -> None:
        self.mentions = sorted(mentions, key=lambda mention: mention.start)
        self._starts = [mention.start for mention in self.mentions]

    def overlapping(self, start: int, end: int) -> list[Candidate]:
        """Returns the mentions that overlap a span, in order."""
        last = first = bisect_left(self._starts, end)
        while first > 0 and self.mentions[first - 1].end > start:
            first -= 1
        return self.mentions[first:last]

    def beside(self, start: int, end: int) -> list[Candidate]:
        """Returns the last mention before a span and the first one after it, if there are any."""
        before = bisect_left(self._starts, start)
        while before > 0 and self.mentions[before - 1].end > start:
            before -= 1
        after = bisect_left(self._starts, end)
        return [*self.mentions[max(0, before - 1) : before], *self.mentions[after : after + 1]]

    def replace(self, old: Sequence[Candidate], new: Sequence[Candidate]) -> None:
        """Replaces adjacent mentions by others in their place; without old ones, adds the new ones.

        Args:
            old: mentions that `overlapping` returned.
            new: mentions in any order.
        """
        added = sorted(new, key=lambda mention: mention.start)
        first = bisect_left(self._starts, old[0].start if old else added[0].start)
        self.mentions[first : first + len(old)] = added
        self._starts[first : first + len(old)] = [mention.start for mention in added]


def with_watched(
    sentence: str, mentions: list[Candidate], watched: WatchedNames, companies: CompanyTable
) -> list[Candidate]:
    """Returns the candidates with watchlist names added, also those that the model missed.

    A watchlist name replaces the candidates that it overlaps, extends to the ends of a longer one, and takes their
    ticker mark. Inside a longer name, a watchlist name counts only where the other words are a legal form, a trade or a
    part: in "Apple Inc", but not in "Apple Records" or "Henry Ford"; and where a hyphen joins two names
    ("Shell-BG deal"). A name that needs support and has none is only a possible mention.
    """
    matches = watched.find(sentence)
    placed = _PlacedMentions(mentions)
    sure = [Candidate(span.start, span.end, "ORG") for span in matches.spans if span.need == "none"]
    surely_placed = _PlacedMentions(sure)
    for span in matches.spans:
        overlapping = placed.overlapping(span.start, span.end)
        longer = [mention for mention in overlapping if mention.start <= span.start and mention.end >= span.end]
        if longer and not span.full and not _is_same_name(sentence, longer[0], span, companies):
            parts = _hyphenated_parts(sentence, longer[0], span, companies)
            if not parts:
                continue
            longer = [Candidate(span.start, span.end, "ORG")]
            placed.replace(overlapping, [*parts, *longer])
            overlapping = longer
        if not span.full and _is_someone_else(sentence, span, companies):
            continue
        near = [*placed.beside(span.start, span.end), *surely_placed.beside(span.start, span.end)]
        supported = _is_supported(sentence, span, overlapping, near)
        if not supported and ((overlapping and not longer) or (span.ticker and not is_longer_name(sentence, span.end))):
            continue  # what the model or a mark names there is resolved by itself
        start, end = _extent(sentence, longer[0], span) if longer else (span.start, span.end)
        candidate = Candidate(
            start,
            end,
            longer[0].kind if longer else "ORG",
            mark=next((mention.mark for mention in overlapping if mention.mark), None),
            watched=span.entity if supported else None,
            possible=None if supported else span.entity,
            only_possible=not supported and not longer,
        )
        placed.replace(overlapping, [candidate])
    for start, end, entity in matches.excluded:
        if hidden := placed.overlapping(start, end):
            placed.replace(hidden, [replace(mention, excluded=(*mention.excluded, entity)) for mention in hidden])
    return placed.mentions


def _is_someone_else(sentence: str, span: WatchedSpan, companies: CompanyTable) -> bool:
    """Returns whether the words around a name show a person, or its legal form another company: "Delta Corp"."""
    if names_person(sentence, span.start, span.end):
        return True
    end = form_end(sentence, span.start, span.end)
    return end > span.end and names_another_company(sentence[span.start : end], span.entity, companies)


def _is_supported(
    sentence: str, span: WatchedSpan, overlapping: Sequence[Candidate], near: Sequence[Candidate]
) -> bool:
    """Returns whether a watchlist name counts: it needs nothing, or something in its sentence supports it.

    A mark supports it; so does a place in a list of companies. The model supports a name that it takes for an
    organisation, unless the name is that of an index. A bare ticker needs words about shares or results, too.

    Args:
        overlapping: the candidates that overlap the name.
        near: the candidates before and after it.
    """
    if span.need == "none" or any(mention.mark is not None for mention in overlapping):
        return True
    if is_longer_name(sentence, span.end):
        return False
    if span.need == "mark":
        return shows_institution(sentence, span.end)
    by_model = any(mention.kind in COMPANY_TYPES for mention in overlapping)
    if _is_listed(sentence, span, near):
        return True
    if span.ticker:
        return shows_ticker(sentence, span.start, span.end, organisation=by_model)
    return by_model or shows_company(sentence, span.start, span.end)


def _is_listed(sentence: str, span: WatchedSpan, near: Sequence[Candidate]) -> bool:
    """Returns whether a name or ticker is in a list beside another: "Target and Lowe's", "MU, WDC"."""
    return any(
        mention.kind in COMPANY_TYPES
        and (not span.ticker or sentence[mention.start : mention.end].isupper())
        and (
            (mention.end <= span.start and in_list(sentence[mention.end : span.start]))
            or (span.end <= mention.start and in_list(sentence[span.end : mention.start]))
        )
        for mention in near
    )


def _is_same_name(sentence: str, longer: Candidate, span: WatchedSpan, companies: CompanyTable) -> bool:
    """Returns whether a longer name adds only a legal form, a trade or a part to a watchlist name.

    It does not if the tables have another company of the longer name, such as Delta Electronics. With a trade, a common
    word is the same name only if they have the company of the entry: "Visa Steel" is not Visa.
    """
    before, after = sentence[longer.start : span.start], _REPORT.sub("", sentence[span.end : longer.end])
    added = words_of_name(before + " " + after)
    if span.need == "none" and not before and after.islower():
        return True  # the model took the next word for a part of the name: "Tesla owners"
    if not _ADDED.issuperset(added) or names_another_company(sentence[span.start : longer.end], span.entity, companies):
        return False
    company = companies.exact(sentence[longer.start : longer.end]) if added else None
    if company is not None:
        return is_company_of(span.entity, company)
    if not _SEPARATE.isdisjoint(added):
        return False
    parts = all(word in LEGAL_FORMS or word in PARTS for word in added)
    return parts or span.ticker or span.need == "none" or after.islower()


def _extent(sentence: str, longer: Candidate, span: WatchedSpan) -> tuple[int, int]:
    """Returns the span of a watchlist name in a longer one: with a legal form, trade or part, without other words."""
    before, after = sentence[longer.start : span.start], sentence[span.end : longer.end]
    added = _ADDED.issuperset(words_of_name(after))
    end = longer.end if added and not span.full else span.end
    return (span.start if span.full and before else longer.start), max(end, span.end)


def _hyphenated_parts(
    sentence: str, longer: Candidate, span: WatchedSpan, companies: CompanyTable
) -> list[Candidate] | None:
    """Returns the other names of a joint name such as "Shell-BG", or None if it is not a joint of two names."""
    before, after = sentence[longer.start : span.start], sentence[span.end : longer.end]
    joint = (not before or before[-1] in _JOINTS) and (not after or after[0] in _JOINTS)
    if not joint or companies.exact(sentence[longer.start : longer.end]) is not None:
        return None
    others = [(longer.start, span.start - 1)] if before else []
    others += [(span.end + 1, longer.end)] if after else []
    if not all(sentence[start : start + 1].isupper() for start, _ in others):
        return None
    return [Candidate(start, end, "ORG") for start, end in others if end > start + 1]
