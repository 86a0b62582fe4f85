"""The shipped bundle and the linker find the companies that headlines mean, and no others."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from labelled_names import NameScores, labelled_headlines, largest_companies, name_scores

from riskwire.entities.watchlist import WatchedEntity, Watchlist
from riskwire.errors import BundleError
from riskwire.inference.linking import Linker
from riskwire.inference.model.bundle import Bundle
from riskwire.inference.model.engine import Engine
from riskwire.inference.model.prediction import DocumentPrediction
from riskwire.inference.model.sentences import TextDocument
from riskwire.settings import InferenceSettings

MIN_PRECISION = 0.97
MIN_RECALL = 0.90
WATCHLIST: tuple[dict[str, object], ...] = (
    {"id": "gap", "name": "Gap Inc.", "aliases": ["Gap"], "tickers": ["GPS"]},
    {"id": "target", "name": "Target Corporation", "aliases": ["Target"], "tickers": ["TGT"]},
    {"id": "visa", "name": "Visa Inc.", "aliases": ["Visa"], "tickers": ["V"]},
    {"id": "meta", "name": "Meta Platforms", "aliases": ["Meta"], "tickers": ["META"]},
    {"id": "apple", "name": "Apple Inc.", "aliases": ["Apple"], "tickers": ["AAPL"]},
    {"id": "att", "name": "AT&T Inc.", "aliases": ["AT&T"], "tickers": ["T"]},
    {"id": "agilent", "name": "Agilent Technologies", "tickers": ["A"]},
    {"id": "allstate", "name": "Allstate Corp", "tickers": ["ALL"]},
    {"id": "block", "name": "Block, Inc.", "aliases": ["Block"], "tickers": ["XYZ"]},
    {"id": "orange", "name": "Orange SA", "aliases": ["Orange"], "tickers": ["ORA"]},
    {"id": "shell", "name": "Shell plc", "aliases": ["Shell"], "tickers": ["SHEL"]},
    {"id": "next", "name": "Next plc", "aliases": ["Next"], "tickers": ["NXT"]},
    {"id": "macys", "name": "Macy's", "tickers": ["M"]},
    {"id": "rr", "name": "Rolls-Royce Holdings", "aliases": ["Rolls-Royce"], "tickers": ["RR"]},
    {"id": "jnj", "name": "Johnson & Johnson", "aliases": ["J&J"], "tickers": ["JNJ"]},
    {"id": "nestle", "name": "Nestlé S.A.", "aliases": ["Nestlé"], "tickers": ["NESN"]},
    {"id": "cost", "name": "Costco Wholesale", "aliases": ["Costco"], "tickers": ["COST"]},
    {"id": "mcdonalds", "name": "McDonald's Corporation", "aliases": ["McDonald's"], "tickers": ["MCD"]},
    {"id": "lowes", "name": "Lowe's Companies", "aliases": ["Lowe's"], "tickers": ["LOW"]},
    {"id": "kohls", "name": "Kohl's Corporation", "aliases": ["Kohl's"], "tickers": ["KSS"]},
    {"id": "pg", "name": "Procter & Gamble", "aliases": ["P&G"], "tickers": ["PG"]},
)
TITLES = {
    "Gap between rich and poor widens as prices surge, study warns": "",
    "Gap between rich and poor widens, study warns": "",
    "Gap shares tumble as tariffs hit margins": "gap",
    "Target price for oil cut by Goldman on weak demand": "",
    "Target misses estimates and cuts outlook": "target",
    "US Suspends Visa Processing For 75 Countries": "",
    "US Suspends Visa Processing For 75 Countries, Hitting Tech Hiring": "",
    "Visa fee hike hurts Indian IT firms": "",
    "Visa sued over debit card fees": "visa",
    "Apple pie recall widens after listeria found": "",
    "Apple growers in Washington face heavy losses": "",
    "Orange juice futures slump on hurricane damage": "",
    "Shell company fraud costs investors millions": "",
    "Next recession will hit banks hard, warns IMF": "",
    "COST OF LIVING CRISIS DEEPENS AS ENERGY BILLS SOAR": "",
    "Cost of living crisis deepens as energy bills soar": "",
    "AT&T; cuts outlook, P&G; and J&J; fall": "att jnj pg",
    "$T tumbles after outlook cut; $A and $ALL slip": "agilent allstate att",
    "ALL OF EUROPE FACES RECESSION AS A GAS CRISIS DEEPENS": "",
    "MACY'S CUTS OUTLOOK, SHARES PLUNGE": "macys",
    "Macy’s cuts outlook, shares plunge": "macys",
    "MCDONALD'S SALES SLUMP AFTER E. COLI OUTBREAK": "mcdonalds",
    "MCDONALD'S SALES SLUMP AFTER E. COLI OUTBREAK; KOHL'S FALLS": "kohls mcdonalds",
    "McDonald's sales slump after E. coli outbreak; Kohl's falls": "kohls mcdonalds",
    "LOWE'S CUTS OUTLOOK AS DEMAND WEAKENS": "lowes",
    "Lowe's cuts outlook as demand weakens": "lowes",
    "Rolls Royce shares slump on engine problems": "rr",
    "Rolls‑Royce shares slump on engine problems": "rr",
    "Nestle recalls frozen pizza after contamination": "nestle",
    "NESTLE RECALLS FROZEN PIZZA AFTER CONTAMINATION": "nestle",
    "Johnson and Johnson faces $9 billion talc verdict": "jnj",
    "Johnson & Johnson faces $9 billion talc verdict": "jnj",
    "JOHNSON AND JOHNSON FACES $9 BILLION TALC VERDICT": "jnj",
    "Procter and Gamble cuts outlook as sales slump": "pg",
    "$COST slides after weak sales": "cost",
    "EXXON NET LOSS WIDENS": "",
}
"""Titles and the ids of the watched companies that they mean."""


def predictions(texts: list[str]) -> list[DocumentPrediction]:
    """Returns the predictions of the installed bundle for titles; skips the test if there is none."""

    async def predict() -> list[DocumentPrediction]:
        async with Engine(bundle, InferenceSettings()) as engine:
            return list(await engine.predict([TextDocument(text, len(text)) for text in texts]))

    try:
        bundle = Bundle.load(None)
    except BundleError:
        pytest.skip("no trained bundle is installed")
    return asyncio.run(predict())


def test_titles_from_the_field_mean_exactly_these_companies() -> None:
    linker = Linker(Watchlist(tuple(WatchedEntity.model_validate(entry) for entry in WATCHLIST)))
    found = {
        title: " ".join(sorted({mention.watched.id for mention in linker.link(prediction) if mention.watched}))
        for title, prediction in zip(TITLES, predictions(list(TITLES)), strict=True)
    }
    assert found == TITLES


@pytest.mark.needs_data
@pytest.mark.parametrize("part", ["tune", "final"])
def test_companies_in_labelled_headlines_are_found_and_no_others(shared_data: Path, part: str) -> None:
    """The labels were written before the rules (`tests/bench/names`); the watchlist has the 500 largest companies."""
    headlines = labelled_headlines(shared_data, part)
    scores: NameScores = name_scores(
        Linker(largest_companies(shared_data)), headlines, predictions([headline.text for headline in headlines])
    )
    assert len(headlines) == 150
    assert scores.precision >= MIN_PRECISION, scores.faults
    assert scores.recall >= MIN_RECALL, scores.faults
