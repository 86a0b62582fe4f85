"""What a row that lists only opinionated names still says for certain about names.

SEntFiN and FinEntity tag the names an opinion is about and leave other names untagged. Certain are: a listed
span made of capitalised words that is no index, currency, commodity, sector or country is an organisation; a word in
lower case, or a number, outside every span is no name. All else is unknown and must not teach the tagger.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from riskwire_models.data.labels import Span

_WORD = re.compile(r"\S+")
_PLAIN = re.compile(r"[^A-Za-z]*[a-z][a-z'’\-]*[^A-Za-z]*|[^A-Za-z]+")

#: A span with one of these words is not counted as an organisation: indices, currencies, commodities, sectors,
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
#: A generic word that is fine inside a longer name ("Coal India", "Tata Steel", "Axis Bank").
_FINE_IN_LONGER = frozenset(
    """
    india bank steel power coal energy gas tea auto pharma metal metals oil airlines hotels hospitals cement telecom
    inc it american british indian infra realty japan china singapore consumer us sugar rubber european london york
    """.split()  # noqa: SIM905
)


def _is_organisation(name: str) -> bool:
    words = name.split()
    if not words or not all(word[0].isupper() or word[0].isdigit() or word in {"&", "of", "and"} for word in words):
        return False
    known = [word.strip(".,'’").lower() in _NOT_ORGANISATIONS or word.lower() in _NOT_ORGANISATIONS for word in words]
    if not any(known):
        return True
    fine = [not bad or word.lower() in _FINE_IN_LONGER for bad, word in zip(known, words, strict=True)]
    return all(fine) and not all(known)


def certain_names(text: str, spans: Iterable[Span]) -> tuple[Span, ...]:
    """The listed spans that are certainly organisations, as ORG; overlapping ones once."""
    names: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if names and span.start < names[-1].end:
            continue
        if _is_organisation(text[span.start : span.end]):
            names.append(Span(span.start, span.end, "ORG"))
    return tuple(names)


def uncertain_stretches(text: str, names: Sequence[Span]) -> tuple[tuple[int, int], ...]:
    """The words outside ``names`` of which it is not known whether they are names: those with a capital letter."""
    return tuple(
        (word.start(), word.end())
        for word in _WORD.finditer(text)
        if not _PLAIN.fullmatch(word[0])
        and not any(word.start() < name.end and word.end() > name.start for name in names)
    )
