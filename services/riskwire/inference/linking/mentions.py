"""Finds the mentions in a sentence: the model's names, ticker marks and watchlist names, without overlaps. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from riskwire.entities.names import DESCRIPTORS, LEGAL_FORMS, PARTS, words_of_name
from riskwire.entities.watchlist import WatchedEntity
from riskwire.inference.linking.companies import CompanyTable, agrees, is_company_of
from riskwire.inference.linking.context import (
    in_list,
    is_longer_name,
    is_ordinary_span,
    shows_company,
    shows_institution,
    shows_ticker,
)
from riskwire.inference.linking.tickers import TickerMark, name_before, ticker_marks
from riskwire.inference.linking.watched import WatchedNames, WatchedSpan
from riskwire.inference.model.named_spans import NamedSpan, trimmed
from riskwire.records import MentionType

COMPANY_TYPES: tuple[MentionType, ...] = ("ORG", "INSTRUMENT")
_MAX_NAME = 200
"""Characters of a name."""
_KINDS: dict[str, MentionType] = {"PER": "PER", "ORG": "ORG", "LOC": "LOC"}
"""The types of the model's names; any other kind is MISC."""
_MAX_GAP = 2
"""Characters between a name and the ticker mark that belongs to it."""
_MAX_NAME_STARTS = 4
"""Possible starts of a name before a ticker mark. With more, the run of capitalised words is not a name."""

_REPORT = re.compile(r"\s+(?:EPS|[QH][1-4]|FY\s?\d*)\b.*", re.DOTALL)
"""What follows a name in the title of a report, which the model takes for a part of the name: "TJX EPS"."""
_ADDED = LEGAL_FORMS | DESCRIPTORS | PARTS
"""Words that a longer form of a name may add to it."""
_JOINTS = "-–/"
"""Characters that join two names, as in "Schwab-Ameritrade"."""


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


def candidates(
    sentence: str, names: Sequence[NamedSpan], watched: WatchedNames, companies: CompanyTable
) -> list[Candidate]:
    """Returns the spans in a sentence that may name a company, person or place, in order; no two overlap.

    They are names of the model, joined with the ticker marks right after them; ticker marks without a name; and names
    of the watchlist.

    Args:
        names: the names that the model found.
        watched: the names of the watchlist, which are added if the model missed them.
        companies: the companies by ticker and name.
    """
    marks = ticker_marks(sentence)
    if not (names or marks or watched):
        return []
    mentions = _without_marks(sentence, names, marks)
    if len(mentions) > 1:
        mentions = _join_hyphenated(
            sentence, mentions, lambda name: companies.exact(name) is not None or watched.by_name(name)
        )
    if marks:
        mentions = _with_tickers(sentence, mentions, marks, companies)
    if watched:
        mentions = _with_watched(sentence, mentions, watched, companies)
    return sorted(mentions, key=lambda mention: mention.start) if len(mentions) > 1 else mentions


def _without_marks(sentence: str, names: Sequence[NamedSpan], marks: Sequence[TickerMark]) -> list[Candidate]:
    """Returns the names that the model found as candidates, cut where a ticker mark such as "(NYSE:F)" begins.

    A name that begins inside a mark is dropped. So is one without a letter, of a single character, of more than
    `_MAX_NAME` characters, or a common word in an ordinary phrase ("Shell company fraud").
    """
    mentions = []
    for name in names:
        start, end = name.start, name.end
        for mark in marks:
            if mark.start < end and mark.end > start:
                end = mark.start if start < mark.start else start
        start, end = trimmed(sentence, start, end)
        text = sentence[start:end]
        if (
            start + 1 < end <= start + _MAX_NAME
            and (text.isalpha() or any(map(str.isalpha, text)))
            and not is_ordinary_span(sentence, start, end)
        ):
            mentions.append(Candidate(start, end, _KINDS.get(name.kind, "MISC")))
    return mentions


def _join_hyphenated(sentence: str, mentions: list[Candidate], known: Callable[[str], object]) -> list[Candidate]:
    """Joins two names at a hyphen where the joined name is known: "Hewlett-Packard", but not "Fiat-Chrysler".

    A joined name is a candidate of kind ORG; the other candidates are returned as they are.

    Args:
        known: returns a true value for a name of the company table or the watchlist.
    """
    joined: list[Candidate] = []
    for mention in mentions:
        previous = joined[-1] if joined else None
        if previous and sentence[previous.end : mention.start] == "-" and known(sentence[previous.start : mention.end]):
            joined[-1] = Candidate(previous.start, mention.end, "ORG")
        else:
            joined.append(mention)
    return joined


def _with_tickers(
    sentence: str, mentions: list[Candidate], marks: Sequence[TickerMark], companies: CompanyTable
) -> list[Candidate]:
    """Returns the candidates with ticker marks such as "(NYSE:F)" added to the names right before them.

    A name with a mark becomes ORG; of several marks in a row, the first one counts. If the model missed the name, it
    is added and replaces the candidates that it overlaps. A mark without a name, and a cashtag ("$F") in any case,
    becomes a mention of kind INSTRUMENT, which spans the symbol.
    """
    mentions = list(mentions)
    attached_ends: set[int] = set()  # ends of marks that belong to a name; a mark right after one belongs to it too
    for mark in marks:
        if attached_ends.intersection(range(mark.start - _MAX_GAP, mark.start + 1)):
            attached_ends.add(mark.end)
            continue
        if not mark.is_cashtag:
            named = next(
                (index for index, mention in enumerate(mentions) if 0 <= mark.start - mention.end <= _MAX_GAP), None
            )
            if named is not None:
                mentions[named] = replace(mentions[named], kind="ORG", mark=mentions[named].mark or mark)
                attached_ends.add(mark.end)
                continue
            if span := _missed_name(sentence, mark, companies):
                mentions = [mention for mention in mentions if mention.end <= span[0] or mention.start >= span[1]]
                mentions.append(Candidate(*span, "ORG", mark=mark))
                attached_ends.add(mark.end)
                continue
        mentions.append(Candidate(mark.symbol_start, mark.symbol_end, "INSTRUMENT", mark=mark))
    return mentions


def _missed_name(sentence: str, mark: TickerMark, companies: CompanyTable) -> tuple[int, int] | None:
    """Returns the span of the name before a ticker mark that the model missed, or None if there is none.

    It is the longest run of capitalised words right before the mark that agrees with the company of the ticker.
    Otherwise it is the longest run that begins after a possessive and is no mere legal form, unless more than
    `_MAX_NAME_STARTS` such runs show that the words are not a name.
    """
    spans = name_before(sentence, mark.start)
    company = companies.by_ticker(mark.market, mark.symbol)
    if company is not None:
        for start, end in spans:
            if agrees(sentence[start:end], company):
                return trimmed(sentence, start, end)
    spans = [(start, end) for start, end in spans if not LEGAL_FORMS.issuperset(words_of_name(sentence[start:end]))]
    last = spans[0][1] if spans else 0
    possessive = max(sentence.rfind("'s ", 0, last), sentence.rfind("’s ", 0, last))
    spans = [(start, end) for start, end in spans if start > possessive]  # "Canada's Potash Corp"
    return trimmed(sentence, *spans[0]) if spans and len(spans) <= _MAX_NAME_STARTS else None


def _with_watched(
    sentence: str, mentions: list[Candidate], watched: WatchedNames, companies: CompanyTable
) -> list[Candidate]:
    """Returns the candidates with watchlist names added, also those that the model missed.

    A watchlist name replaces the candidates that it overlaps, extends to the ends of a longer one, and takes their
    ticker mark. Inside a longer name, a watchlist name counts only where the other words are a legal form, a trade or a
    part: in "Apple Inc", but not in "Apple Records" or "Henry Ford"; and where a hyphen joins two names
    ("Shell-BG deal"). A name that needs support and has none is only a possible mention.
    """
    found = watched.find(sentence)
    sure = [Candidate(span.start, span.end, "ORG") for span in found.spans if span.need == "none"]
    for span in found.spans:
        overlapping = [mention for mention in mentions if mention.start < span.end and mention.end > span.start]
        longer = [mention for mention in overlapping if mention.start <= span.start and mention.end >= span.end]
        if longer and not span.full and not _is_same_name(sentence, longer[0], span, companies):
            parts = _hyphenated_parts(sentence, longer[0], span, companies)
            if not parts:
                continue
            longer = [Candidate(span.start, span.end, "ORG")]
            mentions = [*(mention for mention in mentions if mention not in overlapping), *parts, *longer]
            overlapping = longer
        supported = _is_supported(sentence, span, [*mentions, *sure])
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
        mentions = [*(mention for mention in mentions if mention not in overlapping), candidate]
    if found.excluded:
        mentions = [_without_excluded(mention, found.excluded) for mention in mentions]
    return mentions


def _without_excluded(mention: Candidate, excluded: Sequence[tuple[int, int, WatchedEntity]]) -> Candidate:
    """Returns a candidate that knows the entries whose excluded phrases it overlaps."""
    entries = tuple(entity for first, last, entity in excluded if first < mention.end and last > mention.start)
    return replace(mention, excluded=entries) if entries else mention


def _is_supported(sentence: str, span: WatchedSpan, mentions: Sequence[Candidate]) -> bool:
    """Returns whether a watchlist name counts: it needs nothing, or something in its sentence supports it.

    A mark supports it; so does a place in a list of companies. The model supports a name that it takes for an
    organisation, unless the name is that of an index. A bare ticker needs words about shares or results, too.

    Args:
        mentions: the candidates of the sentence.
    """
    overlapping = [mention for mention in mentions if mention.start < span.end and mention.end > span.start]
    if span.need == "none" or any(mention.mark is not None for mention in overlapping):
        return True
    if is_longer_name(sentence, span.end):
        return False
    if span.need == "mark":
        return shows_institution(sentence, span.end)
    by_model = any(mention.kind in COMPANY_TYPES for mention in overlapping)
    if _is_listed(sentence, span, mentions):
        return True
    if span.ticker:
        return shows_ticker(sentence, span.start, span.end, organisation=by_model)
    return by_model or shows_company(sentence, span.start, span.end)


def _is_listed(sentence: str, span: WatchedSpan, mentions: Sequence[Candidate]) -> bool:
    """Returns whether a name or ticker stands in a list beside another: "Target and Lowe's", "MU, WDC"."""
    return any(
        mention.kind in COMPANY_TYPES
        and (not span.ticker or sentence[mention.start : mention.end].isupper())
        and (
            (mention.end <= span.start and in_list(sentence[mention.end : span.start]))
            or (span.end <= mention.start and in_list(sentence[span.end : mention.start]))
        )
        for mention in mentions
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
    if not _ADDED.issuperset(added):
        return False
    company = companies.exact(sentence[longer.start : longer.end]) if added else None
    if company is not None:
        return is_company_of(span.entity, company)
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
