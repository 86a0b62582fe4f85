"""Labels that ship with the project name their texts by data set and row, and hold no text."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import riskwire_models
from riskwire_models.data.labels import EVENT_TYPES
from riskwire_models.data.risk import GUIDE_LEVELS, read_risk_by_id
from riskwire_models.errors import TrainingDataError

SHIPPED = Path(riskwire_models.__file__).parent / "labels" / "disagreements.jsonl"


def write_labels(folder: Path, row: dict[str, object]) -> tuple[Path, dict[str, Path]]:
    """Returns a file with one row of labels, and the files of a data set ``tfns`` with two texts."""
    texts = folder / "tfns.jsonl"
    lines = ["Acme sues Globex", "Globex &amp; Acme settle https://t.co/x"]
    texts.write_text("".join(json.dumps({"text": text, "label": "neutral"}) + "\n" for text in lines))
    labels = folder / "labels.jsonl"
    labels.write_text(json.dumps(row) + "\n")
    return labels, {"tfns": texts}


def test_a_row_is_joined_with_its_text(tmp_path: Path) -> None:
    target = {"start": 10, "end": 16, "level": "1", "events": ["litigation"]}
    labels, texts = write_labels(tmp_path, {"id": "tfns:0", "targets": [target], "events": []})
    (example,) = read_risk_by_id(labels, texts, "own")
    assert example.source == "own"
    assert [(example.text[item.start : item.end], item.level, item.events) for item in example.targets] == [
        ("Globex", "mild", ("litigation",))
    ]


@pytest.mark.parametrize("name", ["tfns:2", "tfns:-1", "topic:0", "tfns"])
def test_a_row_that_does_not_exist_is_named(tmp_path: Path, name: str) -> None:
    labels, texts = write_labels(tmp_path, {"id": name, "targets": [], "events": []})
    with pytest.raises(TrainingDataError, match=rf"labels.jsonl:1: '{name}' names no row of tfns"):
        list(read_risk_by_id(labels, texts, "own"))


def test_the_shipped_labels_are_whole_and_hold_no_text() -> None:
    rows = [json.loads(line) for line in SHIPPED.read_text().splitlines()]
    assert len({row["id"] for row in rows}) == len(rows) == 1000
    for row in rows:
        assert set(row) == {"id", "targets", "events"}
        assert re.fullmatch(r"(tfns|topic|sentfin|finentity):\d+", row["id"])
        assert set(row["events"]) <= set(EVENT_TYPES)
        for target in row["targets"]:
            assert set(target) == {"start", "end", "level", "events"}
            assert 0 <= target["start"] < target["end"]
            assert target["level"] in GUIDE_LEVELS
            assert set(target["events"]) <= set(EVENT_TYPES)
