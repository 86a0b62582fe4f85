"""Which spans of a sentence name something: the model's names, the marks of tickers and the watchlist's names, one of
each where they overlap. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from riskwire.entities.names import DESCRIPTORS, LEGAL, words_of_name
from riskwire.entities.watchlist import WatchedEntity
from riskwire.inference.linking.companies import CompanyTable, agrees
from riskwire.inference.linking.tickers import TickerMark, name_before, ticker_marks
from riskwire.inference.linking.watched import WatchedNames
from riskwire.inference.model.decode import NamedSpan, trimmed
from riskwire.records import MentionType

_LONGEST = 200
_KINDS: dict[str, MentionType] = {"PER": "PER", "ORG": "ORG", "LOC": "LOC"}
"""What the model's names are; the rest is MISC."""
_NEAR = 2
"""Characters between a name and the ticker mark that belongs to it."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A span of a sentence, what it seems to be, and what is known of it: its ticker, its watchlist entity."""

    start: int
    end: int
    kind: MentionType
    mark: TickerMark | None = None
    watched: WatchedEntity | None = None


def candidates(
    sentence: str, names: Sequence[NamedSpan], watched: WatchedNames, companies: CompanyTable
) -> list[Candidate]:
    """The mentions of a sentence in order; none overlaps another."""
    marks = ticker_marks(sentence)
    if not (names or marks or watched):
        return []
    found = _without_marks(sentence, names, marks)
    if len(found) > 1:
        found = _hyphenated(sentence, found, lambda name: companies.exact(name) is not None or watched.by_name(name))
    if marks:
        found = _with_tickers(sentence, found, marks, companies)
    if watched:
        found = _with_watched(sentence, found, watched)
    return sorted(found, key=lambda one: one.start) if len(found) > 1 else found


def _without_marks(sentence: str, names: Sequence[NamedSpan], marks: Sequence[TickerMark]) -> list[Candidate]:
    """The model's names, cut short where a ticker mark begins; what lies inside a mark is none."""
    kept = []
    for name in names:
        start, end = name.start, name.end
        for mark in marks:
            if mark.start < end and mark.end > start:
                end = mark.start if start < mark.start else start
        start, end = trimmed(sentence, start, end)
        text = sentence[start:end]
        if start + 1 < end <= start + _LONGEST and (text.isalpha() or any(map(str.isalpha, text))):
            kept.append(Candidate(start, end, _KINDS.get(name.kind, "MISC")))
    return kept


def _hyphenated(sentence: str, found: list[Candidate], known: Callable[[str], object]) -> list[Candidate]:
    """Two names at a hyphen are one where the whole is known: "Hewlett-Packard", not "Fiat-Chrysler"."""
    whole: list[Candidate] = []
    for one in found:
        before = whole[-1] if whole else None
        if before and sentence[before.end : one.start] == "-" and known(sentence[before.start : one.end]):
            whole[-1] = Candidate(before.start, one.end, "ORG")
        else:
            whole.append(one)
    return whole


def _with_tickers(
    sentence: str, found: list[Candidate], marks: Sequence[TickerMark], companies: CompanyTable
) -> list[Candidate]:
    """A mark belongs to the name right before it; without one it is a mention itself."""
    names = list(found)
    taken: set[int] = set()  # where marks end that belong to a name: one right behind belongs to the same
    for mark in marks:
        if taken.intersection(range(mark.start - _NEAR, mark.start + 1)):
            taken.add(mark.end)
            continue
        if not mark.alone:
            at = next((at for at, one in enumerate(names) if 0 <= mark.start - one.end <= _NEAR), None)
            if at is not None:
                names[at] = replace(names[at], kind="ORG", mark=names[at].mark or mark)
                taken.add(mark.end)
                continue
            if span := _unnamed(sentence, mark, companies):
                names = [one for one in names if one.end <= span[0] or one.start >= span[1]]
                names.append(Candidate(*span, "ORG", mark=mark))
                taken.add(mark.end)
                continue
        names.append(Candidate(mark.symbol_start, mark.symbol_end, "INSTRUMENT", mark=mark))
    return names


def _unnamed(sentence: str, mark: TickerMark, companies: CompanyTable) -> tuple[int, int] | None:
    """The name before a mark where the model saw none: the longest that agrees with the ticker, else all of it."""
    spans = name_before(sentence, mark.start)
    company = companies.by_ticker(mark.market, mark.symbol)
    if company is not None:
        for start, end in spans:
            if agrees(sentence[start:end], company):
                return trimmed(sentence, start, end)
    spans = [(start, end) for start, end in spans if not LEGAL.issuperset(words_of_name(sentence[start:end]))]
    last = spans[0][1] if spans else 0
    owner = max(sentence.rfind("'s ", 0, last), sentence.rfind("’s ", 0, last))
    spans = [(start, end) for start, end in spans if start > owner]  # "Canada's Potash Corp"
    return trimmed(sentence, *spans[0]) if spans and len(spans) <= 4 else None


def _with_watched(sentence: str, found: list[Candidate], watched: WatchedNames) -> list[Candidate]:
    """A watchlist name is a mention though the model missed it; inside a longer name it counts only where the rest
    says no more than the legal form or the trade ("Apple Inc", not "Apple Records", not "Henry Ford")."""
    mentions = found
    for span in watched.find(sentence):
        over = [one for one in mentions if one.start < span.end and one.end > span.start]
        longer = [one for one in over if one.start <= span.start and one.end >= span.end]
        if any(not _same_thing(sentence, one, span.start, span.end) for one in longer):
            continue
        start = min([span.start, *(one.start for one in longer)])
        end = max([span.end, *(one.end for one in longer)])
        kind: MentionType = longer[0].kind if longer else "ORG"
        mark = next((one.mark for one in over if one.mark), None)
        mentions = [one for one in mentions if one not in over]
        mentions.append(Candidate(start, end, kind, mark=mark, watched=span.entity))
    return mentions


def _same_thing(sentence: str, longer: Candidate, start: int, end: int) -> bool:
    rest = words_of_name(sentence[longer.start : start] + " " + sentence[end : longer.end])
    return all(word in LEGAL or word in DESCRIPTORS for word in rest)
