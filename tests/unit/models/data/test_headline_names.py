"""Entity labels from rows that list only opinionated names: unlisted names must not be labelled O."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from riskwire_models.data.examples import read_sentiment, read_targets
from riskwire_models.data.headline_names import certain_names, unknown_ranges
from riskwire_models.data.labels import LabelledSpan
from riskwire_models.errors import TrainingDataError


def spans(text: str, *names: str) -> list[LabelledSpan]:
    return [LabelledSpan(text.index(name), text.index(name) + len(name), "negative") for name in names]


@pytest.mark.parametrize(
    "name", ["Infosys", "Gas Authority", "Tata Steel", "Axis Bank", "Johnson & Johnson", "Yes Bank"]
)
def test_listed_company_names_are_organisations(name: str) -> None:
    assert [(span.start, span.end, span.label) for span in certain_names(name, spans(name, name))] == [
        (0, len(name), "ORG")
    ]


@pytest.mark.parametrize(
    "name", ["Nifty", "rupee", "Gold", "India", "Rail stocks", "European shares", "IT", "Bank Nifty", "Coal India"]
)
def test_names_that_may_be_an_index_currency_commodity_sector_or_country_are_not_organisations(name: str) -> None:
    assert certain_names(name, spans(name, name)) == ()


def test_unlisted_capitalised_words_are_unknown_and_lower_case_words_are_not() -> None:
    text = "LIC trims stake in Infosys to 3.25%, says Ajay"
    organisations = certain_names(text, spans(text, "Infosys"))
    assert [text[start:end] for start, end in unknown_ranges(text, organisations)] == ["LIC", "Ajay"]


def write_json_lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_sentence_has_a_sentiment_only_if_its_targets_agree(tmp_path: Path) -> None:
    text = "Acme rises, Bolt falls"
    both = [{"start": 0, "end": 4, "label": "positive"}, {"start": 12, "end": 16, "label": "negative"}]
    path = write_json_lines(
        tmp_path / "t.jsonl", {"text": text, "entities": both}, {"text": text, "entities": both[:1]}
    )
    mixed, single = read_targets(path, "sentfin")
    assert mixed.sentiment is None
    assert [target.sentiment for target in mixed.targets] == ["positive", "negative"]
    assert single.sentiment == "positive"


def test_spans_beyond_the_text_are_refused(tmp_path: Path) -> None:
    path = write_json_lines(
        tmp_path / "t.jsonl", {"text": "Acme", "entities": [{"start": 0, "end": 9, "label": "positive"}]}
    )
    with pytest.raises(TrainingDataError, match="do not fit the text 'Acme'"):
        list(read_targets(path, "sentfin"))


def test_an_unknown_label_is_refused_with_the_known_labels(tmp_path: Path) -> None:
    path = write_json_lines(tmp_path / "s.jsonl", {"text": "Acme falls", "label": "bearish"})
    with pytest.raises(TrainingDataError, match="'bearish' is not one of negative, neutral, positive"):
        list(read_sentiment(path, "tfns"))


def test_a_line_that_is_not_json_is_refused_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    path.write_text('{"text": "a", "label": "neutral"}\n{oops\n', encoding="utf-8")
    with pytest.raises(TrainingDataError, match=r"s\.jsonl:2: not JSON"):
        list(read_sentiment(path, "tfns"))
