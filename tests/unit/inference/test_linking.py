"""Linking: a company is one entity under all its names, and no id is guessed."""

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


def linker_with(*entries: dict[str, object]) -> Linker:
    """Returns a linker with these entries on its watchlist; each is given by its fields."""
    return Linker(Watchlist(tuple(WatchedEntity.model_validate(entry) for entry in entries)))


def entities(linker: Linker, prediction: DocumentPrediction) -> list[tuple[str, str]]:
    """Returns the text and the entity (its id) of each mention."""
    return [(mention.text, mention.entity) for mention in linker.link(prediction)]


def followed(linker: Linker, prediction: DocumentPrediction) -> list[str]:
    return [mention.text for mention in linker.link(prediction) if mention.followed]


def test_all_names_of_a_company_in_an_article_are_one_entity(linker: Linker, marked: Marked) -> None:
    """The entity is the ISIN of General Motors, for short names, the full name, initials and the ticker."""
    prediction = marked(
        "[ORG GM] to cut jobs",
        "DETROIT (Reuters) - [ORG General Motors Corp] ( GM.N ) said so; [ORG General Motors] and [ORG G.M.] declined.",
    )
    assert {entity for _, entity in entities(linker, prediction)} == {GM}


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
def test_names_resolve_through_the_tables_and_ambiguous_ones_remain_names(
    linker: Linker, marked: Marked, name: str, entity: str
) -> None:
    """The id of an entity is `isin:…` or `cik:…` from the tables of companies, else `name:` and the name as a slug."""
    assert entities(linker, marked(f"[ORG {name}] fell")) == [(name, entity)]


def test_a_common_word_is_a_company_only_by_the_model_or_a_ticker(linker: Linker, marked: Marked) -> None:
    """ "Target" is a mention if the model marks it as ORG, or if a ticker follows."""
    assert entities(linker, marked("Target of apple growers: a gap in visa rules, all for it")) == []
    assert entities(linker, marked("[ORG Target] cuts jobs")) == [("Target", "isin:US87612E1064")]
    assert entities(linker, marked("Target (NYSE: TGT) cuts jobs")) == [("Target", "isin:US87612E1064")]


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        ("Shares of $AAPL rose", [("AAPL", "US")]),
        ("Apple Inc. (NASDAQ: AAPL) rose", [("AAPL", "US")]),
        ("Apple Inc. (NasdaqGS:AAPL) rose", [("AAPL", "US")]),
        ("Ford Motor Co ( F.N ) and UBS ( UBSN.VX )( UBS.N )", [("F", "US"), ("UBSN", "SW"), ("UBS", "US")]),
        ("Ford <F.N> and Ericsson ( ERICb.ST )", [("F", "US"), ("ERICB", "ST")]),
        ("Terra Industries Inc TRA.N said", [("TRA", "US")]),
        ("Berkshire (NYSE: BRK.B) rose", [("BRK-B", "US")]),
        ("It cost $5 or US$10 in the U.S. and $USD.", [("USD", "US")]),
        ("The N.Y. and U.N. offices (at 3 p.m.) and a price of 5.N", []),
    ],
)
def test_ticker_marks_are_recognised_in_every_form(text: str, symbols: list[tuple[str, str]]) -> None:
    """A mark has a symbol and the market on which it is listed; initials and prices are no marks."""
    assert [(mark.symbol, mark.market) for mark in ticker_marks(text)] == symbols


def test_a_ticker_reveals_a_name_that_the_model_missed(linker: Linker, marked: Marked) -> None:
    assert entities(linker, marked("Shares of Citigroup ( C.N ) fell")) == [("Citigroup", "isin:US1729674242")]
    assert entities(linker, marked("$AAPL falls")) == [("$AAPL", "isin:US0378331005")]


def test_a_ticker_that_has_passed_to_another_company_does_not_change_the_entity(linker: Linker, marked: Marked) -> None:
    """Today the symbol S belongs to a company whose name does not agree with "Sprint Nextel"."""
    assert entities(linker, marked("[ORG Sprint Nextel Corp] ( S.N ) lost users")) == [
        ("Sprint Nextel Corp", "name:sprint")
    ]


def test_a_short_form_of_two_names_in_the_article_resolves_to_neither(linker: Linker, marked: Marked) -> None:
    """ "Zorg" may be short for Zorg Steel or Zorg Foods, so its entity has only its own name."""
    prediction = marked("[ORG Zorg] wins", "[ORG Zorg Steel] sued [ORG Zorg Foods].")
    assert entities(linker, prediction)[0] == ("Zorg", "name:zorg")


def test_a_last_name_resolves_to_the_person_with_the_full_name(linker: Linker, marked: Marked) -> None:
    prediction = marked("[PER Nardelli] to go", "[ORG Chrysler] chief [PER Bob Nardelli] said so.")
    assert entities(linker, prediction)[0] == ("Nardelli", "name:bob-nardelli")


def test_countries_are_followed_under_one_name_but_datelines_and_cities_are_not(linker: Linker, marked: Marked) -> None:
    """A mention that is followed may become a signal. `country` returns the usual name of a country, else None."""
    prediction = marked(
        "[LOC Ireland] seeks aid", "[LOC LONDON] (Reuters) - [LOC U.S.] and [LOC British] banks left [LOC Dublin]."
    )
    assert followed(linker, prediction) == ["Ireland", "U.S."]
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
def test_the_dateline_ends_where_the_news_begins(text: str) -> None:
    assert text[dateline_end(text) :] == "GM"


def test_a_sentence_with_dashes_has_no_dateline() -> None:
    for text in ("Apple - the maker of phones - fell", "GM fell", "IBM said - again - that it grew"):
        assert dateline_end(text) == 0


def test_a_news_agency_is_followed_only_on_the_watchlist(marked: Marked) -> None:
    """A mention that is followed may become a signal. Agencies are named as sources, unless they are watched."""
    prediction = marked("[ORG Acme] told [ORG Reuters]", "NEW YORK ([ORG Reuters]) - [ORG Bloomberg News] said so.")
    assert followed(Linker(), prediction) == ["Acme"]
    assert followed(linker_with({"id": "r", "name": "Reuters"}), prediction) == ["Acme", "Reuters", "Reuters"]


def test_indices_and_labels_are_not_followed(linker: Linker, marked: Marked) -> None:
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
def test_a_company_that_rates_others_is_distinguished_from_its_subject(text: str, name: str, speaks: bool) -> None:
    """A rating agency or broker that comments on another company is not what the sentence is about.

    Args:
        name: the company in the text.
        speaks: whether it is mentioned only as rating or commenting.
    """
    start = text.index(name)
    assert speaks_of_others(text, start, start + len(name)) is speaks


# --- the watchlist -------------------------------------------------------------------------------------------------

APPLE = {"id": "aapl", "name": "Apple Inc.", "aliases": ["Apple"], "tickers": ["AAPL"], "isin": "US0378331005"}
BANK = {"id": "boa", "name": "Bank of America", "tickers": ["BAC"], "group": "banks"}


@pytest.mark.parametrize(
    ("text", "names"),
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
def test_watched_names_match_complete_words_in_their_case(marked: Marked, text: str, names: list[str]) -> None:
    """Apple and Bank of America are watched. A name of several words matches in any case.

    "Apple" matches as it is written, or in a headline of capitals. It does not match within a longer name of the model.

    Args:
        names: the texts of the mentions that are of a watched entity.
    """
    linker = linker_with(APPLE, BANK)
    assert [mention.text for mention in linker.link(marked(text)) if mention.watched] == names


def test_a_watched_entity_keeps_its_id_under_every_name(marked: Marked) -> None:
    """Initials, the full name and tickers of General Motors give the id of the watchlist entry."""
    linker = linker_with({"id": "the-general", "name": "General Motors", "tickers": ["GM"]})
    prediction = marked("[ORG GM] falls", "[ORG General Motors Corp] ( GM.N ) fell. $GM")
    assert {mention.entity for mention in linker.link(prediction)} == {"the-general"}


def test_an_isin_on_the_watchlist_finds_the_company_under_any_name(marked: Marked) -> None:
    linker = linker_with({"id": "x", "name": "Cupertino phone maker", "isin": "US0378331005"})
    assert entities(linker, marked("[ORG Apple] falls")) == [("Apple", "x")]


def test_an_alias_that_ends_inside_a_word_does_not_hide_a_shorter_one(marked: Marked) -> None:
    linker = linker_with({"id": "g", "name": "General Motors Co", "aliases": ["General Motors"]})
    mentions = linker.link(marked("General Motors Corporation fell"))
    assert [mention.text for mention in mentions] == ["General Motors"]


def test_mentions_do_not_overlap_and_have_the_text_at_their_offsets(marked: Marked) -> None:
    """Names of the model, tickers and watched names overlap in this text. Mentions are in order."""
    linker = linker_with(APPLE, BANK)
    prediction = marked(
        "[ORG Bank of] America Corp ( BAC.N ) and [ORG Apple Inc ( AAPL.O] ) and $AAPL",
        "[LOC Hewlett]-[ORG Packard] and [ORG Apple]'s [PER Steve Jobs]",
    )
    end = 0
    for mention in linker.link(prediction):
        assert end <= mention.start < mention.end
        assert prediction.document.content[mention.start : mention.end] == mention.text
        end = mention.end


# --- names and tables ----------------------------------------------------------------------------------------------


def test_names_are_compared_without_case_accents_punctuation_and_legal_form() -> None:
    """`name_key` returns the words by which names are compared, `slug` the part of an id, `acronyms` the initials."""
    assert name_key("The Coca-Cola Company") == name_key("COCA COLA CO") == ("coca", "cola")
    assert name_key("L'Oréal S.A.") == name_key("Loreal") == ("loreal",)
    assert name_key("JPMorgan Chase & Co.") == ("jpmorgan", "chase")
    assert name_key("MOODYS CORP /DE/") == name_key("Moody's")
    assert name_key("Inc") == ("inc",)
    assert slug("Société Générale") == "societe-generale"
    assert slug("...") == ""
    assert acronyms("American International Group") >= {"AIG"}


def test_a_company_gets_an_isin_only_when_it_is_certainly_its_own() -> None:
    """Of several ISINs, the one of the home country counts, if it is the only one, valid and of no other company.

    The company with two such ISINs gets an id from the SEC's table instead (CIK 7); the others get none.
    """

    def stock(name: str, isins: list[str], country: str) -> dict[str, object]:
        """Returns a stock as pytickersymbols lists it, without tickers."""
        return {"name": name, "isins": isins, "country": country, "symbols": [], "symbol": ""}

    stocks = [
        stock("One", ["US0378331005"], "United States"),
        stock("Home", ["DE0007164600", "US8030542042"], "Germany"),
        stock("Classes", ["US02079K1079", "US02079K3059"], "United States"),
        stock("Shared A", ["FR0012435121"], "France"),
        stock("Shared B", ["FR0012435121"], "France"),
        stock("Broken", ["US0378331006"], "United States"),
    ]
    by_name = {company.name: company.entity for company in merged(stocks, ["7\tClasses Inc\tNYSE:CLS"])}
    assert by_name == {
        "One": "isin:US0378331005",
        "Home": "isin:DE0007164600",
        "Classes": "cik:0000000007",
        "Shared A": None,
        "Shared B": None,
        "Broken": None,
    }


def test_a_name_of_two_companies_finds_neither() -> None:
    """Zorg Inc and Zorg Corp differ only in their legal form, so "Zorg" is ambiguous; "Delos" is not."""

    def company(entity: str, name: str) -> Company:
        return Company(entity, name, (name_key(name),), ())

    table = CompanyTable([company("cik:1", "Zorg Inc"), company("cik:2", "Zorg Corp"), company("cik:3", "Delos Bank")])
    assert table.by_name("Zorg") is None
    assert (delos := table.by_name("Delos")) is not None
    assert delos.entity == "cik:3"


def test_the_shipped_table_has_tickers_and_names() -> None:
    """Looks up Apple by its US ticker and Moody's by its name."""
    table = shipped_companies()
    assert (apple := table.by_ticker("US", "AAPL")) is not None
    assert apple.entity == "isin:US0378331005"
    assert (moody := table.by_name("Moody's")) is not None
    assert moody.display_name == "Moody's Corporation"


def test_linking_an_article_twice_gives_the_same_mentions(linker: Linker, marked: Marked) -> None:
    def link() -> list[LinkedMention]:
        return linker.link(marked("[ORG GM] falls", "[ORG General Motors Corp] ( GM.N ) fell in [LOC Ireland]."))

    assert link() == link()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Canada's Potash Corp ( POT.N ) rose", [("Potash Corp", "name:potash")]),
        ("NEW YORK (Reuters) -Goldman Sachs Group Inc ( GS.N )", [("Goldman Sachs Group Inc", "isin:US38141G1040")]),
        ("the group Inc ( XYZQ.N )", [("XYZQ.N", "name:xyzq-n")]),
    ],
)
def test_the_name_before_a_ticker_is_found_without_the_model(
    linker: Linker, marked: Marked, text: str, expected: list[tuple[str, str]]
) -> None:
    """The model marks no name here. `expected` has the text and the entity of each mention."""
    assert entities(linker, marked(text)) == expected


def test_a_ticker_that_no_table_lists_is_not_followed(linker: Linker, marked: Marked) -> None:
    assert followed(linker, marked("the rest ( XYZQ.N )")) == []


def test_a_possessive_is_part_of_a_name_only_where_the_tables_write_it(linker: Linker, marked: Marked) -> None:
    """The 's belongs to the name of Macy's, and not to that of GM."""
    assert entities(linker, marked("[ORG Macy]'s falls")) == [("Macy's", "cik:0000794367")]
    assert entities(linker, marked("[ORG GM]'s sales fall")) == [("GM", GM)]
