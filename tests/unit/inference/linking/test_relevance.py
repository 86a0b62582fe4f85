"""Relevance: the subject of a title is told from a name in passing, and news from reports that list companies."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from riskwire.inference.linking import Linker
from riskwire.inference.model.prediction import DocumentPrediction
from riskwire.inference.relevance import relevance_by_entity, reports_no_event

Marked = Callable[..., DocumentPrediction]
FLOOR = 0.5
"""From here on, a party is a subject of the article; alerting has this floor."""


@pytest.fixture(scope="module")
def linker() -> Linker:
    return Linker()


def relevance_by_name(linker: Linker, prediction: DocumentPrediction) -> dict[str, float]:
    """Returns the relevance of each party of an article, by its name."""
    followed = [mention for mention in linker.link(prediction) if mention.followed]
    by_entity = relevance_by_entity(prediction, followed)
    return {mention.name: by_entity[mention.entity] for mention in followed}


@pytest.mark.parametrize(
    ("lines", "subjects", "in_passing"),
    [
        (["[ORG Globex] files for bankruptcy"], ["Globex"], []),
        (["[ORG Globex] to buy [ORG Zorg] for $3 billion"], ["Globex", "Zorg"], []),
        (["[ORG Moody's] cuts [ORG Globex] to junk"], ["Globex"], ["Moody's Corporation"]),
        (["[ORG Globex] recalls cars in [LOC China]"], ["Globex"], ["China"]),
        (["[ORG Globex] cuts 300 jobs at plant in the [LOC U.S.]"], ["Globex"], ["United States"]),
        (["Debt crisis in [LOC Greece] spreads"], ["Greece"], []),
        (["[LOC Greece] seeks aid from the [ORG EU]"], ["Greece", "European Union"], []),
        (["Ex-[ORG Globex] trader charged by [ORG Zorg]"], ["Zorg"], ["Globex"]),
        (["Former [ORG Globex] chief joins [ORG Zorg]"], ["Zorg"], ["Globex"]),
        (
            ["[ORG Globex] falls", "[ORG Globex] fell. ", "Rivals [ORG Zorg] and [ORG Initech] rose."],
            ["Globex"],
            ["Zorg"],
        ),
        (["Drugmaker to cut 3,000 jobs", "[ORG Globex] said it would close plants."], ["Globex"], []),
        (
            ["Carmakers' sales fall", "Sales fell.", "Rates rose.", "Banks lend less.", "So said [ORG Globex]."],
            [],
            ["Globex"],
        ),
        (
            ["[ORG Aa Corp], [ORG Bb Corp], [ORG Cc Corp], [ORG Dd Corp], [ORG Ee Corp], [ORG Ff Corp] on the list"],
            [],
            ["Aa Corp", "Ff Corp"],
        ),
        (["FACTBOX: [ORG Globex], a chronicle"], [], ["Globex"]),
        (["INSTANT VIEW: [ORG Globex] files for bankruptcy"], ["Globex"], []),
        (["WRAPUP 2-[ORG Globex] files for bankruptcy", "[ORG Zorg] may follow."], ["Globex"], ["Zorg"]),
        (["Wall St slides as [ORG Globex] plunges"], [], ["Globex"]),
    ],
)
def test_a_subject_is_told_from_a_name_in_passing(
    linker: Linker, marked: Marked, lines: list[str], subjects: list[str], in_passing: list[str]
) -> None:
    """Names are marked by their kind. The first line is the title.

    Args:
        subjects: the names that reach the floor.
        in_passing: names below it.
    """
    relevance = relevance_by_name(linker, marked(*lines))
    assert {name: relevance[name] >= FLOOR for name in (*subjects, *in_passing)} == {
        **dict.fromkeys(subjects, True),
        **dict.fromkeys(in_passing, False),
    }


@pytest.mark.parametrize(
    "title",
    [
        "FACTBOX - Dow components performance in 2008",
        "Factbox: Key terms of UBS deal",
        "TIMELINE: GM's road to bankruptcy",
        "Q+A-What does S&P's GE downgrade mean?",
        "US STOCKS-Wall St falls on bank fears",
        "FOREX-Euro slides on Greek fears",
        "Wall St Week Ahead: Bears in charge",
        "Wall Street slides as BP plunge hurts sentiment",
        "Stocks slide, euro falls after Spain downgrade",
        "Dow, S&P 500 drop on banks, economy; Nasdaq up on tech",
        "Nikkei edges up as Sony gains",
        "Futures flat ahead of Fed, retail data",
        "Goldman earnings cool rally; Dow ends lower",
        "Before the bell: Intel, Citi, GE",
        "Morning view: banks in focus",
        "Key quotes from Toyota hearing",
    ],
)
def test_a_report_on_the_market_or_a_collection_of_facts_is_no_event(title: str) -> None:
    assert reports_no_event(title)


@pytest.mark.parametrize(
    "title",
    [
        "S&P cuts Greek debt to junk",
        "S&P lifts outlook on Globex",
        "Dow Chemical falls short of estimates",
        "Dow Chemical cuts dividend",
        "Nasdaq to cancel trades",
        "Nasdaq opens probe into glitch",
        "Oil spill hits Louisiana coast",
        "Euro zone seeks to calm Greek crisis fears",
        "Gold Fields halts mine after accident",
        "Shares of Globex fall 30 percent",
        "INSTANT VIEW: GM to file bankruptcy Monday",
        "EXCLUSIVE-Globex in talks with lenders",
        "UPDATE 2-Globex cuts outlook",
        "Wall Street Journal cuts 50 jobs",
        "Dollar General falls after results",
        "Text messaging firm Globex cuts jobs",
    ],
)
def test_news_of_a_company_is_an_event(title: str) -> None:
    assert not reports_no_event(title)


def test_relevance_is_between_zero_and_one_and_grows_with_mentions(linker: Linker, marked: Marked) -> None:
    once = relevance_by_name(linker, marked("Sales fall", "Rates rose.", "[ORG Globex] fell."))
    twice = relevance_by_name(linker, marked("Sales fall", "Rates rose.", "[ORG Globex] fell.", "[ORG Globex] is ill."))
    assert 0 < once["Globex"] < twice["Globex"] <= 1
