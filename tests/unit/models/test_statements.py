"""Statements written by rule carry the labels the rule knows."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

from riskwire_models.data.statements import company_names, write_statements

NAMES = ["Acme Corp", "Bolt Holdings", "Crane & Sons"]


def test_the_same_seed_writes_the_same_statements() -> None:
    assert list(write_statements(NAMES, 50, 3)) == list(write_statements(NAMES, 50, 3))
    assert list(write_statements(NAMES, 50, 3)) != list(write_statements(NAMES, 50, 4))


def test_every_name_stands_where_its_span_says_and_no_mark_is_left() -> None:
    for example in write_statements(NAMES, 600, 5):
        assert "{" not in example.text
        assert example.entities is not None
        company = next(span for span in example.entities if span.label == "ORG")
        assert example.text[company.start : company.end] in NAMES
        assert [(span.start, span.end, span.label) for span in example.targets] == [
            (company.start, company.end, example.sentiment)
        ]
        for place in example.entities:
            if place.label == "LOC":
                assert re.fullmatch(r"[A-Z][a-z]+", example.text[place.start : place.end])


def test_a_falling_profit_is_negative_and_a_narrower_loss_is_positive() -> None:
    written = list(write_statements(NAMES, 3000, 7))
    falling = [one for one in written if re.search(r"net profit (fell|dropped|plunged|declined)", one.text)]
    narrower = [one for one in written if re.search(r"net loss (narrowed|fell|shrank)", one.text)]
    assert falling
    assert narrower
    assert {one.sentiment for one in falling} == {"negative"}
    assert {one.sentiment for one in narrower} == {"positive"}


def test_about_two_fifths_are_neutral() -> None:
    counted = Counter(one.sentiment for one in write_statements(NAMES, 2000, 11))
    assert abs(counted["neutral"] / 2000 - 0.4) < 0.04


def test_shouted_names_are_title_case_and_state_marks_go(tmp_path: Path) -> None:
    path = tmp_path / "names.json"
    rows = [[1, "NVIDIA CORP", "NVDA", "x"], [2, "Apple Inc.", "AAPL", "x"], [3, "BANK OF X /DE/", "B", "x"]]
    path.write_text(json.dumps({"data": rows}), encoding="utf-8")
    assert company_names(path) == ["Apple Inc", "Bank Of X", "Nvidia Corp"]
