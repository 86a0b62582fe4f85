"""A user's own labels: JSON lines or CSV, checked row by row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from riskwire_models.data.labels import LabelledTarget
from riskwire_models.data.own_labels import SOURCE, read_own_labels
from riskwire_models.errors import TrainingDataError


def write(path: Path, *lines: object) -> Path:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return path


def test_targets_are_given_by_position_or_by_name(tmp_path: Path) -> None:
    by_position = {"start": 0, "end": 4, "level": "material", "events": ["recall"], "sentiment": "negative"}
    row = {"text": "Acme recalls cars of Globex", "targets": [by_position, {"name": "Globex", "level": "1"}]}
    (example,) = read_own_labels(write(tmp_path / "l.jsonl", row, ""))
    assert example.source == SOURCE
    assert example.targets == (
        LabelledTarget(0, 4, "negative", "material", ("recall",)),
        LabelledTarget(21, 27, None, "mild", ()),
    )


def test_rows_of_one_text_become_one_example(tmp_path: Path) -> None:
    path = write(
        tmp_path / "l.csv",
        "text,target,level,events,sentiment",
        '"Acme sues Globex, again",Acme,0,,',
        '"Acme sues Globex, again",Globex,2,litigation+crime,negative',
        "Oil rises,Oil,+,,",
    )
    first, second = read_own_labels(path)
    assert first.targets == (
        LabelledTarget(0, 4, None, "neutral", ()),
        LabelledTarget(10, 16, "negative", "material", ("litigation", "crime")),
    )
    assert second.targets == (LabelledTarget(0, 3, None, "favourable", ()),)


def test_a_file_of_a_spreadsheet_may_begin_with_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "l.csv"
    path.write_text("text,target,level\nAcme falls,Acme,1\n", encoding="utf-8-sig")
    assert [example.text for example in read_own_labels(path)] == ["Acme falls"]


def test_a_target_without_a_level_and_events_has_only_what_is_given(tmp_path: Path) -> None:
    row = {"text": "Acme falls", "targets": [{"name": "Acme", "sentiment": "negative"}]}
    (example,) = read_own_labels(write(tmp_path / "l.jsonl", row))
    assert example.targets == (LabelledTarget(0, 4, "negative"),)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{oops", "line 1: not JSON"),
        ("[]", "line 1: expected a 'text'"),
        ({"text": " "}, "line 1: expected a 'text'"),
        ({"text": "Acme falls"}, "line 1: expected a list of 'targets'"),
        ({"text": "Acme falls", "targets": ["Acme"]}, "line 1: expected a list of 'targets'"),
        ({"text": "Acme falls", "targets": [{"name": "Globex"}]}, "'Globex' is not in the text 'Acme falls'"),
        ({"text": "Acme falls", "targets": [{"start": 0, "end": 11}]}, "span 0 to 11 does not fit a text of 10"),
        ({"text": "Acme falls", "targets": [{"start": "0", "end": 4}]}, "span '0' to 4 does not fit"),
        ({"text": "Acme falls", "targets": [{"name": "Acme", "level": "bad"}]}, "'bad' is not one of neutral, mild"),
        ({"text": "Acme falls", "targets": [{"name": "Acme", "sentiment": "sad"}]}, "'sad' is not one of negative"),
        ({"text": "Acme falls", "targets": [{"name": "Acme", "events": ["strike"]}]}, "event 'strike' is not one of"),
    ],
)
def test_a_wrong_row_is_refused_with_line_and_value(tmp_path: Path, line: object, message: str) -> None:
    with pytest.raises(TrainingDataError) as error:
        read_own_labels(write(tmp_path / "l.jsonl", line))
    assert message in str(error.value)
    assert "l.jsonl" in str(error.value)


def test_the_first_five_wrong_rows_are_named_and_the_others_counted(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match=r"line 1: .*line 5: [^;]*; and 3 more$"):
        read_own_labels(write(tmp_path / "l.jsonl", *["[]"] * 8))


def test_a_file_that_is_missing_or_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match=r"no file of labels .*none\.jsonl"):
        read_own_labels(tmp_path / "none.jsonl")
    with pytest.raises(TrainingDataError, match=r"l\.csv has no labels"):
        read_own_labels(write(tmp_path / "l.csv", "text,target,level"))
