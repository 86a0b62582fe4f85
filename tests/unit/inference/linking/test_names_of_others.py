"""A person, a fund, an abbreviation and another company with a like name are not the watched company."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from riskwire.entities.family_names import is_family_name, person_end
from riskwire.entities.legal_forms import has_another_form
from riskwire.entities.watchlist import WatchedEntity, Watchlist
from riskwire.inference.linking import Linker
from riskwire.inference.linking.risky_names import RiskyName
from riskwire.inference.model.prediction import DocumentPrediction

Marked = Callable[..., DocumentPrediction]
ENTRIES: tuple[dict[str, object], ...] = (
    {"id": "bp", "name": "BP plc", "aliases": ["BP"], "tickers": ["BP"]},
    {"id": "cat", "name": "Caterpillar Inc.", "aliases": ["Caterpillar"], "tickers": ["CAT"]},
    {"id": "dal", "name": "Delta Air Lines", "aliases": ["Delta"], "tickers": ["DAL"]},
    {"id": "total", "name": "TotalEnergies SE", "aliases": ["Total"], "tickers": ["TTE"]},
    {"id": "ford", "name": "Ford Motor Company", "aliases": ["Ford"], "tickers": ["F"]},
    {"id": "wmb", "name": "Williams Companies", "aliases": ["Williams"], "tickers": ["WMB"]},
    {"id": "gsk", "name": "GSK plc", "aliases": ["GSK"], "tickers": ["GSK"]},
    {"id": "apo", "name": "Apollo Global Management", "tickers": ["APO"]},
    {"id": "fis", "name": "Fidelity National Information Services", "aliases": ["FIS"], "tickers": ["FIS"]},
    {"id": "ms", "name": "Morgan Stanley", "tickers": ["MS"]},
    {"id": "ibn", "name": "ICICI Bank", "aliases": ["ICICI"], "tickers": ["IBN"]},
)


@pytest.fixture(scope="module")
def linker() -> Linker:
    return Linker(Watchlist(tuple(WatchedEntity.model_validate(entry) for entry in ENTRIES)))


def watched(linker: Linker, prediction: DocumentPrediction) -> list[str]:
    """Returns the watchlist ids of the mentions, in order."""
    return [mention.watched.id for mention in linker.link(prediction) if mention.watched]


@pytest.mark.parametrize(
    "title",
    [
        "Underweight on the sector at this point: [ORG BP Singh]",
        "Underweight on the sector at this point: [ORG BP] Singh",
        "Directors [PER BP Singh] and BP Reddy quit",
        "B.P. Singh's fund sells its stake",
        "Fed's Williams: the risks to the economy are still to the downside",
        "[ORG Fed]'s [ORG Williams] sees no recession",
        "Governor Williams warns of floods",
        "World Bank approves a drawdown option ([ORG Cat DDO]) for the island",
        "[ORG Delta Corp.] shares rise",
        "[ORG Delta] Corp shares rise",
        "[ORG DELTA CORP] SHARES RISE",
        "Delta Corp shares rise",
        "[ORG Delta Corp] cuts outlook; [ORG Delta] to close its casino",
        "[ORG Delta Electronics] cuts outlook",
        "Get into [ORG GSK Pharma] at 2,050: broker",
        "[ORG Apollo Hospitals] and [ORG Apollo Tyres] fall",
        "[ORG FIs] swoop down on the steelmaker",
        "Drug has an effect in an [ORG MS] study",
        "[ORG ICICI Prudential Mutual Fund] buys a stake in the builder",
    ],
)
def test_someone_else_is_not_the_watched_company(linker: Linker, marked: Marked, title: str) -> None:
    assert watched(linker, marked(title)) == []


@pytest.mark.parametrize(
    ("title", "ids"),
    [
        ("[ORG BP] drops a project, says Singh", ["bp"]),
        ("[ORG BP Alaska] shuts a pipeline", ["bp"]),
        ("BP Price Cut Pleases Drivers", ["bp"]),
        ("[ORG Williams] cuts outlook", ["wmb"]),
        ("Williams Cos to buy pipelines", ["wmb"]),
        ("Shares of Williams fall", ["wmb"]),
        ("[ORG Cat Inc] cuts jobs", ["cat"]),
        ("[ORG Delta] cuts outlook", ["dal"]),
        ("[ORG Delta Air Lines Inc] cuts outlook", ["dal"]),
        ("[ORG Delta Inc] cuts outlook", ["dal"]),
        ("[ORG Total SA] cuts outlook", ["total"]),
        ("[ORG Ford Co] and [ORG Ford SUV] recalled", ["ford", "ford"]),
        ("[ORG GSK Research] hires", ["gsk"]),
        ("[ORG FIS] cuts outlook", ["fis"]),
        ("[ORG ICICI Bank] cuts rates", ["ibn"]),
    ],
)
def test_the_watched_company_is_found_beside_them(linker: Linker, marked: Marked, title: str, ids: list[str]) -> None:
    assert watched(linker, marked(title)) == ids


def test_initials_before_a_family_name_are_a_person(linker: Linker, marked: Marked) -> None:
    (mention,) = linker.link(marked("[ORG BP] Singh quits"))
    assert (mention.text, mention.type, mention.entity) == ("BP Singh", "PER", "name:bp-singh")
    assert is_family_name("SINGH")
    assert not is_family_name("Delta")
    assert person_end("BP Singh's", 0, 2) == len("BP Singh")
    assert person_end("BP Shares", 0, 2) == 2


def test_a_legal_form_tells_companies_of_one_short_name_apart() -> None:
    """Only a common word is such a name; without a known form, or with the same words, nothing is told apart."""
    delta = ["Delta Air Lines", "DELTA AIR LINES, INC."]
    assert has_another_form("Delta Corporation Ltd", delta)
    assert not has_another_form("Delta Inc.", delta)
    assert not has_another_form("Delta", delta)
    assert not has_another_form("Delta Corp", ["Delta Air Lines"])
    assert not has_another_form("Delta Corp", [*delta, "Delta Ltd"])
    assert not has_another_form("Boeing Corp", ["Boeing Commercial Inc"])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (RiskyName("gap", "Gap", "support"), "a common word"),
        (RiskyName("wmb", "Williams", "support"), "a family name"),
        (RiskyName("nasdaq", "Nasdaq", "mark"), "the name of an index"),
    ],
)
def test_a_risky_name_says_what_it_is(name: RiskyName, kind: str) -> None:
    assert name.kind == kind
