"""Generated statements have the labels that their templates imply."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

from riskwire_models.data.statements import company_names, write_statements

NAMES = ["Acme Corp", "Bolt Holdings", "Crane & Sons"]


def test_the_same_seed_gives_the_same_statements() -> None:
    assert list(write_statements(NAMES, 50, 3)) == list(write_statements(NAMES, 50, 3))
    assert list(write_statements(NAMES, 50, 3)) != list(write_statements(NAMES, 50, 4))


def test_spans_match_their_names_and_no_placeholder_remains() -> None:
    for example in write_statements(NAMES, 600, 5):
        assert "{" not in example.text
        assert example.entities is not None
        company = next(span for span in example.entities if span.label == "ORG")
        assert example.text[company.start : company.end] in NAMES
        assert [(target.start, target.end, target.sentiment) for target in example.targets] == [
            (company.start, company.end, example.sentiment)
        ]
        for place in example.entities:
            if place.label == "LOC":
                assert re.fullmatch(r"[A-Z][a-z]+", example.text[place.start : place.end])


def test_a_falling_profit_is_negative_and_a_narrower_loss_is_positive() -> None:
    statements = list(write_statements(NAMES, 3000, 7))
    falling = [
        statement
        for statement in statements
        if re.search(r"net profit (fell|dropped|plunged|declined)", statement.text)
    ]
    narrower = [statement for statement in statements if re.search(r"net loss (narrowed|fell|shrank)", statement.text)]
    assert falling
    assert narrower
    assert {statement.sentiment for statement in falling} == {"negative"}
    assert {statement.sentiment for statement in narrower} == {"positive"}


def test_about_two_fifths_of_the_statements_are_neutral() -> None:
    counted = Counter(statement.sentiment for statement in write_statements(NAMES, 2000, 11))
    assert abs(counted["neutral"] / 2000 - 0.4) < 0.04


def test_upper_case_names_become_title_case_and_state_codes_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "names.json"
    rows = [[1, "NVIDIA CORP", "NVDA", "x"], [2, "Apple Inc.", "AAPL", "x"], [3, "BANK OF X /DE/", "B", "x"]]
    path.write_text(json.dumps({"data": rows}), encoding="utf-8")
    assert company_names(path) == ["Apple Inc", "Bank Of X", "Nvidia Corp"]
