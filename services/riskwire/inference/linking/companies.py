"""Listed companies: pytickersymbols (names, listings, ISINs) and the SEC's table (names, US tickers, CIKs).

An entity id is never guessed. A company gets an ISIN only when it has exactly one that fits its country and that no
other company has. Otherwise it gets the SEC's CIK. A name or ticker that two companies share finds neither.
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
from riskwire.entities.legal_forms import has_another_form, legal_forms
from riskwire.entities.names import DESCRIPTORS, LEGAL_FORMS, acronyms, is_prefix, join_key, name_key, words_of_name
from riskwire.entities.watchlist import WatchedEntity
from riskwire.inference.linking.tables.build import TABLE

_NOTE = re.compile(r"\s*/\s*(?:[A-Z]{2,4}\s*/?)?\s*$|\s*\([^()]*\)\s*$")
_CAPITALS = re.compile(r"\b(?:[A-Z]{4,}|(?:INC|CO|LTD)\b)(?:'S\b)?")
_LISTED = ("NYSE:", "NASDAQ:", "CBOE:")
ALIASES = TABLE.with_name("aliases.tsv")
US = "US"
Standing = Literal["constituent", "listed", "obscure"]
"""Which names find a company. A constituent of a large index is found by a short form or its initials, too. Another
listed company is found only by its name. An obscure company, traded over the counter, is found only by a name of two
words or more, because "Morgan" and "Congress" are companies, too."""
_COUNTRY = {
    "united states": "US", "germany": "DE", "united kingdom": "GB", "france": "FR", "switzerland": "CH",
    "netherlands": "NL", "belgium": "BE", "spain": "ES", "italy": "IT", "sweden": "SE", "finland": "FI", "japan": "JP",
    "ireland": "IE", "luxembourg": "LU", "austria": "AT", "denmark": "DK", "norway": "NO", "canada": "CA",
    "australia": "AU",
}  # fmt: skip


_VAGUE_WORDS = frozenset(
    [
        *("bank", "capital", "central", "citizens", "commercial", "community", "federal", "financial", "first"),
        *("global", "international", "national", "peoples", "savings", "state", "technologies", "united"),
    ]
)
"""Words of which the names of many companies in many countries consist: "National Bank", "First National"."""
_MAX_VAGUE = 2
"""Words of a vague name; three in a row tell a company."""
_GENERAL_WORDS = _VAGUE_WORDS | DESCRIPTORS
_IN_BRACKETS = re.compile(r"\((?![A-Z]{2,5}\))[^()]*\)\s*$")
"""The place that tells a company apart from others of its name: "(Canada)"; the ticker of a fund is none: "(LTC)"."""


@dataclass(frozen=True, slots=True)
class Company:
    """A listed company.

    Attributes:
        entity: `isin:…` or `cik:…`; None when the tables have no id that is certainly its own.
        name: the first of its names.
        keys: the words of each name (`name_key`).
        tickers: (market, symbol); the market is `US` or the suffix that Yahoo uses (`L`, `DE`, `PA`, …).
        names: its names as the tables write them.
    """

    entity: str | None
    name: str
    keys: tuple[tuple[str, ...], ...]
    tickers: tuple[tuple[str, str], ...]
    standing: Standing = "constituent"
    names: tuple[str, ...] = ()

    @property
    def display_name(self) -> str:
        """The name as people write it: "Moodys Corp" for "MOODYS CORP /DE/".

        It has no note in slashes or brackets at its end. Except for a constituent of a large index, words in capitals
        are written with one capital.
        """
        name = _NOTE.sub("", self.name).strip()
        return name if self.standing == "constituent" else _CAPITALS.sub(lambda word: word[0].capitalize(), name)


@dataclass(slots=True)
class _Draft:
    """A company while the sources are merged."""

    names: list[str]
    tickers: dict[tuple[str, str], None]
    isins: list[str]
    cik: str | None = None
    standing: Standing = "listed"


class CompanyTable:
    """Companies by name, by the first words of a name, by initials and by ticker."""

    def __init__(self, companies: Iterable[Company]) -> None:
        """Builds the tables of companies by name, by first words, by ticker and by initials.

        A name, ticker or initials that several companies claim find no company. First words are any shorter beginning
        of a name. An obscure company is not found by a name of a single word. Initials count if they are also the US
        ticker of a constituent of a large index.
        """
        self._by_key: dict[str, Company | None] = {}
        self._claimants: dict[str, list[Company]] = {}
        self._by_prefix: dict[tuple[str, ...], Company | None] = {}
        self._by_ticker: dict[tuple[str, str], Company | None] = {}
        self._by_acronym: dict[str, Company | None] = {}
        self._starts: Counter[str] = Counter()
        for company in companies:
            self._starts.update({key[0] for key in company.keys})
            for key in company.keys:
                if len(key) > 1 or company.standing != "obscure":
                    self._claim_key(join_key(key), company)
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
        """Lets a key find a company, but none when two claim it; one with an ISIN has precedence over one without.

        So "UBS" finds the company, not the issuer of its notes.
        """
        previous = self._by_key.setdefault(key, company)
        if previous is company:
            return
        self._claimants.setdefault(key, [previous] if previous else []).append(company)
        if previous is None:
            return
        if _has_isin(previous) == _has_isin(company):
            self._by_key[key] = None
        elif _has_isin(company):
            self._by_key[key] = company

    def add_alias(self, name: str, company: Company) -> None:
        """Lets a name find a company, also when other companies have that name."""
        self._by_key[join_key(name_key(name))] = company

    def starts(self, word: str) -> int:
        """Returns how many companies have a name that begins with a word, which is normalised."""
        return self._starts[word]

    def exact(self, name: str) -> Company | None:
        """Returns the company with a name, ignoring case, punctuation and legal form; None when two have it.

        Of companies that share a name, the legal form finds the one that has it: Merck & Co, Merck KGaA.
        A company without an ISIN is not found by vague words without a legal form: "National Bank" is a bank of Greece,
        Canada or Egypt more often than National Bank Holdings Corp. Nor is one whose name the table tells apart by a
        place, such as Pan American Energy Corp. (Canada).
        """
        key = name_key(name)
        company = self._by_key.get(join_key(key)) or self._by_form(name, join_key(key))
        if company is None or not _is_vague(key, company):
            return company
        return company if words_of_name(name)[-1] in LEGAL_FORMS else None

    def _by_form(self, name: str, key: str) -> Company | None:
        """Returns the only company that shares a key and has the legal forms of a name; None if it has no form."""
        claimants, forms = self._claimants.get(key), legal_forms(name)
        if not claimants or not forms:
            return None
        fits = [company for company in claimants if any(forms <= legal_forms(known) for known in company.names)]
        return fits[0] if len(fits) == 1 else None

    def by_name(self, name: str) -> Company | None:
        """Returns the company with a name or short name; None if there is none, or if two companies have the name.

        Only a constituent of a large index is found by a short name. "Ford" finds "Ford Motor Company", because no
        other name begins with it and the missing words only describe a trade.
        """
        key = name_key(name)
        if not key:
            return None
        if join_key(key) in self._by_key:
            return self.exact(name)
        longer = self._by_prefix.get(key)
        if (
            longer is not None
            and longer.standing == "constituent"
            and any(is_prefix(key, known) and set(known[len(key) :]) <= DESCRIPTORS for known in longer.keys)
            and not has_another_form(name, longer.names)
        ):
            return longer
        return None

    def by_ticker(self, market: str, symbol: str) -> Company | None:
        """Returns the company that is listed under a symbol on a market today."""
        return self._by_ticker.get((market, symbol.upper()))

    def by_acronym(self, initials: str) -> Company | None:
        """Returns the company whose US ticker is also the initials of its name ("GM", "AIG", "IBM")."""
        return self._by_acronym.get(initials)


def agrees(name: str, company: Company) -> bool:
    """Returns whether a name in a text can belong to a company that was found by its ticker.

    It can if it is like a name of the company (the same first word, or one is the beginning of the other) or has its
    initials. Tickers pass to other companies over the years, so the ticker alone does not identify the company.
    """
    key = name_key(name)
    if any(_alike(key, known) for known in company.keys):
        return True
    initials = name.strip().replace(".", "").upper()
    return any(initials in acronyms(" ".join(known)) for known in company.keys) or initials in acronyms(company.name)


def is_company_of(entity: WatchedEntity, company: Company) -> bool:
    """Returns whether a company of the tables is that of a watchlist entry: by a name, the ISIN or a US ticker."""
    if company.entity is not None and company.entity == f"isin:{entity.isin}":
        return True
    if any(market == US and symbol in entity.tickers for market, symbol in company.tickers):
        return True
    return any(name_key(name) in company.keys for name in entity.names)


def names_another_company(text: str, entity: WatchedEntity, companies: CompanyTable) -> bool:
    """Returns whether the legal form of a text shows that it is not the watchlist entry whose short name it has."""
    if not legal_forms(text):
        return False
    listed = [companies.by_ticker(US, ticker) for ticker in entity.tickers]
    names = [name for company in listed if company and agrees(entity.name, company) for name in company.names]
    return has_another_form(text, [*entity.names, *names])


def _alike(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    """Returns whether two names can belong to one company: equal first words, or one is the beginning of the other.

    A beginning must have at least four letters. Names are given as normalised words; an empty one is like none.
    """
    if not first or not second:
        return False
    short, long = sorted((join_key(first), join_key(second)), key=len)
    return first[0] == second[0] or short == long or (len(short) >= 4 and long.startswith(short))


def _is_vague(key: tuple[str, ...], company: Company) -> bool:
    """Returns whether a name without a legal form may be that of another company than the one that the table finds."""
    if _has_isin(company):
        return False
    if company.standing == "obscure":
        general = key[0] in _VAGUE_WORDS and _GENERAL_WORDS.issuperset(key)
        if general or _IN_BRACKETS.search(company.name):
            return True
    return len(key) <= _MAX_VAGUE and _VAGUE_WORDS.issuperset(key)


def _has_isin(company: Company) -> bool:
    return company.entity is not None and company.entity.startswith("isin:")


def _claim(index: dict[Any, Company | None], key: Any, company: Company) -> None:
    """Lets a key of `index` find a company, or none (a value of None) from when a second company claims it."""
    previous = index.setdefault(key, company)
    if previous is not None and previous is not company:
        index[key] = None


@cache
def shipped_companies() -> CompanyTable:
    """Returns the table of the shipped SEC file and the installed pytickersymbols; builds it once, in half a second.

    Each line of the file of aliases is an alias and, after a tab, a US ticker or name. The alias finds that company; if
    the table has none, it finds a company of that name without an id.
    """
    from pytickersymbols import PyTickerSymbols  # noqa: PLC0415 - loads two megabytes of data

    sec = gzip.decompress(TABLE.read_bytes()).decode()
    table = CompanyTable(merged(PyTickerSymbols().get_all_stocks(), sec.splitlines()))
    for line in ALIASES.read_text(encoding="utf-8").splitlines():
        alias, _, target = line.partition("\t")
        if not line.startswith("#"):
            company = table.by_ticker(US, target) or table.by_name(target)
            table.add_alias(alias, company or Company(None, target, (name_key(target),), ()))
    return table


def merged(stocks: Iterable[Mapping[str, Any]], sec: Iterable[str]) -> list[Company]:
    """Returns the companies of both sources, merged.

    A row of the SEC is merged with a stock when ticker and name, or the name alone, show that they are one company. A
    ticker alone suffices if it is the main symbol of an American stock. A row without a stock, or whose stock has the
    CIK of an earlier row, becomes a separate company.

    Args:
        stocks: stocks of pytickersymbols, which are constituents of indices.
        sec: lines of the SEC's table: CIK, name and tickers (`EXCHANGE:TICKER`, separated by spaces), between tabs.
    """
    drafts: list[_Draft] = []
    us_stocks: dict[str, _Draft] = {}
    by_us_ticker: dict[str, _Draft] = {}
    by_key: dict[str, _Draft] = {}
    for stock in stocks:
        draft = _Draft([str(stock["name"])], _listings(stock), _plausible_isins(stock), standing="constituent")
        drafts.append(draft)
        by_key.setdefault(join_key(name_key(draft.names[0])), draft)
        for market, symbol in draft.tickers:
            if market == US:
                by_us_ticker.setdefault(symbol, draft)
        if _country(stock) == US:
            us_stocks[str(stock.get("symbol", "")).upper()] = draft
    rows = [(int(cik), name, listed) for cik, name, listed in (line.split("\t") for line in sec)]
    first_words = Counter(name_key(name)[:1] for _, name, _ in rows)
    for cik, name, listed in rows:
        symbols = [listing.partition(":")[2] for listing in listed.split(" ")]
        key = name_key(name)
        listed_as = [
            stock_draft
            for symbol in symbols
            if (stock_draft := by_us_ticker.get(symbol)) is not None
            and (us_stocks.get(symbol) is stock_draft or _alike(key, name_key(stock_draft.names[0])))
        ]
        match: _Draft | None = listed_as[0] if listed_as else by_key.get(join_key(key))
        if match is None and first_words[key[:1]] == 1 and set(key[1:]) <= DESCRIPTORS:
            short = by_key.get(key[0])  # "Ford" and "FORD MOTOR CO"
            match = short if short is not None and name_key(short.names[0]) == key[:1] else None
        if match is None or match.cik is not None:
            match = _Draft([], {}, [], standing=_standing(listed))
            drafts.append(match)
        match.cik = f"{cik:010d}"
        match.names.append(name)
        match.tickers.update(dict.fromkeys((US, symbol) for symbol in symbols))
    claims = Counter(isin for draft in drafts for isin in draft.isins)
    return [_company(draft, claims) for draft in drafts]


def _company(draft: _Draft, claims: Mapping[str, int]) -> Company:
    """Returns the company of a draft, with its identity and the keys by which names match it.

    The entity is `isin:` with the only ISIN if no other draft has it, else `cik:`, else None.

    Args:
        claims: the number of drafts that have an ISIN.
    """
    entity = None
    if len(draft.isins) == 1 and claims[draft.isins[0]] == 1:
        entity = f"isin:{draft.isins[0]}"
    elif draft.cik is not None:
        entity = f"cik:{draft.cik}"
    keys = dict.fromkeys(key for name in draft.names if (key := name_key(name)))
    return Company(entity, draft.names[0], tuple(keys), tuple(draft.tickers), draft.standing, tuple(draft.names))


def _standing(listed: str) -> Standing:
    return "listed" if any(listing.startswith(_LISTED) for listing in listed.split(" ")) else "obscure"


def _listings(stock: Mapping[str, Any]) -> dict[tuple[str, str], None]:
    """Returns the tickers of a stock as ordered keys (market, symbol).

    The market is the suffix of the Yahoo symbol. A symbol without a suffix is of the United States, and counts only if
    its Google symbol confirms that.
    """
    tickers: dict[tuple[str, str], None] = {}
    for listing in stock.get("symbols", ()):
        symbol, _, market = str(listing["yahoo"]).upper().partition(".")
        exchange = str(listing["google"]).partition(":")[0]
        if market or exchange in {"NYSE", "NASDAQ", "NYSEAMERICAN", "OTCMKTS", symbol}:
            tickers[(market or US, symbol)] = None
    return tickers


def _plausible_isins(stock: Mapping[str, Any]) -> list[str]:
    """Returns the ISINs of a stock that can be right: the valid ones; of several, those of its home country."""
    valid = [isin for isin in dict.fromkeys(stock.get("isins", ())) if is_isin(isin)]
    if len(valid) > 1:  # share classes, depositary receipts and mistakes: only the one of the home country can be right
        valid = [isin for isin in valid if isin[:2] == _country(stock)]
    return valid


def _country(stock: Mapping[str, Any]) -> str | None:
    place = str(stock.get("country", "")).casefold()  # "germany", or for American companies "houston, texas"
    return _COUNTRY.get(place, US if "," in place else None)
