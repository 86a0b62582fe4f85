"""The commands of `riskwire model` without the training libraries."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

import riskwire_models.cli as cli_module
from riskwire_models.errors import GateError

RUNNER = CliRunner()
TRAINING_LIBRARIES = (
    "torch",
    "transformers",
    "seqeval",
    "sklearn",
    "onnx",
    "onnxruntime",
    "onnxconverter_common",
    "tokenizers",
    "numpy",
    "peft",
    "tensorboard",
)


def python_without(names: tuple[str, ...], code: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a new interpreter in which importing any of the named modules fails."""
    home = str(Path(cli_module.__file__).parents[1])
    blocked = f"import sys\nsys.modules.update(dict.fromkeys({names!r}))\n"
    return subprocess.run(
        [sys.executable, "-c", blocked + code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": home},
    )


def test_the_commands_import_without_the_training_libraries() -> None:
    process = python_without(
        TRAINING_LIBRARIES,
        "import riskwire_models, riskwire_models.cli, riskwire_models.export.manifest, riskwire_models.export.card",
    )
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize(("command", "missing"), [("build", "torch"), ("read", "onnxruntime"), ("evaluate", "seqeval")])
def test_the_error_of_a_missing_library_names_the_extra(tmp_path: Path, command: str, missing: str) -> None:
    folder = str(tmp_path)
    options = {
        "build": ["minilm", "--out", f"{folder}/out", "--work", folder],
        "read": [folder, "--out", f"{folder}/out"],
        "evaluate": [folder],
    }[command]
    arguments = [command, "--data", folder, *options]
    process = python_without((missing,), f"from riskwire_models.cli import app\napp({arguments!r})")
    assert process.returncode == 1
    assert f'riskwire model {command} needs the "train" extra: pip install "riskwire[train]"' in process.stderr
    assert f"(missing: {missing}" in process.stderr


def test_help_lists_all_commands() -> None:
    result = RUNNER.invoke(cli_module.app, ["--help"])
    assert result.exit_code == 0
    for name in ("build", "train", "read", "export", "evaluate", "card"):
        assert name in result.output


def test_a_folder_without_a_bundle_prints_one_line_and_exits_with_1(tmp_path: Path) -> None:
    result = RUNNER.invoke(cli_module.app, ["card", str(tmp_path)])
    assert result.exit_code == 1
    assert "error: no bundle in" in result.output


def test_an_export_that_fails_the_gate_prints_the_reason_and_exits_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_the_gate(*_: object, **__: object) -> None:
        raise GateError("int8 entities: 0.6500 is 5.00 points below fp32 (0.7000), the limit is 1.00")

    fake_module = ModuleType("riskwire_models.export.export")
    fake_module.export = fail_the_gate  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "riskwire_models.export.export", fake_module)
    result = RUNNER.invoke(
        cli_module.app, ["export", "minilm", "--data", str(tmp_path), "--out", str(tmp_path / "out")]
    )
    assert result.exit_code == 1
    assert "error: int8 entities: 0.6500 is 5.00 points below fp32" in result.output
    assert not (tmp_path / "out").exists()
