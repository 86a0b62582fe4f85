"""The language of items is detected; a doubtful language is unknown rather than wrong."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
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
