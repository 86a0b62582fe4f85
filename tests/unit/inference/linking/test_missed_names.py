"""Names that the model missed are found where the tables have them or the sentence shows them, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from riskwire.inference.linking import Linker
from riskwire.inference.model.prediction import DocumentPrediction

Marked = Callable[..., DocumentPrediction]
THEN = date(2010, 6, 1)


@pytest.fixture(scope="module")
def linker() -> Linker:
    return Linker()


def followed(linker: Linker, prediction: DocumentPrediction) -> list[str]:
    return [mention.text for mention in linker.link(prediction, THEN) if mention.followed]


@pytest.mark.parametrize(
    ("title", "names"),
    [
        ("Debt load pushes Charter into bankruptcy", ["Charter"]),
        ("[PER Paul Allen]'s Charter to file Chapter 11", ["Charter"]),
        ("Department store chain Gottschalks to liquidate", ["Gottschalks"]),
        ("[LOC U.S.] closes Home Federal Savings in [LOC Detroit]", ["U.S.", "Home Federal Savings"]),
        ("Court bars Microsoft Word sales", ["Microsoft"]),
        ("Ex-[ORG AMD] CEO Ruiz quits as Globalfoundries chairman", ["AMD", "Globalfoundries"]),
        ("[LOC Canada] blocks BHP-Potash deal", ["Canada", "BHP", "Potash"]),
        ("Ministers agree on Greek rescue terms", ["Greek"]),
        ("Zorgon to file for bankruptcy", ["Zorgon"]),
    ],
)
def test_a_name_that_the_model_missed_is_found(linker: Linker, marked: Marked, title: str, names: list[str]) -> None:
    """What the model found is marked; `names` are the texts of the targets, in order."""
    assert followed(linker, marked(title)) == names


@pytest.mark.parametrize(
    "title",
    [
        "Drugmaker to cut 3,000 jobs",
        "Charter flights resume after ash cloud",
        "Borders reopen after ash cloud lifts",
        "Target price for oil cut on weak demand",
        "Retailers Cut Jobs and Close Stores From Coast to Coast",
        "Carmakers file for protection",
        "SHARES OF MICROSOFT FALL",
        "Museum opens in Ford House",
        "Gap between rich and poor widens",
        "Shell company fraud costs investors millions",
        "[PER Harrison Ford] sells plane",
        "Greek yoghurt wins buyers",
        "Homebuilders to close plants",
        "Lender to raise capital",
    ],
)
def test_a_capital_alone_is_no_name(linker: Linker, marked: Marked, title: str) -> None:
    people = {mention.text for mention in linker.link(marked(title), THEN) if mention.type == "PER"}
    assert [name for name in followed(linker, marked(title)) if name not in people] == []


@pytest.mark.parametrize(
    ("title", "names"),
    [
        ("[PER Merkin] charged with civil fraud in [ORG Madoff] case", ["Merkin", "Madoff"]),
        ("[ORG Countrywide]'s [PER Mozilo] charged with fraud", ["Countrywide", "Mozilo"]),
        ('[ORG SEC] sues [ORG Zorgon] "middleman" [PER Chais] for fraud', ["SEC", "Zorgon", "Chais"]),
        ("[ORG Zorgon] CEO [PER Smithers] sees growth", ["Zorgon"]),
        ("[ORG Zorgon] sues [ORG Initech] and names [PER Smithers] chairman", ["Zorgon", "Initech"]),
    ],
)
def test_an_accused_person_is_a_party_beside_a_company(
    linker: Linker, marked: Marked, title: str, names: list[str]
) -> None:
    assert followed(linker, marked(title)) == names


@pytest.mark.parametrize(
    ("title", "names"),
    [
        ("[ORG New York Times] shares fall", ["New York Times"]),
        ("Regulator starts investigation into [ORG Reuters] datafeed", ["Reuters"]),
        ("[ORG Zorgon] to cut jobs: [ORG New York Times]", ["Zorgon"]),
        ("[ORG Zorgon] falls after [ORG WSJ] report", ["Zorgon"]),
        ("[ORG Moody's], [ORG S&P] must defend fraud claims", ["Moody's", "S&P"]),
        ("[ORG S&P] 500 falls", []),
        ("Stocks fall as [ORG S&P] hits low", []),
        ("As [LOC California] struggles, rates rise", ["California"]),
        ("[LOC California] winery burns", []),
        ("[ORG Euro zone] agrees emergency steps", ["Euro zone"]),
        ("[MISC Icelanders] reject deal", ["Icelanders"]),
        ("[ORG Las Vegas venture CityCenter] may file for bankruptcy", ["CityCenter"]),
        ("[ORG Rio Tinto unit Cloud Peak] falls in debut", ["Rio Tinto", "Cloud Peak"]),
        ("[ORG nix SEC] duties", ["SEC"]),
        ("[ORG McClatchy] suspends dividend", ["McClatchy"]),
        ("[ORG Retailers] brace for winter", []),
        ("[ORG Obama] administration backs plan", []),
    ],
)
def test_a_name_is_a_party_where_the_words_around_it_say_so(
    linker: Linker, marked: Marked, title: str, names: list[str]
) -> None:
    assert followed(linker, marked(title)) == names
