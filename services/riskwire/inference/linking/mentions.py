"""Finds the mentions in a sentence: the model's names, ticker marks and watchlist names, without overlaps. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from riskwire.entities.family_names import is_person
from riskwire.entities.legal_forms import form_end
from riskwire.entities.names import LEGAL_FORMS, words_of_name
from riskwire.inference.linking.candidate import Candidate, is_proper
from riskwire.inference.linking.companies import CompanyTable, agrees
from riskwire.inference.linking.context import is_ordinary_span, names_person
from riskwire.inference.linking.edges import corrected, joined_names, whole_name
from riskwire.inference.linking.parties import PartyTable
from riskwire.inference.linking.parties.missed_names import missed_names
from riskwire.inference.linking.tickers import TickerMark, name_before, ticker_marks
from riskwire.inference.linking.watched import WatchedNames
from riskwire.inference.linking.watched_mentions import with_watched
from riskwire.inference.model.named_spans import NamedSpan, trimmed
from riskwire.records import MentionType

_MAX_NAME = 200
"""Characters of a name."""
_KINDS: dict[str, MentionType] = {"PER": "PER", "ORG": "ORG", "LOC": "LOC"}
"""The types of the model's names; any other kind is MISC."""
_MAX_GAP = 2
"""Characters between a name and the ticker mark that belongs to it."""
_MAX_NAME_STARTS = 4
"""Possible starts of a name before a ticker mark. With more, the run of capitalised words is not a name."""


def candidates(
    sentence: str,
    names: Sequence[NamedSpan],
    watched: WatchedNames,
    companies: CompanyTable,
    parties: PartyTable,
    known: Callable[[str], object],
    *,
    title: bool = False,
) -> list[Candidate]:
    """Returns the spans in a sentence that may name a company, person or place, in order; no two overlap.

    They are names of the model, joined with the ticker marks right after them; ticker marks without a name; and names
    of the tables of parties and of the watchlist.

    Args:
        names: the names that the model found.
        watched: the names of the watchlist, which are added if the model missed them.
        known: returns a true value for a name that these tables have, `product` for that of a product.
        companies: the companies by ticker and name.
        parties: the parties by name, of which those of several words are added if the model missed them.
        title: whether the sentence is the title, in which other names that the model missed are sought, too.
    """
    marks = ticker_marks(sentence)
    mentions = _named(sentence, names, marks, known, parties)
    if title:
        mentions = _with_missed(sentence, mentions, companies, parties)
    if not (mentions or marks or watched):
        return []
    if len(mentions) > 1:
        mentions = _join_hyphenated(
            sentence, mentions, lambda name: companies.exact(name) is not None or watched.by_name(name)
        )
    if marks:
        mentions = _with_tickers(sentence, mentions, marks, companies)
    if watched:
        mentions = with_watched(sentence, mentions, watched, companies)
    return sorted(mentions, key=lambda mention: mention.start) if len(mentions) > 1 else mentions


def _named(
    sentence: str,
    names: Sequence[NamedSpan],
    marks: Sequence[TickerMark],
    known: Callable[[str], object],
    parties: PartyTable,
) -> list[Candidate]:
    """Returns the names that the model found as candidates, corrected at their edges (`edges.py`).

    A name is cut where a ticker mark such as "(NYSE:F)" begins, and dropped if it begins inside one. A name that is
    part of a longer one of the tables of parties ("Exchange Commission") is extended to it. Dropped are names without
    a letter, of a single character, of more than `_MAX_NAME` characters, and common words in an ordinary phrase
    ("Shell company fraud").
    """
    mentions: list[Candidate] = []
    spans = [*joined_names(sentence, names, known)]
    for place, (first, last, name_kind) in enumerate(spans):
        start, end = first, last
        following = spans[place + 1][0] if place + 1 < len(spans) else len(sentence)
        for mark in marks:
            if mark.start < end and mark.end > start:
                end = mark.start if start < mark.start else start
        start, end = trimmed(sentence, start, end)
        for part_start, part_end in corrected(sentence, start, end, known) if start < end else ():
            if end < following < part_end:  # what a name would go on with is a name of its own
                part_end = end  # noqa: PLW2901 - the part as the model has it
            if name_kind == "ORG" and not known(sentence[part_start:part_end]):
                previous = max(spans[place - 1][1] if place else 0, mentions[-1].end if mentions else 0)
                if previous < part_start - 1 or not previous:
                    part_start, part_end = whole_name(sentence, part_start, part_end, previous, following)  # noqa: PLW2901 - with the words that the model has cut
            part_end = form_end(sentence, part_start, part_end)  # noqa: PLW2901 - "Delta Corp" of which the model has "Delta"
            text = sentence[part_start:part_end]
            if (
                part_start + 1 < part_end <= part_start + _MAX_NAME
                and (text.isalpha() or any(map(str.isalpha, text)))
                and not is_ordinary_span(sentence, part_start, part_end)
            ):
                person = is_person(text) or names_person(sentence, part_start, part_end)
                kind = "PER" if person else _KINDS.get(name_kind, "MISC")
                mentions.append(Candidate(part_start, part_end, kind))
    return _with_parties(sentence, _partners(sentence, mentions, known), parties)


def _partners(sentence: str, mentions: list[Candidate], known: Callable[[str], object]) -> list[Candidate]:
    """Joins the names of partners that are not known by themselves: "Cravath, Swaine & Moore" is one firm."""
    joined: list[Candidate] = []
    for mention in mentions:
        previous = joined[-1] if joined else None
        if (
            previous is not None
            and sentence[previous.end : mention.start] == ", "
            and " & " in sentence[mention.start : mention.end]
            and " " not in sentence[previous.start : previous.end]
            and is_proper(sentence[mention.start : mention.end])
            and not known(sentence[previous.start : previous.end])
        ):
            joined[-1] = replace(mention, start=previous.start)
        else:
            joined.append(mention)
    return joined


def _with_parties(sentence: str, mentions: list[Candidate], parties: PartyTable) -> list[Candidate]:
    """Returns the candidates with names of several words of the tables added, in place of the parts that they contain.

    A candidate that contains such a name and more stays as it is.
    """
    for start, end in parties.find(sentence):
        if any(mention.start <= start and end <= mention.end for mention in mentions):
            continue
        for mention in mentions:
            if start < mention.start < end and LEGAL_FORMS.issuperset(words_of_name(sentence[end : mention.end])):
                end = max(end, mention.end)  # noqa: PLW2901 - with its legal form: "Chico's | FAS Inc"
        mentions = [mention for mention in mentions if mention.end <= start or end <= mention.start]
        mentions.append(Candidate(start, end, "ORG"))
    return sorted(mentions, key=lambda mention: mention.start)


def _with_missed(
    sentence: str, mentions: list[Candidate], companies: CompanyTable, parties: PartyTable
) -> list[Candidate]:
    """Returns the candidates with names added that the model missed, where the sentence shows them (`missed_names`)."""

    def is_taken(start: int, end: int) -> bool:
        return any(mention.start < end and start < mention.end for mention in mentions)

    def is_table_name(word: str) -> bool:
        meaning = parties.by_name(word, None)
        if meaning.known:
            return meaning.company is not None and not meaning.product
        company = companies.exact(word)
        return company is not None and company.standing == "constituent"

    for first, last, kind in missed_names(sentence, is_taken, is_table_name):
        start, end = trimmed(sentence, first, last)
        if not is_taken(start, end) and not names_person(sentence, start, end):
            mentions.append(Candidate(start, end, kind))
    return sorted(mentions, key=lambda mention: mention.start)


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
                (index for index, mention in enumerate(mentions) if _is_beside(sentence, mention.end, mark.start)), None
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


def _is_beside(sentence: str, end: int, mark_start: int) -> bool:
    """Returns whether a ticker mark belongs to a name right before it: "Research in Motion's RIM.TO"."""
    if sentence.startswith(("'s", "’s"), end):
        end += len("'s")
    return 0 <= mark_start - end <= _MAX_GAP


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
