"""Names that the model cuts, joins or glues to a word, and names that mean more than one party."""

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


def entities(linker: Linker, prediction: DocumentPrediction) -> list[str]:
    return [mention.entity for mention in linker.link(prediction, THEN)]


def followed(linker: Linker, prediction: DocumentPrediction) -> list[str]:
    return [mention.name for mention in linker.link(prediction, THEN) if mention.followed]


@pytest.mark.parametrize(
    "name",
    ["HOUSE WAYS AND MEANS COMMITTEE", "HOUSE WAYS AND MEAN", "House Ways and Means", "U.S. House Ways and Means"],
)
def test_a_committee_of_congress_is_found_without_the_word_committee_and_in_capitals(
    linker: Linker, marked: Marked, name: str
) -> None:
    assert entities(linker, marked(f"News on [ORG {name}]")) == ["name:house-ways-and-means-committee"]


def test_a_stock_code_tells_whose_short_name_it_is(linker: Linker, marked: Marked) -> None:
    prediction = marked("Sales fall", "Fitch cut [ORG National Bank] ( NBGr.AT ) and others again.")
    assert entities(linker, prediction) == ["name:national-bank-of-greece"]


@pytest.mark.parametrize("name", ["National Bank", "First National", "Global Technologies"])
def test_words_that_many_companies_bear_are_no_company_of_the_tables(linker: Linker, marked: Marked, name: str) -> None:
    (entity,) = entities(linker, marked(f"News on [ORG {name}]"))
    assert entity.startswith("name:")


def test_such_words_with_a_legal_form_or_a_ticker_are_one(linker: Linker, marked: Marked) -> None:
    assert entities(linker, marked("News on [ORG National Bank Holdings Corp]")) == ["cik:0001475841"]
    assert entities(linker, marked("News on [ORG National Bank] (NYSE: NBHC)")) == ["cik:0001475841"]
    article = marked("[ORG National Bank] falls", "So [ORG National Bank Holdings Corp] fell again.")
    assert entities(linker, article) == ["cik:0001475841"] * 2


def test_words_that_tell_one_company_are_found_without_its_legal_form(linker: Linker, marked: Marked) -> None:
    assert entities(linker, marked("News on [ORG American Airlines]")) == entities(
        linker, marked("News on [ORG American Airlines Group Inc]")
    )


def test_the_legal_form_tells_two_companies_of_one_name_apart(linker: Linker, marked: Marked) -> None:
    assert entities(linker, marked("News on [ORG Merck & Co]")) == ["isin:US58933Y1055"]
    assert entities(linker, marked("News on [ORG Merck KGaA]")) != ["isin:US58933Y1055"]
    assert entities(linker, marked("News on [ORG Merck]")) == ["name:merck"]


@pytest.mark.parametrize("name", ["ABC TV", "ABC News", "ABC", "CNN Television", "Stuttgarter Zeitung"])
def test_a_broadcaster_or_paper_that_is_quoted_is_no_target_and_no_bank(
    linker: Linker, marked: Marked, name: str
) -> None:
    prediction = marked("Sales fall", f"He said so in an interview with [ORG {name}] again.")
    assert "name:agricultural-bank-of-china" not in entities(linker, prediction)
    assert followed(linker, prediction) == []


def test_initials_are_the_bank_where_the_article_names_it(linker: Linker, marked: Marked) -> None:
    article = marked("[ORG ABC] falls", "So said [ORG Agricultural Bank of China] again.")
    assert entities(linker, article)[1] == "name:agricultural-bank-of-china"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("The exchange parent [ORG NYSE] [ORG Euronext NYX.PANYX.N], said profit fell.", ["NYSE Euronext"]),
        ("Rivals such as [ORG Chico]'s [ORG FAS Inc] said sales fell again.", ["Chico's FAS"]),
        ("Rivals such as [ORG Chico]'s [ORG FAS Inc] ( CHS.N ) fell again.", ["Chico's FAS"]),
        ("He told the paper [ORG Zorgoner] [ORG Blatt] that sales fell.", ["Zorgoner Blatt"]),
        ("Fears that [ORG Toyota] [ORG Honda] and others sold less.", ["Toyota", "Honda"]),
        ("They told the agency [ORG Reuters] [ORG Zorgon] sold less.", ["Zorgon"]),
        ("The filing was no foregone conclusion for [ORG CITand other] lenders.", ["CIT Group"]),
        ("So said [ORG Erik Olsson RSC Holdings] chief executive again.", ["RSC Holdings"]),
    ],
)
def test_names_that_the_model_splits_or_joins_are_whole(
    linker: Linker, marked: Marked, text: str, names: list[str]
) -> None:
    assert followed(linker, marked("Sales fall", text)) == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("They sold [ORG Nook] readers at [ORG Barnes & Noble] again.", ["Barnes & Noble", "Barnes & Noble"]),
        ("Sales of [ORG Zocor] fell again and again.", ["Merck & Co."]),
        ("The fund lent [ORG SDRs] to members again.", []),
        ("Britain signed the [ORG Al Yamamah] deal with others.", []),
        ("They honoured [ORG Hall of Fame] pitchers again.", []),
    ],
)
def test_products_are_their_maker_and_things_are_no_party(
    linker: Linker, marked: Marked, text: str, names: list[str]
) -> None:
    assert followed(linker, marked("Sales fall", text)) == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("The plane maker [ORG Bombardier] ( BBDb.TO ) [ORG Aerospace] sold less again.", ["Bombardier"]),
        ("It was said by the SEC's [ORG Zorgon Inspections] and E", []),
        ("It was said by the SEC's [ORG Zorgon Inspections] and others.", ["Zorgon Inspections"]),
        ("So said Peter O'Connor, head of [ORG Metals & Mining Australia], Deutsche Bank again.", ["Deutsche Bank"]),
        ("So said Peter O'Connor, head of [ORG Zorgon Mining] in Australia again.", ["Zorgon Mining"]),
        ("So said the [ORG Receiver] of the bank again.", []),
        ("They recalled the [ORG Lincoln MKX] and others again.", ["Ford Motor Company"]),
        ("Safeway runs the [ORG Dominick]'s chain again.", ["Dominick's"]),
        ("They sold [ORG Pan American Energy] and others again.", ["Pan American Energy"]),
        ("So [ORG Thales Alenia Space] and [ORG Thales] sold more again.", ["Thales Alenia Space", "Thales Group"]),
    ],
)
def test_parts_of_names_and_offices_are_no_target(linker: Linker, marked: Marked, text: str, names: list[str]) -> None:
    assert followed(linker, marked("Sales fall", text)) == names


def test_a_legal_form_finds_the_company_with_a_place_in_brackets(linker: Linker) -> None:
    company = linker.companies.exact("Pan American Energy Corp")
    assert company is not None
    assert company.entity == "cik:0001953588"
    assert linker.companies.exact("Pan American Energy") is None


@pytest.mark.parametrize("label", ["FUND Q&A", "FUND Q-AND-A", "Q+A", "Newsmaker"])
def test_the_label_of_a_headline_is_no_target(linker: Linker, marked: Marked, label: str) -> None:
    assert followed(linker, marked(f"[ORG {label}]: sales fall", "They fell again.")) == []


def test_names_with_and_without_a_final_s_are_one_party_of_the_table(linker: Linker, marked: Marked) -> None:
    names = [entities(linker, marked(f"News on [ORG {name}]")) for name in ("Walgreen", "Walgreens", "Walgreen Co")]
    assert names[0] == names[1] == names[2]
