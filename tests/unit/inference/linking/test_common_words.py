"""A common word names a watched company only where something supports it; other names are found however written."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from riskwire.entities.common_words import is_common_word
from riskwire.entities.folded_words import folded_words
from riskwire.entities.watchlist import WatchedEntity, Watchlist, read_entry
from riskwire.errors import SettingsError
from riskwire.inference.linking import Linker
from riskwire.inference.linking.context import capital_shows_name, in_title_case
from riskwire.inference.model.prediction import DocumentPrediction

Marked = Callable[..., DocumentPrediction]
ENTRIES: tuple[dict[str, object], ...] = (
    {"id": "gap", "name": "Gap Inc.", "aliases": ["Gap"], "tickers": ["GPS"]},
    {"id": "target", "name": "Target Corporation", "aliases": ["Target"], "tickers": ["TGT"]},
    {"id": "visa", "name": "Visa Inc.", "aliases": ["Visa"], "tickers": ["V"]},
    {"id": "next", "name": "Next plc", "aliases": ["Next"], "tickers": ["NXT"]},
    {"id": "total", "name": "TotalEnergies SE", "aliases": ["Total"], "tickers": ["TTE"]},
    {"id": "shell", "name": "Shell plc", "aliases": ["Shell"], "tickers": ["SHEL"]},
    {"id": "opendoor", "name": "Opendoor Technologies", "tickers": ["OPEN"]},
    {"id": "costco", "name": "Costco Wholesale", "aliases": ["Costco"], "tickers": ["COST"]},
    {"id": "ups", "name": "United Parcel Service", "tickers": ["UPS"]},
    {"id": "westdig", "name": "Western Digital", "tickers": ["WDC"]},
    {"id": "macys", "name": "Macy's", "tickers": ["M"]},
    {"id": "mcdonalds", "name": "MCDONALDS CORP", "aliases": ["Mcdonalds"], "tickers": ["MCD"]},
    {"id": "jnj", "name": "Johnson & Johnson", "aliases": ["J&J"], "tickers": ["JNJ"]},
    {"id": "rr", "name": "Rolls-Royce Holdings", "aliases": ["Rolls-Royce"], "tickers": ["RR"]},
    {"id": "nestle", "name": "Nestlé S.A.", "aliases": ["Nestlé"], "tickers": ["NESN"]},
    {"id": "maersk", "name": "Maersk", "tickers": ["AMKBY"]},
    {"id": "nasdaq", "name": "Nasdaq, Inc.", "aliases": ["Nasdaq"], "tickers": ["NDAQ"]},
    {"id": "rio", "name": "RIO", "tickers": ["RIO"]},
)


@pytest.fixture(scope="module")
def linker() -> Linker:
    """Returns a linker with companies on its watchlist whose names are common words or are written in several ways."""
    return linker_with(*ENTRIES)


def linker_with(*entries: dict[str, object]) -> Linker:
    return Linker(Watchlist(tuple(WatchedEntity.model_validate(entry) for entry in entries)))


def watched(linker: Linker, prediction: DocumentPrediction) -> list[str]:
    """Returns the watchlist ids of the mentions, in order."""
    return [mention.watched.id for mention in linker.link(prediction) if mention.watched]


@pytest.mark.parametrize(
    "title",
    [
        "Gap between rich and poor widens, study warns",
        "Gap narrows as exports rise",
        "Target price for oil cut by a broker on weak demand",
        "SocGen May Miss Profit Target This Year",
        "US Suspends Visa Processing For 75 Countries",
        "Visa fee hike hurts software firms",
        "Next recession will hit banks hard",
        "Next CEO of the airline faces strikes",
        "Total sales fell in March",
        "COST OF LIVING CRISIS DEEPENS",
        "NEXT RECESSION WILL HIT BANKS",
        "FREE TRIAL OPEN TODAY for readers",
        "[ORG Shell] company fraud costs investors millions",
        "[ORG target] price cut",
        "[ORG Visa Steel] names a chief executive",
        "[ORG WDC] meets in Geneva",
        "The [ORG Nasdaq] gained 1 percent",
        "Carnival crowds return to [LOC Rio]",
        "Owens Gap wins a prize",
        "Gap University opens",
    ],
)
def test_a_common_word_without_support_names_no_company(linker: Linker, marked: Marked, title: str) -> None:
    """Capitals prove nothing at the start of a sentence, in Title Case and in capitals; some phrases rule a name out.

    Marks such as `[ORG Shell]` say what the model takes for a name.
    """
    assert watched(linker, marked(title)) == []


@pytest.mark.parametrize(
    ("title", "ids"),
    [
        ("[ORG Gap] adds to its range", ["gap"]),
        ("[ORG GAP] ADDS TO ITS RANGE", ["gap"]),
        ("Gap Inc closes shops", ["gap"]),
        ("Gap (NYSE: GPS) closes shops", ["gap"]),
        ("$COST slides after weak sales", ["costco"]),
        ("$OPEN and $V slip", ["opendoor", "visa"]),
        ("Target misses estimates and cuts outlook", ["target"]),
        ("Target cuts outlook", ["target"]),
        ("Visa's quarterly profit rises", ["visa"]),
        ("Why Shares of UPS Fell in January", ["ups"]),
        ("[ORG UPS] profit drops", ["ups"]),
        ("Bull sees upside for [ORG MU], [ORG WDC]", ["westdig"]),
        ("Investors sold Visa after the ruling came out", ["visa"]),
        ("Stocks to watch: [ORG Coty], Target and others", ["target"]),
        ("How will [ORG Shell-BG] deal change the market", ["shell"]),
        ("[ORG Visa R&D Arm] builds a chain", ["visa"]),
        ("Nasdaq CEO warns of fewer listings", ["nasdaq"]),
        ("Retailer Next warns on profit", ["next"]),
    ],
)
def test_a_mark_the_model_or_words_of_business_support_a_common_word(
    linker: Linker, marked: Marked, title: str, ids: list[str]
) -> None:
    assert watched(linker, marked(title)) == ids


def test_a_fuller_name_in_the_article_supports_a_common_word(linker: Linker, marked: Marked) -> None:
    """The title alone says nothing; with "Target Corp" in the text, it means the company."""
    assert watched(linker, marked("Target in the dock")) == []
    assert watched(linker, marked("Target in the dock", "Target Corp was sued.")) == ["target", "target"]
    assert watched(linker, marked("Target price raised", "Target Corp was sued.")) == ["target"]


@pytest.mark.parametrize(
    ("title", "ids"),
    [
        ("MACY'S CUTS OUTLOOK; Macy’s falls; Macys sinks", ["macys", "macys", "macys"]),
        ("MCDONALD'S SALES SLUMP", ["mcdonalds"]),
        ("McDonald’s sales slump", ["mcdonalds"]),
        ("Johnson and Johnson faces a verdict", ["jnj"]),
        ("[PER JOHNSON] AND [PER JOHNSON] FACES A VERDICT", ["jnj"]),
        ("AT&T; and J&J; fall", ["jnj"]),
        ("Rolls Royce, Rolls‑Royce and ROLLS-ROYCE slump", ["rr", "rr", "rr"]),
        ("Nestlé recalls pizza", ["nestle"]),
        ("[ORG NESTLE] RECALLS PIZZA", ["nestle"]),
        ("Children nestle close together", []),
        ("Mærsk cuts jobs", ["maersk"]),
        ("COSTCO and costco", ["costco"]),
    ],
)
def test_capitals_accents_possessives_and_ampersands_are_compared_folded(
    linker: Linker, marked: Marked, title: str, ids: list[str]
) -> None:
    assert watched(linker, marked(title)) == ids


def test_an_excluded_phrase_hides_the_name_of_its_entry_only(marked: Marked) -> None:
    """`exclude` is compared folded and as complete words, and hides also what the model or a table would find."""
    linker = linker_with(
        {
            "id": "ford",
            "name": "Ford Motor",
            "aliases": ["Ford"],
            "tickers": ["F"],
            "exclude": ["Betty Ford", "ford & son"],
        },
        {"id": "clinic", "name": "Betty Ford Clinic"},
    )
    assert watched(linker, marked("[ORG Ford] cuts jobs")) == ["ford"]
    assert watched(linker, marked("[ORG Betty Ford] dies; [ORG FORD AND SON] sues")) == []
    assert watched(linker, marked("Betty Ford: [ORG Ford] mourns")) == ["ford"]
    assert watched(linker, marked("Betty Ford Clinic closes")) == ["clinic"]


def test_an_excluded_phrase_needs_words() -> None:
    with pytest.raises(SettingsError, match="no letter or digit"):
        read_entry({"id": "x", "name": "Xerox", "exclude": ["..."]}, "here")


def test_a_mention_has_the_text_of_the_name_not_of_the_words_after_it(linker: Linker, marked: Marked) -> None:
    """The model takes "Costco EPS" for the name."""
    mentions = linker.link(marked("[ORG Costco EPS] beats by $0.02; [ORG Target Corp] falls"))
    assert [mention.text for mention in mentions if mention.watched] == ["Costco", "Target Corp"]


def test_a_capital_shows_a_name_only_among_small_words() -> None:
    """`capital_shows_name` asks about the word at an offset, `in_title_case` about the sentence."""
    sentence = "Investors who bought Visa last week lost money"
    start = sentence.index("Visa")
    assert capital_shows_name(sentence, start, start + 4)
    assert not capital_shows_name(sentence.title(), start, start + 4)
    assert in_title_case("Why Visa Holders Must Wait Longer") is True
    assert in_title_case("why Visa holders must wait longer") is False


def test_folded_words_keep_their_places_in_the_text() -> None:
    text = "Nestlé’s  R&D, L'Oréal"
    words = folded_words(text)
    assert words.words == ("nestle", "'s", "r", "and", "d", "loreal")
    assert text[words.starts[0] : words.ends[0]] == "Nestlé"
    assert text[words.starts[5] : words.ends[5]] == "L'Oréal"
    assert folded_words("...").words == ()


def test_common_words_are_those_written_small() -> None:
    assert all(map(is_common_word, ["Gap", "visa", "NEXT", "Target", "Orange", "Total", "COST", "OPEN", "ALL"]))
    assert not any(map(is_common_word, ["Boeing", "Pfizer", "Linde", "Costco"]))
