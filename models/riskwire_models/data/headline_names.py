"""Derives entity labels from rows that list only the names an opinion is about (SEntFiN, FinEntity).

Such a row leaves other names untagged. Two things can still be concluded with certainty. A listed span of capitalised
words is an organisation, unless it is an index, currency, commodity, sector or country. A word in lower case, or a
number, outside every span is not a name. Everything else is unknown, and the entity head is not trained on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from riskwire_models.data.labels import LabelledSpan, LabelledTarget

_WORD = re.compile(r"\S+")
_LOWER_CASE_OR_NUMBER = re.compile(r"[^A-Za-z]*[a-z][a-z'’\-]*[^A-Za-z]*|[^A-Za-z]+")

#: A span with one of these words is not an organisation: indices, currencies, commodities, sectors,
#: places and generic nouns, from the most frequent spans of both sets.
_NOT_ORGANISATIONS = frozenset(
    """
    nifty nifty50 sensex gold silver rupee dollar euro yen yuan won sterling pound copper nickel sugar oil brent crude
    zinc lead aluminium aluminum cotton wheat soybean soya corn cardamom pepper turmeric jeera bullion platinum
    palladium bitcoin ethereum
    markets market bond bonds bank-nifty banks midcap midcaps smallcap metals metal it fmcg pharma auto realty infra
    psu psus stocks shares stock equities futures index indices sector sectors wall street ftse nikkei dow jones nasdaq
    s&p stoxx dax cac hang seng kospi topix msci cnx spx ixic e-minis composite average 500 100 600 russell vix
    india china us u.s. uk u.k. usa japan europe european asia asian australia korea hong kong germany france russia
    america american chinese indian japanese british german euro-zone eurozone greece spain italy brazil canada
    singapore taiwan mexico iran iraq saudi ukraine turkey africa london york mumbai delhi
    treasury treasuries yields yield fii fiis dii diis mf mfs nbfc nbfcs ipo ipos telecom telcos cement steel power
    coal energy gas tea rubber forex commexes inc airlines hotels hospitals consumer discretionary
    """.split()  # noqa: SIM905
)
#: Generic words that may be part of a longer name ("Coal India", "Tata Steel", "Axis Bank").
_ALLOWED_IN_LONGER_NAME = frozenset(
    """
    india bank steel power coal energy gas tea auto pharma metal metals oil airlines hotels hospitals cement telecom
    inc it american british indian infra realty japan china singapore consumer us sugar rubber european london york
    """.split()  # noqa: SIM905
)


def _is_organisation(name: str) -> bool:
    """Returns whether a name from a headline may be that of an organisation.

    All its words are capitalised. Generic words such as those for markets and goods exclude it, except the ones that an
    organisation may have beside another word ("Steel" in a longer name).
    """
    words = name.split()
    if not words or not all(word[0].isupper() or word[0].isdigit() or word in {"&", "of", "and"} for word in words):
        return False
    generic = [word.strip(".,'’").lower() in _NOT_ORGANISATIONS or word.lower() in _NOT_ORGANISATIONS for word in words]
    if not any(generic):
        return True
    allowed = [
        not is_generic or word.lower() in _ALLOWED_IN_LONGER_NAME
        for is_generic, word in zip(generic, words, strict=True)
    ]
    return all(allowed) and not all(generic)


def certain_names(text: str, spans: Iterable[LabelledSpan | LabelledTarget]) -> tuple[LabelledSpan, ...]:
    """Returns the listed spans that are certainly organisations, labelled ORG; of overlapping spans the first."""
    names: list[LabelledSpan] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if names and span.start < names[-1].end:
            continue
        if _is_organisation(text[span.start : span.end]):
            names.append(LabelledSpan(span.start, span.end, "ORG"))
    return tuple(names)


def unknown_ranges(text: str, names: Sequence[LabelledSpan]) -> tuple[tuple[int, int], ...]:
    """Returns the character ranges of words outside ``names`` that may be names: those with a capital letter."""
    return tuple(
        (word.start(), word.end())
        for word in _WORD.finditer(text)
        if not _LOWER_CASE_OR_NUMBER.fullmatch(word[0])
        and not any(word.start() < name.end and word.end() > name.start for name in names)
    )
