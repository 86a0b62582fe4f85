"""Finds ticker marks: `$AAPL`, `(NYSE: GM)`, `( GM.N )`, `<GM.N>`, `GM.N`. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from riskwire.inference.linking.companies import US

#: For each exchange code of Reuters, the suffix that Yahoo uses (`US` for American markets).
_REUTERS = {
    **dict.fromkeys(("N", "O", "OQ", "A", "P", "K", "PK", "OB"), US),
    **{code: code for code in ("L", "DE", "F", "PA", "AS", "BR", "MI", "MC", "T", "TO", "HK", "AX", "OL", "ST", "HE",
                               "CO", "VI", "BO", "NS", "KS", "TW", "SI", "SA", "MX", "IR", "LS")},
    "AT": "AT", "VX": "SW", "S": "SW", "UL": "", "SS": "SS", "SZ": "SZ", "KW": "KW", "MM": "ME", "OS": "OS", "JO": "JO",
}  # fmt: skip
_EXCHANGES = {
    **dict.fromkeys(("NYSE", "NASDAQ", "NYSEAMERICAN", "NYSEARCA", "NYSEMKT", "AMEX", "OTC", "OTCQX", "OTCQB",
                     "OTCMKTS", "NASDAQGS", "NASDAQGM", "NASDAQCM", "OTCPK", "CBOE"), US),
    "LSE": "L", "LON": "L", "AIM": "L", "TSX": "TO", "TSXV": "V", "ASX": "AX", "ETR": "DE", "XETRA": "DE", "FRA": "F",
    "EPA": "PA", "AMS": "AS", "EBR": "BR", "BIT": "MI", "BME": "MC", "SWX": "SW", "SIX": "SW", "TYO": "T", "TSE": "T",
    "HKG": "HK", "HKEX": "HK", "SEHK": "HK", "STO": "ST", "HEL": "HE", "CPH": "CO", "OSE": "OL", "NSE": "NS",
    "BSE": "BO", "EURONEXT": "",
}  # fmt: skip

_REUTERS_CODE = (
    r"(?P<{0}>[A-Z0-9]{{1,8}}[a-z]{{0,2}})\.(?P<{0}_at>" + "|".join(sorted(_REUTERS, key=len, reverse=True)) + r")"
)
_EXCHANGE = r"NYSE(?:[ -]?(?:American|Arca|MKT|AMERICAN|ARCA))?|(?i:nasdaq)(?:[ -]?(?:GS|GM|CM))?|" + "|".join(
    sorted(set(_EXCHANGES) - {"NYSE", "NASDAQ"}, key=len, reverse=True)
)
_MARK = re.compile(
    r"\(\s*" + _REUTERS_CODE.format("paren") + r"\s*\)"
    r"|<\s*(?P<angle>[A-Z0-9]{1,8})(?:\.(?P<angle_at>[A-Z]{1,3}))?\s*>"
    r"|\(\s*(?:" + _EXCHANGE + r")\s*(?::|,)\s*\$?(?P<listed>[A-Z0-9][A-Z0-9.\-]{0,9})[^()]{0,60}\)"
    r"|(?<![\w$.])\$(?P<cash>[A-Z]{1,6}(?:[.\-][A-Z]{1,2})?)(?![\w$]|\.\w)"
    r"|\(\s*\$(?P<cash_paren>[A-Z]{1,6})\s*\)"
    r"|(?<![\w.$&-])(?P<bare>[A-Z]{2,6}|\d{4})\.(?P<bare_at>N|O|OQ|PK|L|PA|DE|VX|MI|MC|AS|TO|AX|HK|T|BO|NS|UL|OS|KS)(?![\w.]\w|\w)"
)
_DOTTED = re.compile(r"\.(?<=[A-Z\d]\.)[A-Z]")
"""A pattern that every mark without a bracket or a `$` contains."""
_NAMED_EXCHANGE = re.compile(_EXCHANGE)


@dataclass(frozen=True, slots=True)
class TickerMark:
    """A mark of a listed instrument in a sentence.

    Attributes:
        start: the start of the mark, with its brackets.
        end: the end of the mark, with its brackets.
        symbol_start: the start of the symbol, with its market.
        symbol_end: the end of the symbol, with its market.
        market: `US`, or the suffix that Yahoo uses for the market (`L`, `DE`, `PA`, …).
        is_cashtag: whether it is a `$TICKER` in running text, which belongs to no name before it.
    """

    start: int
    end: int
    symbol_start: int
    symbol_end: int
    market: str
    symbol: str
    is_cashtag: bool


def ticker_marks(sentence: str) -> list[TickerMark]:
    """Returns the ticker marks in a sentence, in order: `$AAPL`, `(NYSE: GM)`, `(GM.N)`, `<GM.N>`, `GM.N`.

    A sentence without a bracket, a `$` or a dot between capitals has none, which is checked first because it is cheap.
    """
    bracketed = "(" in sentence or "$" in sentence or "<" in sentence
    if not bracketed and _DOTTED.search(sentence) is None:
        return []
    return [_mark(match) for match in _MARK.finditer(sentence)]


def _mark(match: re.Match[str]) -> TickerMark:
    """Returns the ticker mark of a match of `_MARK`. The group that matched says which form the mark has.

    The forms are `paren` for `(GM.N)`, `angle` for `<GM.N>`, `bare` for `GM.N`, `listed` for `(NYSE: GM)`, `cash` for
    `$GM` and `cash_paren` for `($GM)`. Groups `..._at` hold the exchange code of Reuters, such as N. The market is US
    without a code or for an unknown exchange; an unknown code is the market itself. The symbol is in capitals, with `-`
    for a dot.
    """
    group = match.lastgroup or ""
    kind = group.removesuffix("_at")
    symbol = match[kind]
    market = US
    if kind in {"paren", "angle", "bare"}:
        code = match[f"{kind}_at"]
        market = _REUTERS.get(code, code) if code else US
    elif kind == "listed":
        exchange = _NAMED_EXCHANGE.search(match[0])
        market = _EXCHANGES.get(exchange[0].upper().replace(" ", "").replace("-", ""), US) if exchange else US
    start, end = match.span(kind)
    if kind in {"paren", "angle", "bare"} and match[f"{kind}_at"]:
        end = match.end(f"{kind}_at")
    if kind == "cash":
        start -= 1
    return TickerMark(match.start(), match.end(), start, end, market, symbol.upper().replace(".", "-"), kind == "cash")


_CAPITALISED_RUN = re.compile(
    r"(?:(?<=\s)|^|(?<=[(\"'“–-]))[A-Z0-9][\w&'’.\-/]*"
    r"(?:\s+(?:(?:of|and|&|de|the|for|del|du|la)\s+)?[A-Z0-9&][\w&'’.\-/]*)*\s*$"
)
_MAX_NAME = 90
"""Characters before a ticker mark in which its name is sought."""
_NOT_FIRST_WORD = frozenset({"The", "Shares", "Rival", "Its", "A", "An", "And", "But", "Both", "By"})


def name_before(sentence: str, end: int) -> list[tuple[int, int]]:
    """Returns the spans right before `end` that may be the name of a ticker mark, the longest first.

    They are the run of capitalised words that ends at the mark, and the same run without its first words. None begins
    with a word such as "The" or "Shares". The list is empty if no such run ends there; only the last `_MAX_NAME`
    characters are searched.

    Args:
        end: the offset at which the ticker mark begins.
    """
    start = max(0, end - _MAX_NAME)
    run = _CAPITALISED_RUN.search(sentence[start:end])
    if not run:
        return []
    first, last = start + run.start(), start + len(sentence[start:end].rstrip())
    starts = [first]
    for word in re.finditer(r"\s+(?=[A-Z0-9&])", sentence[first:last]):
        starts.append(first + word.end())
    return [
        (start, last)
        for start in starts
        if start < last and sentence[start:last].split(maxsplit=1)[0] not in _NOT_FIRST_WORD
    ]
