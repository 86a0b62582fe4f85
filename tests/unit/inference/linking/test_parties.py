"""Parties: a name means one party on a day, and what is no party is no target."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from riskwire.entities.watchlist import WatchedEntity, Watchlist
from riskwire.inference.linking import Linker
from riskwire.inference.linking.parties import PartyTable, is_no_party, shipped_parties
from riskwire.inference.linking.parties.validity import Validity
from riskwire.inference.model.prediction import DocumentPrediction

Marked = Callable[..., DocumentPrediction]
THEN = date(2010, 6, 1)


@pytest.fixture(scope="module")
def linker() -> Linker:
    return Linker()


def entity_of(linker: Linker, marked: Marked, name: str, day: date | None = THEN) -> str:
    """Returns the entity that a name in a sentence resolves to."""
    (mention,) = linker.link(marked(f"News on [ORG {name}]"), day)
    return mention.entity


def followed(linker: Linker, prediction: DocumentPrediction, day: date | None = THEN) -> list[str]:
    return [mention.name for mention in linker.link(prediction, day) if mention.followed]


@pytest.mark.parametrize(
    "names",
    [
        ["Satyam", "Satyam Computer Services", "Satyam Computer Services Ltd", "Satyam Computer"],
        ["EU", "European Union", "the European Union", "E.U."],
        ["Fed", "Federal Reserve", "U.S. Federal Reserve", "Federal Reserve Board"],
        ["SEC", "Securities and Exchange Commission", "U.S. Securities and Exchange Commission"],
        ["HP", "Hewlett-Packard", "Hewlett Packard Co"],
        ["Citi", "Citigroup", "Citigroup Inc"],
        ["RIM", "Research In Motion", "BlackBerry", "Research In Motion Ltd"],
        ["GE", "General Electric", "General Electric Co"],
        ["Google", "Google Inc"],
        ["UBS", "UBS AG", "UBS Investment Bank", "UBS Securities"],
        ["Toyota", "Toyota Motor", "Toyota Motor Corp", "Toyota Motor Sales USA"],
        ["Hynix", "Hynix Semiconductor", "Hynix Semiconductor Inc"],
        ["Zorgon", "Zorgon Technologies", "Zorgon Technologies Inc"],
        ["Samsung Electronics", "Samsung Elec"],
        ["Adobe", "Adobe Systems", "Adobe Systems Inc"],
        ["Merrill", "Merrill Lynch", "Merrill Lynch & Co"],
    ],
)
def test_all_names_of_a_party_are_one_target_in_every_article(linker: Linker, marked: Marked, names: list[str]) -> None:
    """Each name stands alone in an article, so that only the tables and rules can know that they are one party."""
    assert len({entity_of(linker, marked, name) for name in names}) == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Tata Motors", "Tata Steel"),
        ("Delta Electronics", "Delta Air Lines"),
        ("Continental", "Continental Airlines"),
        ("Time Warner", "Time Warner Cable"),
        ("Deutsche Bank", "Deutsche Telekom"),
        ("Bank of Ireland", "Bank of Italy"),
        ("Visa", "Visa Steel"),
        ("European Union", "European Commission"),
        ("Boston Consulting", "Boston Scientific"),
    ],
)
def test_separate_parties_of_like_names_are_two_targets(
    linker: Linker, marked: Marked, first: str, second: str
) -> None:
    assert entity_of(linker, marked, first) != entity_of(linker, marked, second)


@pytest.mark.parametrize(
    ("name", "before", "day", "after"),
    [
        ("Kraft", "Kraft Foods", date(2012, 10, 1), "Kraft Heinz"),
        ("Facebook", "Facebook", date(2021, 10, 28), "Meta Platforms"),
        ("BlackBerry", "Research In Motion", date(2013, 1, 30), "BlackBerry"),
        ("HP", "Hewlett-Packard", date(2015, 11, 1), "HP"),
        ("Meta", "Meta", date(2021, 10, 28), "Meta Platforms"),
        ("GE", "General Electric", date(2024, 4, 2), "GE Aerospace"),
    ],
)
def test_a_name_means_and_shows_the_party_of_its_day(
    linker: Linker, marked: Marked, name: str, before: str, day: date, after: str
) -> None:
    """The name changes its meaning, or the party its name, on `day`."""
    prediction = marked(f"News on [ORG {name}]")
    assert [mention.name for mention in linker.link(prediction, date(2010, 1, 1))] == [before]
    assert [mention.name for mention in linker.link(prediction, day)] == [after]
    assert [mention.name for mention in linker.link(prediction)] == [after]


def test_a_ticker_means_the_company_that_had_it_on_its_day(linker: Linker, marked: Marked) -> None:
    """$FB was Facebook's until June 2022, $S was Sprint's until 2020."""
    assert followed(linker, marked("$FB falls"), date(2015, 1, 5)) == ["Facebook"]
    assert followed(linker, marked("$S falls"), date(2015, 1, 5)) == ["Sprint"]
    assert followed(linker, marked("$S falls"), date(2024, 1, 5)) != ["Sprint"]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "Baa1",
            "AA+",
            "BBB",
            "A/Stable",
            "triple-A",
            "FACTBOX - Dow",
            "Factbox",
            "UPDATE 2",
            "Timeline",
            "Wall",
            "Street",
        ),
        *("March", "Sept 5", "Tuesday", "Q3", "No. 2", "GDP", "Libor", "TARP", "Chapter 11", "Corp", "Co Ltd", "CEO"),
        *(
            "$5 billion",
            "10 pct",
            "Nikkei average",
            "G20",
            "World Cup",
            "London",
            "New York",
            "H1N1",
            "Dodd-Frank",
            "3G",
        ),
    ],
)
def test_what_is_no_party_is_no_target(linker: Linker, marked: Marked, name: str) -> None:
    assert is_no_party(name) or name == "Nikkei average"
    assert followed(linker, marked(f"[ORG {name}] falls")) == []


@pytest.mark.parametrize(
    "name", ["3M", "A.P. Moller", "BB&T", "MAN", "Sun Microsystems", "Caa Group", "AAR", "May Department Stores"]
)
def test_a_party_whose_name_is_like_a_grade_or_a_day_is_none_of_them(name: str) -> None:
    assert not is_no_party(name)


@pytest.mark.parametrize(
    ("title", "names"),
    [
        ("[MISC Greek] debt crisis deepens", ["Greece"]),
        ("[MISC German] government rejects aid", ["Germany"]),
        ("[MISC German] carmaker cuts jobs", []),
        ("[ORG Greek government] to cut wages", ["Greece"]),
        ("[MISC Prius] recall widens", ["Toyota"]),
        ("[MISC Zyprexa] faces lawsuits", ["Eli Lilly and Company"]),
        ("[MISC Edge] of the cliff nears", []),
        ("[ORG Ford Motor] recalls [MISC Edge]", ["Ford Motor Company", "Ford Motor Company"]),
        ("[ORG UPDATE 2-Zorgon] files for bankruptcy", ["Zorgon"]),
        ("[ORG Zorgon Q1] profit falls", ["Zorgon"]),
        ("[ORG Fiat SpA and Chrysler] in talks", ["Fiat", "Chrysler"]),
        ("[ORG General Motors' Saab] seeks protection", ["General Motors", "Saab Automobile"]),
        ("Probe by the Securities and [ORG Exchange Commission] widens", ["Securities and Exchange Commission"]),
        ("[ORG Redwood City], California-based [ORG Zorgon] falls", ["Zorgon"]),
        ('Studio of "[ORG Zorgon Rises]" films falls', []),
        ("[ORG Detroit Auto] Show opens", []),
        ("[PER Madoff] pleads guilty", ["Madoff"]),
        ("[ORG HP]'s [PER Hurd] quits", ["Hewlett-Packard"]),
    ],
)
def test_targets_are_the_parties_that_a_title_names(
    linker: Linker, marked: Marked, title: str, names: list[str]
) -> None:
    """Names are marked by their kind, as the model found them.

    Args:
        names: the names of the parties that may become signals, in order.
    """
    assert followed(linker, marked(title)) == names


def test_a_name_at_the_cut_end_of_a_summary_is_no_target(linker: Linker, marked: Marked) -> None:
    """A summary of fixed length breaks off inside a name."""
    assert followed(linker, marked("Sales fall", "So said [ORG Zorgon]")) == []
    assert followed(linker, marked("Sales fall", "So said [ORG Zorgon].")) == ["Zorgon"]


def test_a_subsidiary_is_its_own_target_and_names_its_parent_of_the_day(linker: Linker, marked: Marked) -> None:
    """Opel belonged to General Motors in 2010 and belongs to Stellantis today."""
    prediction = marked("[ORG Opel] to cut jobs")
    (then,), (now,) = linker.link(prediction, THEN), linker.link(prediction)
    assert then.entity == now.entity == "name:opel"
    assert then.parent == entity_of(linker, marked, "General Motors")
    assert now.parent == entity_of(linker, marked, "Stellantis", None)


def test_the_news_of_a_subsidiary_is_that_of_a_watched_parent(marked: Marked) -> None:
    """It is not where the subsidiary itself is on the watchlist."""
    bank = WatchedEntity.model_validate({"id": "bac", "name": "Bank of America", "tickers": ["BAC"]})
    broker = WatchedEntity.model_validate({"id": "ml", "name": "Merrill Lynch"})
    prediction = marked("[ORG Merrill Lynch] pays fine")
    assert [mention.entity for mention in Linker(Watchlist((bank,))).link(prediction, THEN)] == ["bac"]
    assert [mention.entity for mention in Linker(Watchlist((bank, broker))).link(prediction, THEN)] == ["ml"]


def test_a_watchlist_entry_is_found_under_the_other_names_of_its_party(marked: Marked) -> None:
    entry = WatchedEntity.model_validate({"id": "saty", "name": "Satyam Computer Services"})
    assert [mention.entity for mention in Linker(Watchlist((entry,))).link(marked("[ORG Satyam] falls"))] == ["saty"]


def test_the_shipped_tables_let_no_name_mean_two_parties_on_one_day() -> None:
    assert list(shipped_parties().overlaps()) == []


def test_a_validity_covers_its_days_and_today_only_if_it_has_no_end() -> None:
    validity = Validity.parse("2009-01-01..2010-12-31")
    assert [validity.covers(date(year, 6, 1)) for year in (2008, 2009, 2010, 2011)] == [False, True, True, False]
    assert not validity.covers(None)
    assert Validity.parse("2009-01-01..").covers(None)
    assert Validity.parse("").covers(date.min)
    with pytest.raises(ValueError, match="must not end before it begins"):
        Validity.parse("2010-01-01..2009-01-01")


def test_results_of_one_era_may_be_cached_together() -> None:
    """An era ends where any name changes its meaning; its first day stands for it."""
    table = PartyTable(shipped_parties()._companies, parties=["Zorgon\tZ Corp@2009-01-01..2010-12-31"])
    days = [date(2008, 12, 31), date(2009, 1, 1), date(2010, 12, 31), date(2011, 1, 1)]
    assert [table.era(day) for day in days] == [date.min, date(2009, 1, 1), date(2009, 1, 1), date(2011, 1, 1)]
    assert table.era(None) is None


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("The [ORG Boston Newspaper] Guild rejected the cuts.", ["Boston Newspaper Guild"]),
        ("It agreed to buy Zorgon [ORG Thrifty Group Inc] this week.", ["Zorgon Thrifty Group Inc"]),
        ("A rival took share with [ORG Research in Motion]'s RIM.TO phones.", ["Research In Motion"]),
        ("Its parent [ORG Zorgon NYX.PANYX.N] said profit fell again.", ["Zorgon"]),
        ("Leaders of the [ORG Democratic Senate Banking Committee] met again.", ["Senate Banking Committee"]),
        ("The [ORG New York Insurance] Superintendent spoke about losses.", []),
        ("They closed stores in [ORG Kirkland], Washington, and elsewhere.", []),
        ("Losses continued for the [ORG PHLX] Semiconductor index again.", []),
        ("It is co-developer of [ORG Standard and Poor's S&P]/Case-Shiller Home Price Indices.", []),
        ("They invest through retirement plans such as [ORG 401(k)s].", []),
        ("On Monday [ORG Zorgon] Chairman Smith said sales fell again.", ["Zorgon"]),
        ("Last week [ORG Zorgon] Monday sales fell again and again.", ["Zorgon"]),
        ("The retired Army [ORG Zorgon] maker fell again.", ["Army Zorgon"]),
        ("Sales at Tokyo-based [ORG Zorgon Value] fell again.", ["Zorgon Value"]),
    ],
)
def test_a_name_in_running_text_is_whole(linker: Linker, marked: Marked, text: str, names: list[str]) -> None:
    """The model cuts rare names; capitals beside them show the rest, but titles and times do not belong to them."""
    assert followed(linker, marked("Sales fall", text)) == names


def test_a_text_that_breaks_off_inside_a_name_gives_it_to_no_mention(linker: Linker, marked: Marked) -> None:
    assert followed(linker, marked("Sales fall", "So said a judge of the [ORG Zorgon State] Supr")) == []
    (mention,) = linker.link(marked("Sales fall at [ORG Zorgon]", "So said [ORG Zorgon Sec]"), THEN)[:1]
    assert mention.entity == "name:zorgon"


def test_a_family_name_is_the_person_whom_the_article_names_in_full(linker: Linker, marked: Marked) -> None:
    """`Gates` alone is a company of the tables."""
    first, *_ = linker.link(marked("[ORG Gates] projects more costs", "So said [PER Robert Gates]."), THEN)
    assert (first.entity, first.type) == ("name:robert-gates", "PER")


def test_an_adjective_before_a_noun_is_no_company(linker: Linker, marked: Marked) -> None:
    assert followed(linker, marked("[ORG Swift] trade reports may hurt banks")) == []
    assert followed(linker, marked("Key [ORG Milken] conference comments on reform")) == []
