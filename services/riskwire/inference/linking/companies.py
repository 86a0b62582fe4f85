"""Listed companies: pytickersymbols (names, listings, ISINs) and the SEC's table (names, US tickers, CIKs).

An entity id is never guessed: an ISIN is taken only where a company has exactly one that fits its country and that no
other company claims; then the SEC's CIK; a name or ticker that two companies share finds neither.
"""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from riskwire.entities.isin import is_isin
from riskwire.entities.names import DESCRIPTORS, acronyms, is_prefix, joined, name_key
from riskwire.inference.linking.tables.build import TABLE

_NOTE = re.compile(r"\s*/\s*(?:[A-Z]{2,4}\s*/?)?\s*$|\s*\([^()]*\)\s*$")
_SHOUTED = re.compile(r"\b(?:[A-Z]{4,}|(?:INC|CO|LTD)\b)(?:'S\b)?")
_LISTED = ("NYSE:", "NASDAQ:", "CBOE:")
ALIASES = TABLE.with_name("aliases.tsv")
US = "US"
Standing = Literal["constituent", "listed", "obscure"]
"""A constituent of a large index may be meant by a short form or its initials; another listed company only by its name;
one traded over the counter only by a name of two words or more ("Morgan" and "Congress" are companies, too)."""
_COUNTRY = {
    "united states": "US", "germany": "DE", "united kingdom": "GB", "france": "FR", "switzerland": "CH",
    "netherlands": "NL", "belgium": "BE", "spain": "ES", "italy": "IT", "sweden": "SE", "finland": "FI", "japan": "JP",
    "ireland": "IE", "luxembourg": "LU", "austria": "AT", "denmark": "DK", "norway": "NO", "canada": "CA",
    "australia": "AU",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Company:
    """A listed company: `entity` is `isin:…` or `cik:…`, or None when the tables hold no id that is surely its own."""

    entity: str | None
    name: str
    keys: tuple[tuple[str, ...], ...]
    tickers: tuple[tuple[str, str], ...]
    """(market, symbol); market is `US` or the suffix Yahoo uses (`L`, `DE`, `PA`, …)."""
    standing: Standing = "constituent"
    names: tuple[str, ...] = ()
    """As the tables write them."""

    @property
    def display_name(self) -> str:
        """The name as people write it: "MOODYS CORP /DE/" is "Moodys Corp"."""
        name = _NOTE.sub("", self.name).strip()
        return name if self.standing == "constituent" else _SHOUTED.sub(lambda word: word[0].capitalize(), name)


@dataclass(slots=True)
class _Draft:
    names: list[str]
    tickers: dict[tuple[str, str], None]
    isins: list[str]
    cik: str | None = None
    standing: Standing = "listed"


class CompanyTable:
    """Companies by name, by the beginning of a name, and by ticker."""

    def __init__(self, companies: Iterable[Company]) -> None:
        self._by_key: dict[str, Company | None] = {}
        self._by_prefix: dict[tuple[str, ...], Company | None] = {}
        self._by_ticker: dict[tuple[str, str], Company | None] = {}
        self._by_acronym: dict[str, Company | None] = {}
        for company in companies:
            for key in company.keys:
                if len(key) > 1 or company.standing != "obscure":
                    self._claim_key(joined(key), company)
                for length in range(1, len(key)):
                    _claim(self._by_prefix, key[:length], company)
            for ticker in company.tickers:
                _claim(self._by_ticker, ticker, company)
            initials = {initial for key in company.keys for initial in acronyms(" ".join(key))}
            initials |= acronyms(company.name)
            for market, symbol in company.tickers:
                if market == US and symbol in initials and company.standing == "constituent":
                    _claim(self._by_acronym, symbol, company)

    def _claim_key(self, key: str, company: Company) -> None:
        """A company with an ISIN goes before one without: "UBS" is the share, not the issuer of its notes."""
        other = self._by_key.setdefault(key, company)
        if other is None or other is company:
            return
        ranks = [bool(one.entity and one.entity.startswith("isin:")) for one in (other, company)]
        self._by_key[key] = None if ranks[0] == ranks[1] else other if ranks[0] else company

    def name_also(self, name: str, company: Company) -> None:
        """Let a name mean a company, whoever else bears it."""
        self._by_key[joined(name_key(name))] = company

    def exact(self, name: str) -> Company | None:
        """The company of that name but for case, punctuation and legal form; None where there are two."""
        return self._by_key.get(joined(name_key(name)))

    def by_name(self, name: str) -> Company | None:
        """The company of that name, exact or short: "Ford" finds "Ford Motor Company", because no other company begins
        so and what is missing only says what it does."""
        key = name_key(name)
        if not key:
            return None
        if joined(key) in self._by_key:
            return self._by_key[joined(key)]
        longer = self._by_prefix.get(key)
        if (
            longer is not None
            and longer.standing == "constituent"
            and any(is_prefix(key, one) and set(one[len(key) :]) <= DESCRIPTORS for one in longer.keys)
        ):
            return longer
        return None

    def by_ticker(self, market: str, symbol: str) -> Company | None:
        """The company listed under a symbol on a market today."""
        return self._by_ticker.get((market, symbol.upper()))

    def by_acronym(self, initials: str) -> Company | None:
        """The company whose US ticker is also the initials of its name ("GM", "AIG", "IBM")."""
        return self._by_acronym.get(initials)


def agrees(name: str, company: Company) -> bool:
    """Whether a name in a text can be that company's: tickers are given to others over the years, names tell."""
    key = name_key(name)
    if any(_alike(key, known) for known in company.keys):
        return True
    initials = name.strip().replace(".", "").upper()
    return any(initials in acronyms(" ".join(known)) for known in company.keys) or initials in acronyms(company.name)


def _alike(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    if not one or not other:
        return False
    short, long = sorted((joined(one), joined(other)), key=len)
    return one[0] == other[0] or short == long or (len(short) >= 4 and long.startswith(short))


def _claim(index: dict[Any, Company | None], key: Any, company: Company) -> None:
    other = index.setdefault(key, company)
    if other is not None and other is not company:
        index[key] = None


@cache
def shipped_companies() -> CompanyTable:
    """The table of the SEC's file that ships with riskwire and the installed pytickersymbols; half a second, once."""
    from pytickersymbols import PyTickerSymbols  # noqa: PLC0415 - two megabytes of data, only where it is needed

    sec = gzip.decompress(TABLE.read_bytes()).decode()
    table = CompanyTable(merged(PyTickerSymbols().get_all_stocks(), sec.splitlines()))
    for line in ALIASES.read_text(encoding="utf-8").splitlines():
        name, _, means = line.partition("\t")
        if not line.startswith("#"):
            company = table.by_ticker(US, means) or table.by_name(means) or Company(None, means, (name_key(means),), ())
            table.name_also(name, company)
    return table


def merged(stocks: Iterable[Mapping[str, Any]], sec: Iterable[str]) -> list[Company]:
    """Companies of both sources; a row of the SEC's joins a stock where ticker and name, or the name alone, say that
    they are the same."""
    drafts: list[_Draft] = []
    homes: dict[str, _Draft] = {}
    by_us_ticker: dict[str, _Draft] = {}
    by_key: dict[str, _Draft] = {}
    for stock in stocks:
        draft = _Draft([str(stock["name"])], _listings(stock), _own_isins(stock), standing="constituent")
        drafts.append(draft)
        by_key.setdefault(joined(name_key(draft.names[0])), draft)
        for market, symbol in draft.tickers:
            if market == US:
                by_us_ticker.setdefault(symbol, draft)
        if _country(stock) == US:
            homes[str(stock.get("symbol", "")).upper()] = draft
    rows = [(int(cik), name, listed) for cik, name, listed in (line.split("\t") for line in sec)]
    first_words = Counter(name_key(name)[:1] for _, name, _ in rows)
    for cik, name, listed in rows:
        symbols = [one.partition(":")[2] for one in listed.split(" ")]
        key = name_key(name)
        listed_as = [
            stock_draft
            for symbol in symbols
            if (stock_draft := by_us_ticker.get(symbol)) is not None
            and (homes.get(symbol) is stock_draft or _alike(key, name_key(stock_draft.names[0])))
        ]
        known: _Draft | None = listed_as[0] if listed_as else by_key.get(joined(key))
        if known is None and first_words[key[:1]] == 1 and set(key[1:]) <= DESCRIPTORS:
            short = by_key.get(key[0])  # "Ford" and "FORD MOTOR CO"
            known = short if short is not None and name_key(short.names[0]) == key[:1] else None
        if known is None or known.cik is not None:
            known = _Draft([], {}, [], standing=_standing(listed))
            drafts.append(known)
        known.cik = f"{cik:010d}"
        known.names.append(name)
        known.tickers.update(dict.fromkeys((US, symbol) for symbol in symbols))
    claims = Counter(isin for one in drafts for isin in one.isins)
    return [_company(one, claims) for one in drafts]


def _company(draft: _Draft, claims: Mapping[str, int]) -> Company:
    entity = None
    if len(draft.isins) == 1 and claims[draft.isins[0]] == 1:
        entity = f"isin:{draft.isins[0]}"
    elif draft.cik is not None:
        entity = f"cik:{draft.cik}"
    keys = dict.fromkeys(key for name in draft.names if (key := name_key(name)))
    return Company(entity, draft.names[0], tuple(keys), tuple(draft.tickers), draft.standing, tuple(draft.names))


def _standing(listed: str) -> Standing:
    return "listed" if any(one.startswith(_LISTED) for one in listed.split(" ")) else "obscure"


def _listings(stock: Mapping[str, Any]) -> dict[tuple[str, str], None]:
    found: dict[tuple[str, str], None] = {}
    for listing in stock.get("symbols", ()):
        symbol, _, market = str(listing["yahoo"]).upper().partition(".")
        exchange = str(listing["google"]).partition(":")[0]
        if market or exchange in {"NYSE", "NASDAQ", "NYSEAMERICAN", "OTCMKTS", symbol}:
            found[(market or US, symbol)] = None
    return found


def _own_isins(stock: Mapping[str, Any]) -> list[str]:
    valid = [isin for isin in dict.fromkeys(stock.get("isins", ())) if is_isin(isin)]
    if len(valid) > 1:  # share classes, depositary receipts, and mistakes: only the home country's can be the one
        valid = [isin for isin in valid if isin[:2] == _country(stock)]
    return valid


def _country(stock: Mapping[str, Any]) -> str | None:
    place = str(stock.get("country", "")).casefold()  # "germany", or for American companies "houston, texas"
    return _COUNTRY.get(place, US if "," in place else None)
