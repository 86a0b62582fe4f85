"""The language is told rightly, and unknown rather than wrong."""

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
)
def test_headlines_alone_are_told(title: str, language: str) -> None:
    assert detect(title, "") == language


@pytest.mark.parametrize("title", ["", "   ", "12345", "+3,4 %", "—"])
def test_what_has_no_words_has_no_language(title: str) -> None:
    assert detect(title, "") is None


def test_what_the_feed_says_decides_only_where_the_words_do_not() -> None:
    assert detect("EZB", "", min_confidence=0.5) != "de"
    assert detect("Dow Jones fällt", "", declared="de-DE") == "de"
    assert detect("The bank said on Monday it would cut 3,000 jobs after a loss.", "", declared="de") == "en"
    assert detect("The bank said on Monday it would cut 3,000 jobs.", "", declared="英文") == "en"


def test_below_the_confidence_asked_for_it_is_unknown() -> None:
    assert detect("Zetsche Daimler", "", min_confidence=1.0) is None


@pytest.mark.needs_data
def test_of_2000_reuters_stories_99_5_percent_are_english(shared: Path) -> None:
    with gzip.open(shared / "data/streams/reuters_2009_2010.jsonl.gz", "rt") as lines:
        stories = random.Random(20_10).sample([json.loads(line) for line in lines], 2_000)
    whole = Counter(detect(story["title"], story.get("summary") or "") for story in stories)
    titles = Counter(detect(story["title"], "") for story in stories)
    assert whole["en"] >= 1_990, whole
    assert titles["en"] >= 1_980, titles


LANGUAGE_OF = {"20minutos": "es", "derbrutkasten": "de", "faz": "de", "orf": "de", "lemonde": "fr", "yandex": "ru"}


@pytest.mark.needs_data
def test_real_feeds_are_in_their_language(shared: Path) -> None:
    wrong = {}
    for path in sorted((shared / "data/feeds").glob("*.xml")):
        name = path.stem.split("_")[0]
        if name == "bloomberg" or "translated" in path.stem or "_zh_" in path.stem:
            continue  # several languages in one document
        reading = parse_document(
            path.read_bytes(),
            "",
            "https://e.example/",
            source="x",
            feed_format="auto",
            limits=Limits(),
            min_confidence=0.5,
        )
        told = Counter(item.language for item in reading.items)
        wanted = LANGUAGE_OF.get(name, "en")
        if told[wanted] < 0.97 * len(reading.items):
            wrong[path.name] = told
    assert not wrong
