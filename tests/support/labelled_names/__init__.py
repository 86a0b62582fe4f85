"""The labelled headlines of `tests/bench/names`, and how well the linker finds the companies that they mean."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from riskwire.entities.names import LEGAL_FORMS, name_key, words_of_name
from riskwire.entities.watchlist import WatchedEntity, Watchlist, merge_entries
from riskwire.inference.linking import Linker
from riskwire.inference.linking.companies import Company
from riskwire.inference.model.prediction import DocumentPrediction

LABELS = Path(__file__).parents[2] / "bench" / "names" / "labels.tsv"
SETS = {"sentfin": "entity_sentiment/sentfin_train.jsonl", "tfns": "sentiment/tfns_train.jsonl"}
_FUNDS = (" ETF", "QQQ TRUST", "GOLD TRUST", "BITCOIN TRUST")


class LabelledHeadline(NamedTuple):
    """A headline and the companies that it means.

    Attributes:
        row: the set and the row: `tfns:17`.
        companies: ids of the watchlist, which are tickers.
    """

    row: str
    text: str
    companies: frozenset[str]


@dataclass(frozen=True, slots=True)
class NameScores:
    """How many companies the linker reports, and where they are not those of the label.

    Attributes:
        reported: pairs of a headline and a company that the linker reports.
        meant: pairs of the labels.
        right: pairs in both.
        faults: headlines with a missing or wrong company: row, text, missing, wrong.
    """

    reported: int
    meant: int
    right: int
    faults: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...]

    @property
    def precision(self) -> float:
        """The share of the reported companies that are meant."""
        return self.right / self.reported

    @property
    def recall(self) -> float:
        """The share of the meant companies that are reported."""
        return self.right / self.meant


def labelled_headlines(data: Path, part: str) -> list[LabelledHeadline]:
    """Returns the headlines of a part (`tune` or `final`), with their texts from the shared data.

    Args:
        data: the folder of the shared data.
    """
    texts = {
        f"{name}:{row}": json.loads(line)["text"]
        for name, file in SETS.items()
        for row, line in enumerate((data / file).open(encoding="utf-8"))
    }
    rows = [line.split("\t") for line in LABELS.read_text(encoding="utf-8").splitlines()[1:]]
    return [
        LabelledHeadline(row, texts[row], frozenset(companies.split()))
        for row_part, row, _, companies in rows
        if row_part == part
    ]


def largest_companies(data: Path, count: int = 500) -> Watchlist:
    """Returns a watchlist of the first companies of the SEC's table, without exchange-traded funds.

    An entry has the first ticker as its id, the name of the table, and as an alias that name without its legal form,
    as a risk team writes it: "Visa" for "Visa Inc.".

    Args:
        data: the folder of the shared data.
    """
    table = json.loads((data / "tables" / "sec_company_tickers_exchange.json").read_text(encoding="utf-8"))["data"]
    first_rows: dict[int, tuple[str, str]] = {}
    for cik, name, ticker, _ in table:
        if not any(fund in name.upper() for fund in _FUNDS):
            first_rows.setdefault(cik, (name, ticker))
    entries = [_entry(name, ticker) for name, ticker in list(first_rows.values())[:count]]
    return merge_entries(entries)[0]


def _entry(name: str, ticker: str) -> WatchedEntity:
    """Returns the entry of a company by its name in the SEC's table and its first ticker."""
    shown = Company(None, name, (), (), "listed").display_name
    words = shown.replace(",", "").replace("/", " ").split()
    while len(words) > 1 and LEGAL_FORMS.issuperset(words_of_name(words[-1])):
        words.pop()
    short = " ".join(words).removesuffix(" &").removesuffix(" Com").removesuffix(".com")
    if name_key(short) == (ticker.casefold(),):
        short = ticker
    return WatchedEntity.model_validate(
        {"id": ticker, "name": shown, "aliases": [short] if short != shown else [], "tickers": [ticker]}
    )


def name_scores(
    linker: Linker, headlines: Sequence[LabelledHeadline], predictions: Sequence[DocumentPrediction]
) -> NameScores:
    """Returns how many of the meant companies a linker finds in the predictions of these headlines."""
    reported = meant = right = 0
    faults = []
    for headline, prediction in zip(headlines, predictions, strict=True):
        companies = frozenset(mention.watched.id for mention in linker.link(prediction) if mention.watched)
        reported += len(companies)
        meant += len(headline.companies)
        right += len(companies & headline.companies)
        if companies != headline.companies:
            missing, wrong = sorted(headline.companies - companies), sorted(companies - headline.companies)
            faults.append((headline.row, headline.text, tuple(missing), tuple(wrong)))
    return NameScores(reported, meant, right, tuple(faults))
