"""Training that goes on from a bundle with a user's own labels."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from small_models.data_folder import words_of
from small_models.libraries import CAN_TRAIN, needs_training
from typer.testing import CliRunner

import riskwire_models.data.corpus as corpus_module
from riskwire_models.cli import app
from riskwire_models.data.catalogue import DEFAULT_TRAINING
from riskwire_models.data.encoding import load_tokenizer
from riskwire_models.data.labels import HEADS
from riskwire_models.errors import BundleFolderError
from riskwire_models.evaluation.onnx_runner import OnnxRunner
from riskwire_models.export.manifest import FileEntry, read_manifest, write_manifest

if CAN_TRAIN:
    import torch
    from small_models.bundle import write_small_bundle

    import riskwire_models.training.own as own_module
    import riskwire_models.training.train as train_module
    from riskwire_models.training.checkpoint import load_checkpoint
    from riskwire_models.training.from_bundle import HELD_OUT_SHARE, is_held_out, model_from_bundle
    from riskwire_models.training.own import own_recipe
    from riskwire_models.training.recipe import Augmentation, Recipe

pytestmark = needs_training


@pytest.fixture(name="bundle", scope="module", params=["bert", "mpnet"])
def _bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, data_folder: Path) -> Path:
    words = [*words_of(data_folder), *(f"word{number}" for number in range(256))]
    return write_small_bundle(tmp_path_factory.mktemp("bundles") / "small", request.param, words)


@pytest.fixture(name="labels")
def _labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns a file of 60 texts with own labels."""
    monkeypatch.setattr(corpus_module, "STATEMENTS", 20)
    target = {"name": "Acme", "level": "material", "events": ["recall"]}
    path = tmp_path / "my-labels.jsonl"
    rows = [{"text": f"Acme word{number} plunges word{number}", "targets": [target]} for number in range(60)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_model_of_a_bundle_says_what_the_bundle_says(bundle: Path) -> None:
    model = model_from_bundle(bundle).eval()
    ids = load_tokenizer(bundle / "tokenizer.json").encode("Acme Motors plunges on Monday").ids
    (expected,) = OnnxRunner(bundle / "model.int8.onnx", 1).predict([ids])
    with torch.no_grad():
        outputs = model(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long))
    for head, logits in zip(HEADS, outputs, strict=True):
        assert np.abs(logits[0].numpy() - expected[head]).mean() < 0.03 * (1 + expected[head].std())


def test_a_bundle_whose_fp16_was_not_derived_can_be_trained_further(bundle: Path, tmp_path: Path) -> None:
    shipped = Path(shutil.copytree(bundle, tmp_path / "shipped"))
    manifest = read_manifest(shipped)
    listed = FileEntry(path="model.fp16.onnx", sha256="0" * 64, device="cuda", skeleton=manifest.files["int8"])
    write_manifest(shipped, manifest.model_copy(update={"files": {"fp16": listed, **manifest.files}}))
    weights, expected = model_from_bundle(shipped).state_dict(), model_from_bundle(bundle).state_dict()
    assert all(torch.equal(weights[name], value) for name, value in expected.items())


def test_a_bundle_that_does_not_say_what_its_encoder_is_is_refused(bundle: Path, tmp_path: Path) -> None:
    for path in bundle.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    write_manifest(tmp_path, read_manifest(bundle).model_copy(update={"encoder": None}))
    with pytest.raises(BundleFolderError, match="does not say what its encoder is"):
        model_from_bundle(tmp_path)


def test_a_run_may_end_halfway_between_its_weights_and_those_of_the_bundle(
    bundle: Path, data_folder: Path, tmp_path: Path
) -> None:
    """Two runs of one seed, with and without the average: it is taken after the last step, and is in the checkpoint."""
    recipe = Recipe(name="small", start_from=bundle, steps=3, data={"tfns": 1.0}, augmentation=Augmentation())
    averaging = recipe.model_copy(update={"average_with_start": 0.5})
    trained = train_module.train(data_folder, tmp_path / "trained", recipe, threads=1, log=str).state_dict()
    averaged = train_module.train(data_folder, tmp_path / "averaged", averaging, threads=1, log=str).state_dict()
    checkpoint = load_checkpoint(tmp_path / "averaged")
    assert checkpoint is not None
    before = dict(model_from_bundle(bundle).named_parameters())
    assert any(not torch.equal(trained[name], weights) for name, weights in before.items())
    for name, weights in before.items():
        torch.testing.assert_close(averaged[name], (trained[name] + weights.detach()) / 2)
        assert torch.equal(checkpoint.model[name], averaged[name])


def test_old_texts_are_replayed_beside_the_own_labels(bundle: Path, labels: Path, data_folder: Path) -> None:
    old = len(corpus_module.training_corpus(data_folder, DEFAULT_TRAINING, 17)["train"])
    recipe = own_recipe(labels, bundle, old, steps=None, seed=17)
    assert (recipe.name, recipe.bundle, recipe.seed) == ("my-labels", "small", 17)
    assert (recipe.start_from, recipe.own_labels) == (bundle, labels)
    assert all(0 < share <= 1 for share in recipe.data.values())
    chosen = own_recipe(labels, bundle, old, steps=3, seed=4)
    assert (chosen.steps, chosen.seed) == (3, 4)


def test_a_fifth_of_the_own_texts_measures_the_result_and_near_copies_stay_together() -> None:
    letters = "abcdefghijklm"
    texts = [f"Acme {first}{second}{third} plunges" for first in letters for second in letters for third in letters]
    assert abs(sum(map(is_held_out, texts)) / len(texts) - HELD_OUT_SHARE) < 0.03
    assert all(is_held_out(text) == is_held_out(f"{text.upper()}! https://t.co/x") for text in texts)


def test_the_command_trains_on_and_shows_the_figures_before_and_after(
    bundle: Path, labels: Path, data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old data is read once: for the real data sets that takes longer than to measure the bundle."""
    reads: list[str] = []
    for module in (own_module, train_module):
        monkeypatch.setattr(
            module,
            "training_corpus",
            lambda *arguments: [reads.append("read"), corpus_module.training_corpus(*arguments)][1],
        )
    arguments = ["train", labels, "--from", bundle, "--data", data_folder, "--work", tmp_path / "work"]
    options = ["--steps", 8, "--threads", 1]
    result = CliRunner().invoke(app, [str(item) for item in (*arguments, *options)], env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.output
    assert "before" in result.output
    assert "old data, dev" in result.output
    assert reads == ["read"]
    checkpoint = load_checkpoint(tmp_path / "work" / "my-labels")
    assert checkpoint is not None
    assert checkpoint.step == 8
    assert checkpoint.history[0] == f"begins with the weights of small {read_manifest(bundle).version}"
    before = model_from_bundle(bundle).state_dict()
    assert checkpoint.model.keys() == before.keys()
    assert any(not torch.equal(value, before[name]) for name, value in checkpoint.model.items())
