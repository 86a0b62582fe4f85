"""The heads for level and events are trained further on the states of a finished encoder: `riskwire model tune`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_models.libraries import CAN_TRAIN, needs_training
from typer.testing import CliRunner

from riskwire_models.cli import app
from riskwire_models.data.examples import Example
from riskwire_models.data.labels import LabelledTarget
from riskwire_models.training.recipe import Lora, Recipe

if CAN_TRAIN:
    import torch
    from small_models.encoder import small_model

    import riskwire_models.training.risk_heads as module
    import riskwire_models.training.train as train_module
    from riskwire_models.training.checkpoint import Checkpoint, load_checkpoint

pytestmark = [needs_training, pytest.mark.usefixtures("small_bases")]

RISK = ("risk_token.", "risk_sentence.", "level.", "events.")
RECIPE = Recipe(name="plain", steps=2, pieces_a_batch=256, measure_every=100)


def checkpoint_in(folder: Path) -> Checkpoint:
    checkpoint = load_checkpoint(folder)
    assert checkpoint is not None
    return checkpoint


def scripted_figures(values: list[float]) -> Any:
    """Returns a measurement that gives these values one after another."""
    remaining = list(values)
    return lambda *_: {"level.average_precision": remaining.pop(0)}


@pytest.mark.parametrize("kind", ["bert", "mpnet"])
def test_level_and_events_of_states_are_those_of_the_whole_pass(kind: str) -> None:
    model = small_model(kind)
    ids, mask = torch.randint(5, 200, (2, 9)), torch.ones(2, 9, dtype=torch.long)
    mask[1, 6:] = 0
    with torch.no_grad():
        outputs = model(ids, mask)
        level, events = model.risk_of_states(model.states(ids, mask), mask)
    assert torch.equal(level, outputs[4])
    assert torch.equal(events, outputs[5])


@pytest.mark.parametrize("lora", [None, Lora(rank=2)], ids=["full", "adapters"])
def test_only_the_risk_heads_change_and_the_history_says_so(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lora: Lora | None
) -> None:
    recipe = RECIPE.model_copy(update={"lora": lora})
    train_module.train(data_folder, tmp_path, recipe, threads=1, log=lambda line: None)
    before = checkpoint_in(tmp_path)
    monkeypatch.setattr(module, "dev_figures", scripted_figures([0.5, 0.625]))
    lines: list[str] = []
    module.tune_risk_heads(data_folder, tmp_path, epochs=8, rate=3e-3, threads=1, log=lines.append)
    after = checkpoint_in(tmp_path)
    assert (after.step, after.recipe) == (before.step, before.recipe)
    assert after.model.keys() == before.model.keys()
    changed = {name for name, value in after.model.items() if not torch.equal(value, before.model[name])}
    assert changed
    assert all(name.startswith(RISK) for name in changed)
    (entry,) = after.history
    expected = "heads of level and events trained for 8 more epochs: level.average_precision 0.500 became 0.625, "
    assert entry.startswith(expected)
    assert sum(line.startswith("epoch ") for line in lines) == 8


def test_the_same_run_is_tuned_to_the_same_weights(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("first", "second"):
        train_module.train(data_folder, tmp_path / folder, RECIPE, threads=1, log=lambda line: None)
        monkeypatch.setattr(module, "dev_figures", scripted_figures([0.5, 0.6]))
        module.tune_risk_heads(data_folder, tmp_path / folder, epochs=2, rate=3e-3, threads=1, log=lambda line: None)
    first, second = (checkpoint_in(tmp_path / folder).model for folder in ("first", "second"))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert checkpoint_in(tmp_path / "first").history


def test_the_labels_of_hard_texts_are_used_too_and_named(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_module.train(data_folder, tmp_path, RECIPE, threads=1, log=lambda line: None)
    hard = Example("Hooli Bank defaults", module.EXTRA_SET, targets=(LabelledTarget(0, 10, level="material"),))
    monkeypatch.setattr(module, "training_corpus", lambda *_: {"train": [hard]})
    monkeypatch.setattr(module, "dev_figures", scripted_figures([0.5, 0.6]))
    lines: list[str] = []
    module.tune_risk_heads(data_folder, tmp_path, epochs=1, threads=1, log=lines.append)
    assert checkpoint_in(tmp_path).tuned_on == {module.EXTRA_SET: 1}
    without = len(
        [row for row in module.recipe_corpus(data_folder, tmp_path, RECIPE)["train"] if row.events is not None]
    )
    assert f"reading {without + 1} texts with risk labels" in lines


def test_heads_that_get_worse_on_dev_are_left_as_they_were(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_module.train(data_folder, tmp_path, RECIPE, threads=1, log=lambda line: None)
    content = (tmp_path / "checkpoint.pt").read_bytes()
    monkeypatch.setattr(module, "dev_figures", scripted_figures([0.6, 0.5]))
    lines: list[str] = []
    module.tune_risk_heads(data_folder, tmp_path, epochs=1, threads=1, log=lines.append)
    assert lines[-1] == "the heads stay as they were"
    assert (tmp_path / "checkpoint.pt").read_bytes() == content


def test_a_run_that_does_not_exist_cannot_be_tuned(data_folder: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["tune", "minilm", "--data", str(data_folder), "--work", str(tmp_path)])
    assert result.exit_code == 1
    assert "no checkpoint in" in result.output
