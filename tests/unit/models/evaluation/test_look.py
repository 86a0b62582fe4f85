"""Looks at the open test set are written down, and only `riskwire model look` makes one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from small_models.libraries import needs_metrics
from typer.testing import CliRunner

import riskwire_models
import riskwire_models.cli as cli_module
from riskwire_models.errors import BundleFolderError, TrainingDataError
from riskwire_models.export.card import look_table
from riskwire_models.export.looks import record_look
from riskwire_models.export.manifest import LookEntry, read_manifest

BundleCopy = Callable[..., Path]
RUNNER = CliRunner()
FIRST = LookEntry(
    at="2026-03-01T08:00:00Z",
    figures={
        "mentions": 12,
        "found": 0.75,
        "given": {"material_recall": [0.9, 0.8, 0.95], "event_f1": [0.7, 0.6, 0.8]},
        "end_to_end": {"material_recall": [0.6, 0.5, 0.7]},
    },
)
SECOND = FIRST.model_copy(update={"at": "2026-03-02T08:00:00Z"})
ROWS = (
    ("Acme Corp in default", "Acme Corp", "2", ["default"]),
    ("Globex Inc beats with record profit", "Globex Inc", "+", ["results_good"]),
    ("Ford said losses", "Ford", "1", ["results_bad"]),
)


@pytest.fixture(name="data")
def _data(tmp_path: Path) -> Path:
    """Returns a data folder that holds only an open test set."""
    rows = [
        {
            "text": text,
            "targets": [
                {"start": text.index(name), "end": text.index(name) + len(name), "level": level, "events": events}
            ],
        }
        for text, name, level, events in ROWS
    ]
    path = tmp_path / "data" / "risk" / "open.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "data"


def test_a_bundle_that_nobody_looked_at_has_no_looks(bundle_copy: BundleCopy) -> None:
    assert read_manifest(bundle_copy()).looks == ()


def test_a_look_is_appended_and_changes_nothing_else(bundle_copy: BundleCopy) -> None:
    folder = bundle_copy()
    before = read_manifest(folder)
    record_look(folder, FIRST)
    after = record_look(folder, SECOND)
    assert after.looks == (FIRST, SECOND)
    assert read_manifest(folder) == after
    assert after.model_copy(update={"looks": ()}) == before


def test_equal_looks_are_both_kept(bundle_copy: BundleCopy) -> None:
    folder = bundle_copy()
    record_look(folder, FIRST)
    assert record_look(folder, FIRST).looks == (FIRST, FIRST)


def test_the_card_lists_each_look_with_its_intervals(bundle_copy: BundleCopy) -> None:
    folder = bundle_copy()
    record_look(folder, FIRST)
    record_look(folder, SECOND)
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "### Looks at the open test set" in card
    lines = [line for line in card.splitlines() if line.startswith("| 2026-03-0")]
    assert [line.split(" | ")[0].strip("| ") for line in lines] == [FIRST.at, FIRST.at, SECOND.at, SECOND.at]
    assert "| spans given | 0.900 (0.800 to 0.950) | – | – | 0.700 (0.600 to 0.800) | – |" in lines[0]
    assert "| end to end | 0.600 (0.500 to 0.700) | – | – | – | – |" in lines[1]


def test_a_card_without_looks_has_no_such_section(bundle_copy: BundleCopy) -> None:
    folder = bundle_copy()
    assert RUNNER.invoke(cli_module.app, ["card", str(folder)]).exit_code == 0
    assert "Looks at" not in (folder / "README.md").read_text(encoding="utf-8")


def test_a_look_without_figures_still_has_its_rows() -> None:
    _, rows = look_table([LookEntry(at="2026", figures={})])
    assert [row[:3] for row in rows] == [["2026", "–", "spans given"], ["2026", "–", "end to end"]]


def test_a_damaged_bundle_gets_no_look(bundle_copy: BundleCopy) -> None:
    folder = bundle_copy()
    (folder / "model.int8.onnx").write_bytes(b"damaged")
    before = (folder / "bundle.json").read_bytes()
    with pytest.raises(BundleFolderError):
        record_look(folder, FIRST)
    assert (folder / "bundle.json").read_bytes() == before


def test_no_other_part_of_the_package_names_the_open_set() -> None:
    root = Path(riskwire_models.__file__).parent
    naming = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if any(name in path.read_text(encoding="utf-8") for name in ("risk_open", "open.jsonl", "OPEN_SET"))
    }
    assert naming == {"data/catalogue.py", "evaluation/look.py"}


@needs_metrics
def test_each_look_scores_the_open_set_and_is_written_down(bundle_copy: BundleCopy, data: Path) -> None:
    from riskwire_models.evaluation.look import look_at_open_set

    folder = bundle_copy()
    first = look_at_open_set(folder, data, threads=1)
    second = look_at_open_set(folder, data, threads=1)
    assert read_manifest(folder).looks == (first, second)
    assert first.figures == second.figures
    assert first.figures["mentions"] == 3
    assert first.figures["given"]["material_recall"][0] == 1.0
    assert first.figures["given"]["event_f1"][0] == 1.0
    assert set(first.figures["given"]) == set(first.figures["end_to_end"])


@needs_metrics
def test_the_command_prints_the_figures_of_the_look(
    bundle_copy: BundleCopy, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    folder = bundle_copy()
    result = RUNNER.invoke(cli_module.app, ["look", str(folder), "--data", str(data), "--threads", "1"])
    assert result.exit_code == 0, result.output
    assert "material recognised as adverse" in result.output
    assert "1.000 (" in result.output
    assert "3 mentions" in result.output
    assert len(read_manifest(folder).looks) == 1


@needs_metrics
def test_a_bundle_without_a_head_for_levels_is_refused_and_not_changed(bundle_copy: BundleCopy, data: Path) -> None:
    from riskwire_models.evaluation.look import look_at_open_set

    folder = bundle_copy(without=("level", "events"))
    before = (folder / "bundle.json").read_bytes()
    with pytest.raises(BundleFolderError, match="no head for the level"):
        look_at_open_set(folder, data, threads=1)
    assert (folder / "bundle.json").read_bytes() == before


@needs_metrics
def test_without_the_head_for_events_their_figure_is_left_out(bundle_copy: BundleCopy, data: Path) -> None:
    from riskwire_models.evaluation.look import look_at_open_set

    figures = look_at_open_set(bundle_copy(without=("events",)), data, threads=1).figures
    assert "event_f1" not in figures["given"]
    assert "material_recall" in figures["given"]


@needs_metrics
def test_a_missing_open_set_is_named_and_no_look_is_written(bundle_copy: BundleCopy, tmp_path: Path) -> None:
    from riskwire_models.evaluation.look import look_at_open_set

    folder = bundle_copy()
    with pytest.raises(TrainingDataError, match=r"open\.jsonl"):
        look_at_open_set(folder, tmp_path, threads=1)
    assert read_manifest(folder).looks == ()
