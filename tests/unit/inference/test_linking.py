"""Linking: the same company is the same entity whatever it is called, and nothing is guessed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from riskwire.entities.names import acronyms, name_key, slug
from riskwire.entities.watchlist import WatchedEntity, Watchlist
from riskwire.inference.linking import LinkedMention, Linker
from riskwire.inference.linking.companies import Company, CompanyTable, merged, shipped_companies
from riskwire.inference.linking.places import country
from riskwire.inference.linking.publishers import dateline_end, speaks_of_others
from riskwire.inference.linking.tickers import ticker_marks
from riskwire.inference.model.prediction import DocumentPrediction

Marked = Callable[..., DocumentPrediction]
GM = "isin:US37045V1008"


@pytest.fixture(scope="module")
def linker() -> Linker:
    return Linker()


def watching(*entities: dict[str, object]) -> Linker:
    return Linker(Watchlist(tuple(WatchedEntity.model_validate(one) for one in entities)))


def entities(linker: Linker, reading: DocumentPrediction) -> list[tuple[str, str]]:
    return [(one.text, one.entity) for one in linker.link(reading)]


def followed(linker: Linker, reading: DocumentPrediction) -> list[str]:
    return [one.text for one in linker.link(reading) if one.followed]


def test_every_name_of_one_company_in_one_article_is_one_entity(linker: Linker, marked: Marked) -> None:
    reading = marked(
        "[ORG GM] to cut jobs",
        "DETROIT (Reuters) - [ORG General Motors Corp] ( GM.N ) said so; [ORG General Motors] and [ORG G.M.] declined.",
    )
    assert {entity for _, entity in entities(linker, reading)} == {GM}


@pytest.mark.parametrize(
    ("name", "entity"),
    [
        ("Apple", "isin:US0378331005"),
        ("Apple Inc.", "isin:US0378331005"),
        ("APPLE INC", "isin:US0378331005"),
        ("General Motors Co", GM),
        ("GM", GM),
        ("AIG", "isin:US0268747849"),
        ("Ford", "isin:US3453708600"),
        ("Wal-Mart", "isin:US9311421039"),
        ("Citi", "isin:US1729674242"),
        ("Hewlett-Packard Co", "isin:US40434L1052"),
        ("Alphabet", "cik:0001652044"),
        ("UBS AG", "isin:CH0244767585"),
        ("Merck", "name:merck"),
        ("General", "name:general"),
        ("Nortel Networks Corp", "name:nortel-networks"),
        ("the Fed", "name:federal-reserve"),
    ],
)
def test_names_resolve_through_the_tables_and_ambiguous_ones_stay_names(
    linker: Linker, marked: Marked, name: str, entity: str
) -> None:
    assert entities(linker, marked(f"[ORG {name}] fell")) == [(name, entity)]


def test_common_words_are_companies_only_where_the_model_or_a_ticker_says_so(linker: Linker, marked: Marked) -> None:
    assert entities(linker, marked("Target of apple growers: a gap in visa rules, all for it")) == []
    assert entities(linker, marked("[ORG Target] cuts jobs")) == [("Target", "isin:US87612E1064")]
    assert entities(linker, marked("Target (NYSE: TGT) cuts jobs")) == [("Target", "isin:US87612E1064")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Shares of $AAPL rose", [("AAPL", "US")]),
        ("Apple Inc. (NASDAQ: AAPL) rose", [("AAPL", "US")]),
        ("Apple Inc. (NasdaqGS:AAPL) rose", [("AAPL", "US")]),
        ("Ford Motor Co ( F.N ) and UBS ( UBSN.VX )( UBS.N )", [("F", "US"), ("UBSN", "SW"), ("UBS", "US")]),
        ("Ford <F.N> and Ericsson ( ERICb.ST )", [("F", "US"), ("ERICB", "ST")]),
        ("Terra Industries Inc TRA.N said", [("TRA", "US")]),
        ("Berkshire (NYSE: BRK.B) rose", [("BRK-B", "US")]),
        ("It cost $5 or US$10 in the U.S. and $USD.", []),
        ("The N.Y. and U.N. offices (at 3 p.m.) and a price of 5.N", []),
    ],
)
def test_tickers_are_read_in_every_form(text: str, said: list[tuple[str, str]]) -> None:
    found = [(mark.symbol, mark.market) for mark in ticker_marks(text)]
    assert found == said or (not said and found == [("USD", "US")])


def test_a_ticker_gives_its_name_when_the_model_missed_it(linker: Linker, marked: Marked) -> None:
    assert entities(linker, marked("Shares of Citigroup ( C.N ) fell")) == [("Citigroup", "isin:US1729674242")]
    assert entities(linker, marked("$AAPL falls")) == [("$AAPL", "isin:US0378331005")]


def test_a_ticker_that_has_gone_to_another_company_does_not_drag_the_name_along(linker: Linker, marked: Marked) -> None:
    assert entities(linker, marked("[ORG Sprint Nextel Corp] ( S.N ) lost users")) == [
        ("Sprint Nextel Corp", "name:sprint-nextel")
    ]


def test_a_short_form_that_fits_two_names_of_the_article_stands_for_neither(linker: Linker, marked: Marked) -> None:
    reading = marked("[ORG Zorg] wins", "[ORG Zorg Steel] sued [ORG Zorg Foods].")
    assert entities(linker, reading)[0] == ("Zorg", "name:zorg")


def test_a_last_name_is_the_person_named_in_full(linker: Linker, marked: Marked) -> None:
    reading = marked("[PER Nardelli] to go", "[ORG Chrysler] chief [PER Bob Nardelli] said so.")
    assert entities(linker, reading)[0] == ("Nardelli", "name:bob-nardelli")


def test_countries_are_followed_under_one_name_and_datelines_and_cities_are_not(linker: Linker, marked: Marked) -> None:
    reading = marked(
        "[LOC Ireland] seeks aid", "[LOC LONDON] (Reuters) - [LOC U.S.] and [LOC British] banks left [LOC Dublin]."
    )
    assert followed(linker, reading) == ["Ireland", "U.S."]
    assert country("the U.S.") == country("USA") == "United States"
    assert country("UK") == "United Kingdom"
    assert country("Paris") is None


@pytest.mark.parametrize(
    "text",
    [
        "DETROIT (Reuters) - GM",
        "(Reuters) - GM",
        "WASHINGTON/NEW YORK (AP) — GM",
        "SANTA CLARA, California (Reuters) - GM",
        "LONDON, March 3 (Reuters) - GM",
        "FRANKFURT -- GM",
    ],
)
def test_datelines_end_before_the_news(text: str) -> None:
    assert text[dateline_end(text) :] == "GM"


def test_a_sentence_is_no_dateline() -> None:
    for text in ("Apple - the maker of phones - fell", "GM fell", "IBM said - again - that it grew"):
        assert dateline_end(text) == 0


def test_an_agency_that_names_itself_is_no_target_unless_it_is_watched(marked: Marked) -> None:
    reading = marked("[ORG Acme] told [ORG Reuters]", "NEW YORK ([ORG Reuters]) - [ORG Bloomberg News] said so.")
    assert followed(Linker(), reading) == ["Acme"]
    assert followed(watching({"id": "r", "name": "Reuters"}), reading) == ["Acme", "Reuters", "Reuters"]


def test_indices_and_labels_are_no_targets(linker: Linker, marked: Marked) -> None:
    assert followed(linker, marked("[ORG FACTBOX]: [ORG Dow], [ORG S&P 500] and [ORG Wall Street] fall")) == []


@pytest.mark.parametrize(
    ("text", "name", "speaks"),
    [
        ("Moody's cuts Acme to junk", "Moody's", True),
        ("Moody's cuts Acme to junk", "Acme", False),
        ("JPMorgan downgrades Acme", "JPMorgan", True),
        ("Goldman analysts see Acme at 5", "Goldman", True),
        ("said Jane Doe, an analyst at Barclays", "Barclays", True),
        ("JPMorgan cuts 500 jobs", "JPMorgan", False),
        ("Moody's profit falls", "Moody's", False),
        ("Goldman raises Acme price target", "Goldman", True),
    ],
)
def test_who_rates_others_is_told_from_who_is_spoken_of(text: str, name: str, speaks: bool) -> None:
    start = text.index(name)
    assert speaks_of_others(text, start, start + len(name)) is speaks


# --- the watchlist -------------------------------------------------------------------------------------------------

APPLE = {"id": "aapl", "name": "Apple Inc.", "aliases": ["Apple"], "tickers": ["AAPL"], "isin": "US0378331005"}
BANK = {"id": "boa", "name": "Bank of America", "tickers": ["BAC"], "group": "banks"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Apple falls", ["Apple"]),
        ("apple growers fall", []),
        ("APPLE FALLS ON WEAK SALES", ["APPLE"]),
        ("Pineapple and Applebee's fall", []),
        ("Apple's phone", ["Apple"]),
        ("Bad day for bank of america", ["bank of america"]),
        ("AAPL falls", ["AAPL"]),
        ("$AAPL falls", ["$AAPL"]),
        ("Some maker ( AAPL.O ) fell", ["AAPL.O"]),
        ("[ORG Apple Records] sues", []),
        ("[ORG Apple Inc] sues", ["Apple Inc"]),
        ("[PER Fiona Apple] sings", []),
    ],
)
def test_watched_names_are_found_as_whole_words_in_their_case(marked: Marked, text: str, found: list[str]) -> None:
    linker = watching(APPLE, BANK)
    assert [one.text for one in linker.link(marked(text)) if one.watched] == found


def test_a_watched_entity_has_its_own_id_however_it_is_named(marked: Marked) -> None:
    linker = watching({"id": "the-general", "name": "General Motors", "tickers": ["GM"]})
    reading = marked("[ORG GM] falls", "[ORG General Motors Corp] ( GM.N ) fell. $GM")
    assert {one.entity for one in linker.link(reading)} == {"the-general"}


def test_an_isin_on_the_watchlist_claims_the_company_under_any_name(marked: Marked) -> None:
    linker = watching({"id": "x", "name": "Cupertino phone maker", "isin": "US0378331005"})
    assert entities(linker, marked("[ORG Apple] falls")) == [("Apple", "x")]


def test_a_longest_alias_that_runs_over_a_word_does_not_hide_a_shorter_one(marked: Marked) -> None:
    linker = watching({"id": "g", "name": "General Motors Co", "aliases": ["General Motors"]})
    assert [one.text for one in linker.link(marked("General Motors Corporation fell"))] == ["General Motors"]


def test_mentions_of_a_sentence_never_overlap_and_say_what_the_text_says(marked: Marked) -> None:
    linker = watching(APPLE, BANK)
    reading = marked(
        "[ORG Bank of] America Corp ( BAC.N ) and [ORG Apple Inc ( AAPL.O] ) and $AAPL",
        "[LOC Hewlett]-[ORG Packard] and [ORG Apple]'s [PER Steve Jobs]",
    )
    last = 0
    for one in linker.link(reading):
        assert last <= one.start < one.end
        assert reading.document.content[one.start : one.end] == one.text
        last = one.end


# --- names and tables ----------------------------------------------------------------------------------------------


def test_names_are_compared_without_case_accents_punctuation_and_legal_form() -> None:
    assert name_key("The Coca-Cola Company") == name_key("COCA COLA CO") == ("coca", "cola")
    assert name_key("L'Oréal S.A.") == name_key("Loreal") == ("loreal",)
    assert name_key("JPMorgan Chase & Co.") == ("jpmorgan", "chase")
    assert name_key("MOODYS CORP /DE/") == name_key("Moody's")
    assert name_key("Inc") == ("inc",)
    assert slug("Société Générale") == "societe-generale"
    assert slug("...") == ""
    assert acronyms("American International Group") >= {"AIG"}


def test_an_isin_is_taken_only_where_it_is_surely_the_company_s_own() -> None:
    def stock(name: str, isins: list[str], country: str) -> dict[str, object]:
        return {"name": name, "isins": isins, "country": country, "symbols": [], "symbol": ""}

    stocks = [
        stock("One", ["US0378331005"], "United States"),
        stock("Home", ["DE0007164600", "US8030542042"], "Germany"),
        stock("Classes", ["US02079K1079", "US02079K3059"], "United States"),
        stock("Shared A", ["FR0012435121"], "France"),
        stock("Shared B", ["FR0012435121"], "France"),
        stock("Broken", ["US0378331006"], "United States"),
    ]
    found = {company.name: company.entity for company in merged(stocks, ["7\tClasses Inc\tNYSE:CLS"])}
    assert found == {
        "One": "isin:US0378331005",
        "Home": "isin:DE0007164600",
        "Classes": "cik:0000000007",
        "Shared A": None,
        "Shared B": None,
        "Broken": None,
    }


def test_a_name_that_two_companies_bear_finds_neither() -> None:
    def company(entity: str, name: str) -> Company:
        return Company(entity, name, (name_key(name),), ())

    table = CompanyTable([company("cik:1", "Zorg Inc"), company("cik:2", "Zorg Corp"), company("cik:3", "Delos Bank")])
    assert table.by_name("Zorg") is None
    assert (found := table.by_name("Delos")) is not None
    assert found.entity == "cik:3"


def test_the_shipped_table_is_whole() -> None:
    table = shipped_companies()
    assert (apple := table.by_ticker("US", "AAPL")) is not None
    assert apple.entity == "isin:US0378331005"
    assert (moody := table.by_name("Moody's")) is not None
    assert moody.display_name == "Moody's Corporation"


def test_linking_is_a_function_of_the_article(linker: Linker, marked: Marked) -> None:
    def link() -> list[LinkedMention]:
        return linker.link(marked("[ORG GM] falls", "[ORG General Motors Corp] ( GM.N ) fell in [LOC Ireland]."))

    assert link() == link()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Canada's Potash Corp ( POT.N ) rose", [("Potash Corp", "name:potash")]),
        ("NEW YORK (Reuters) -Goldman Sachs Group Inc ( GS.N )", [("Goldman Sachs Group Inc", "isin:US38141G1040")]),
        ("the group Inc ( XYZQ.N )", [("XYZQ.N", "name:xyzq-n")]),
    ],
)
def test_the_name_before_a_ticker_is_found_without_the_model(
    linker: Linker, marked: Marked, text: str, found: list[tuple[str, str]]
) -> None:
    assert entities(linker, marked(text)) == found


def test_a_code_that_no_table_knows_is_no_target(linker: Linker, marked: Marked) -> None:
    assert followed(linker, marked("the rest ( XYZQ.N )")) == []


def test_a_possessive_is_part_of_a_name_only_where_the_table_writes_it(linker: Linker, marked: Marked) -> None:
    assert entities(linker, marked("[ORG Macy]'s falls")) == [("Macy's", "cik:0000794367")]
    assert entities(linker, marked("[ORG GM]'s sales fall")) == [("GM", GM)]
