"""The language of items is detected; a doubtful language is unknown rather than wrong."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from riskwire.ingest.parsing.formats import Limits
from riskwire.ingest.parsing.items import parse_document
from riskwire.ingest.parsing.language import detect


@pytest.mark.parametrize(
    ("title", "language"),
    [
        ("Amgen 4th-quarter profit up", "en"),
        ("Senate to vote again on bank reform: Reid", "en"),
        ("WALL STREET CLOSES LOWER ON RATE FEARS", "en"),
        ("Bayer senkt Prognose nach Gewinneinbruch", "de"),
        ("La BCE relève ses taux directeurs pour la première fois", "fr"),
        ("La bolsa cae por el temor a una recesión", "es"),
        ("Borsa, Milano chiude in calo con le banche", "it"),
        ("Petrobras anuncia corte de dividendos aos acionistas", "pt"),
        ("Центробанк повысил ключевую ставку", "ru"),
        ("道指收跌逾百点 市场担忧通胀", "zh"),
        ("日経平均が大幅反落、円高を嫌気", "ja"),
        ("코스피 급락, 외국인 매도세", "ko"),
    ],
    ids=["short", "names", "capitals", "de", "fr", "es", "it", "pt", "ru", "zh", "ja", "ko"],
)
def test_the_language_of_a_headline_is_detected(title: str, language: str) -> None:
    assert detect(title, "") == language


WITH_FOREIGN_NAMES = [
    "Société Générale sued over Zürich unit",
    "Crédit Agricole profit falls",
    "Compagnie Financière Richemont sales slump",
    "Intesa Sanpaolo fined",
    "Lloyds fined",
    "Münchener Rück issues profit warning",
    "Petróleo Brasileiro shares slump",
    "Banca Monte dei Paschi di Siena misses estimates",
    "Caisse des Dépôts raided by prosecutors",
    "Cassa Depositi e Prestiti delays bond payment",
    "Skandinaviska Enskilda Banken under investigation",
    "Powszechna Kasa Oszczędności swings to loss",
    "Türkiye İş Bankası hit by fraud claims",
    "Österreichische Post cuts outlook",
    "Koninklijke Vopak told to pay damages",
]
"""English headlines that consist mostly of names in other languages."""


@pytest.mark.parametrize("declared", ["", "en-us"], ids=["undeclared", "declared"])
@pytest.mark.parametrize("write", [str, str.title, str.upper], ids=["usual-case", "title-case", "capitals"])
@pytest.mark.parametrize("title", WITH_FOREIGN_NAMES)
def test_foreign_names_do_not_decide_the_language_of_an_english_headline(
    title: str, write: Callable[[str], str], declared: str
) -> None:
    """The headline is English however it is written. Undeclared and without case, a short one may stay unknown."""
    language = detect(write(title), "", declared=declared)
    assert language == "en" or (language is None and write is not str and not declared)


@pytest.mark.parametrize("declared", ["", "en", "de"], ids=["undeclared", "wrongly-declared", "german-declared"])
@pytest.mark.parametrize(
    "title",
    [
        "Société Générale suspend son dividende",
        "Deutsche Bank streicht 1.000 Stellen",
        "Fresenius Medical Care schreibt rote Zahlen",
        "OTP Bank recorta previsiones",
        "Intesa Sanpaolo taglia le stime",
        "Banco do Brasil sob investigação",
        "Royal Dutch Shell verlaagt verwachting",
        "Danske Bank sænker forventningerne",
        "International Airlines Group pierde un 8% en bolsa",
        "General Electric va supprimer 1.000 postes",
    ],
)
def test_english_names_do_not_make_a_foreign_headline_english(title: str, declared: str) -> None:
    """The names of these headlines have English words. A feed that declares English by mistake does not change it."""
    assert detect(title, "", declared=declared) != "en"


def test_a_headline_in_another_script_is_not_english_for_its_latin_names() -> None:
    assert detect("Continuum Green 创始人希望通过 2 亿美元贷款实现投资者退出", "", declared="en") != "en"


@pytest.mark.parametrize(
    "title", ["", "   ", "12345", "+3,4 %", "—"], ids=["empty", "spaces", "digits", "percentage", "dash"]
)
def test_a_title_without_letters_has_no_language(title: str) -> None:
    assert detect(title, "") is None


def test_the_declared_language_decides_only_if_the_words_do_not() -> None:
    """`declared` is the language that the feed gives. A short title follows it, an English sentence does not."""
    assert detect("EZB", "", min_confidence=0.5) != "de"
    assert detect("Dow Jones fällt", "", declared="de-DE") == "de"
    assert detect("The bank said on Monday it would cut 3,000 jobs after a loss.", "", declared="de") == "en"
    assert detect("The bank said on Monday it would cut 3,000 jobs.", "", declared="英文") == "en"
    assert detect("Crédit Agricole : forte hausse", "", declared="en") != "en"


def test_a_language_below_the_least_confidence_is_unknown() -> None:
    assert detect("Zetsche Daimler", "", min_confidence=1.0) is None


@pytest.mark.needs_data
def test_at_least_1990_of_2000_reuters_stories_are_english(shared: Path) -> None:
    """With summaries at least 1,990 of 2,000 random stories are detected as English, by titles alone at least 1,980.

    Needs the shared data.
    """
    with gzip.open(shared / "data/streams/reuters_2009_2010.jsonl.gz", "rt") as lines:
        stories = random.Random(20_10).sample([json.loads(line) for line in lines], 2_000)
    with_summaries = Counter(detect(story["title"], story.get("summary") or "") for story in stories)
    titles_alone = Counter(detect(story["title"], "") for story in stories)
    assert with_summaries["en"] >= 1_990, with_summaries
    assert titles_alone["en"] >= 1_980, titles_alone


LANGUAGES = {"20minutos": "es", "derbrutkasten": "de", "faz": "de", "orf": "de", "lemonde": "fr", "yandex": "ru"}


@pytest.mark.needs_data
def test_the_items_of_recorded_feeds_are_in_the_language_of_their_publisher(shared: Path) -> None:
    """In each recorded feed, at least 97 % of the items have the language of the publisher.

    Needs the shared data. The name of a file begins with that of the publisher, English unless in `LANGUAGES`.
    """
    wrong_languages = {}
    for path in sorted((shared / "data/feeds").glob("*.xml")):
        name = path.stem.split("_")[0]
        if name == "bloomberg" or "translated" in path.stem or "_zh_" in path.stem:
            continue  # these documents have several languages
        result = parse_document(
            path.read_bytes(),
            "",
            "https://e.example/",
            source="x",
            feed_format="auto",
            limits=Limits(),
            min_confidence=0.5,
        )
        detected = Counter(item.language for item in result.items)
        expected = LANGUAGES.get(name, "en")
        if detected[expected] < 0.97 * len(result.items):
            wrong_languages[path.name] = detected
    assert not wrong_languages
