"""The commands without the training libraries."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

import riskwire_models.cli as command_line
from riskwire_models.errors import GateError

RUN = CliRunner()
HEAVY = (
    "torch",
    "transformers",
    "seqeval",
    "sklearn",
    "onnx",
    "onnxruntime",
    "onnxconverter_common",
    "tokenizers",
    "numpy",
)


def python_without(names: tuple[str, ...], code: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a fresh interpreter in which importing any of the names fails."""
    home = str(Path(command_line.__file__).parents[1])
    blocked = f"import sys\nsys.modules.update(dict.fromkeys({names!r}))\n"
    return subprocess.run(
        [sys.executable, "-c", blocked + code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": home},
    )


def test_the_commands_import_with_none_of_the_heavy_libraries() -> None:
    done = python_without(
        HEAVY, "import riskwire_models, riskwire_models.cli, riskwire_models.export.bundle, riskwire_models.export.card"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("command", "missing"), [("build", "torch"), ("evaluate", "seqeval")])
def test_a_missing_library_names_the_extra(tmp_path: Path, command: str, missing: str) -> None:
    folder = str(tmp_path)
    where = {"build": ["--out", f"{folder}/out", "--work", folder], "evaluate": [folder]}[command]
    arguments = [command, "--data", folder, *where]
    done = python_without((missing,), f"from riskwire_models.cli import app\napp({arguments!r})")
    assert done.returncode == 1
    assert f'riskwire model {command} needs the "train" extra: pip install "riskwire[train]"' in done.stderr
    assert f"(missing: {missing}" in done.stderr


def test_all_commands_are_there() -> None:
    shown = RUN.invoke(command_line.app, ["--help"])
    assert shown.exit_code == 0
    for name in ("build", "train", "export", "evaluate", "card"):
        assert name in shown.output


def test_a_folder_without_a_bundle_is_one_line_and_exit_one(tmp_path: Path) -> None:
    shown = RUN.invoke(command_line.app, ["card", str(tmp_path)])
    assert shown.exit_code == 1
    assert "error: no bundle in" in shown.output


def test_an_export_that_the_gate_refuses_says_why_and_exits_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise GateError("int8 entities: 0.6500 is 5.00 points below fp32 (0.7000), the limit is 1.00")

    stand_in = ModuleType("riskwire_models.export.pipeline")
    stand_in.export = refuse  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "riskwire_models.export.pipeline", stand_in)
    shown = RUN.invoke(command_line.app, ["export", "--data", str(tmp_path), "--out", str(tmp_path / "out")])
    assert shown.exit_code == 1
    assert "error: int8 entities: 0.6500 is 5.00 points below fp32" in shown.output
    assert not (tmp_path / "out").exists()
