"""A bundle is built from data, measured, and described: `riskwire model build`, `evaluate` and `card`.

These tests need the train extra, which the development environment does not install.
"""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from small_models.libraries import CAN_TRAIN, needs_training
from typer.testing import CliRunner

from riskwire_models.cli import app
from riskwire_models.data.catalogue import DEFAULT_TRAINING, NEVER_SEEN
from riskwire_models.data.corpus import training_corpus
from riskwire_models.data.encoding import load_tokenizer
from riskwire_models.data.labels import EVENT_TYPES, HEADS, TOKEN_HEADS
from riskwire_models.errors import GateError
from riskwire_models.export.default_bundle import SKELETON
from riskwire_models.export.manifest import GRAPH_INPUTS, read_manifest

if CAN_TRAIN:
    import riskwire_models.data.corpus as corpus_module
    import riskwire_models.export.export as export_module
    import riskwire_models.training.train as train_module
    from riskwire_models.export.derive import derive_fp16
    from riskwire_models.training.checkpoint import load_checkpoint

pytestmark = [needs_training, pytest.mark.slow, pytest.mark.usefixtures("small_bases")]

RUNNER = CliRunner()
#: Rates at which a small encoder learns the invented sentences in a few steps.
RECIPE = """\
name: small
bundle: finance-small
base: {base}
steps: {steps}
pieces_a_batch: 1024
encoder_rate: 2.0e-3
head_rate: 4.0e-3
heads: {{sentiment: 1.0, entities: 2.0, target_sentiment: 1.0, topics: 1.0, level: 1.0, events: 1.0}}
"""


def write_recipe(folder: Path, base: str, steps: int, more: str = "") -> str:
    path = folder / "recipe-of-a-test.yaml"
    path.write_text(RECIPE.format(base=base, steps=steps) + more, encoding="utf-8")
    return str(path)


def invoke(*arguments: object) -> str:
    """Runs a command of `riskwire model`, which must succeed, and returns what it prints."""
    result = RUNNER.invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(name="built", scope="module", params=["minilm", "mpnet"])
def _built(
    request: pytest.FixtureRequest,
    data_folder: Path,
    base_folders: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Path, str]:
    """Returns the bundle that a small encoder was built to, the work folder, and what the build printed."""
    folder = tmp_path_factory.mktemp(request.param)
    recipe = write_recipe(folder, request.param, 100, "least_count: 1\naugmentation: {typo: 0.05}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_module, "base_model_folder", base_folders.__getitem__)
        patch.setattr(corpus_module, "STATEMENTS", 20)
        folders = ("--data", data_folder, "--work", folder / "work", "--out", folder / "bundle", "--threads", 1)
        output = invoke("build", recipe, *folders)
    return folder / "bundle", folder / "work" / "small", output


def test_the_bundle_has_the_files_that_its_manifest_lists(built: tuple[Path, Path, str]) -> None:
    bundle, _, output = built
    manifest = read_manifest(bundle)
    assert manifest.name == "finance-small"
    assert set(manifest.files) == {"int8", "fp16"}
    assert sorted(path.name for path in bundle.iterdir()) == sorted(
        ["README.md", "bundle.json", "model.int8.onnx", SKELETON, "tokenizer.json"]
    )
    assert "trained: 100 steps" in output
    assert "bundle finance-small" in output


def test_every_graph_has_the_outputs_of_all_heads(built: tuple[Path, Path, str]) -> None:
    bundle, _, _ = built
    for path in (bundle / "model.int8.onnx", derive_fp16(bundle)):
        graph = onnx.load(str(path)).graph
        assert [value.name for value in graph.input] == list(GRAPH_INPUTS)
        sizes = {
            value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
            for value in graph.output
        }
        assert sizes == {
            head: ["batch", *(["tokens"] if head in TOKEN_HEADS else []), len(labels)] for head, labels in HEADS.items()
        }
    read_manifest(bundle)


def test_the_manifest_states_heads_scores_and_training_sets(built: tuple[Path, Path, str], data_folder: Path) -> None:
    manifest = read_manifest(built[0])
    assert {name: tuple(head.labels) for name, head in manifest.heads.items()} == HEADS
    assert manifest.heads["entities"].temperature is None
    for head in ("level", "events"):
        assert 0.02 <= (manifest.heads[head].threshold or 0) <= 0.98
        assert manifest.heads[head].temperature is not None
    for precision in ("fp32", "int8", "fp16"):
        held_out = manifest.scores[precision]["held_out"]
        assert held_out["sentiment"]["all"]["accuracy"] == 1.0
        assert held_out["entities"]["all gold"]["f1"] == 1.0
        assert held_out["level"]["all"]["accuracy"] == 1.0
        assert held_out["risk"]["all"]["material_recall"] == 1.0
        assert set(manifest.scores[precision]["never_seen"]) == {NEVER_SEEN[0]}
    assert manifest.scores["invariance"]["int8"]["differing"] == 0
    rows = {entry.name: entry.rows for entry in manifest.training}
    train = training_corpus(data_folder, DEFAULT_TRAINING, manifest.seed)["train"]
    assert rows["riskwire risk labels"] == sum(example.source == "risk" for example in train)
    assert manifest.command == "riskwire model build small --data DIR --work DIR --out DIR"
    assert "unfinished" not in " ".join(manifest.notes)
    assert any(note.startswith("level, shifted on dev: neutral ") for note in manifest.notes)


def test_the_tokenizer_of_the_bundle_has_the_trimmed_vocabulary_of_the_run(built: tuple[Path, Path, str]) -> None:
    bundle, work, _ = built
    tokenizer = load_tokenizer(bundle / "tokenizer.json")
    encoder = read_manifest(bundle).encoder
    assert encoder is not None
    assert tokenizer.get_vocab() == load_tokenizer(work / "tokenizer.json").get_vocab()
    assert tokenizer.get_vocab_size() == encoder["vocab_size"]
    assert "word7" not in tokenizer.get_vocab()


def test_evaluate_measures_the_bundle_again_with_the_same_result(
    built: tuple[Path, Path, str], data_folder: Path
) -> None:
    bundle, _, _ = built
    manifest = read_manifest(bundle)
    output = invoke("evaluate", bundle, "--data", data_folder, "--threads", 1)
    sentiment = manifest.scores["int8"]["held_out"]["sentiment"]["all"]
    assert f"accuracy={sentiment['accuracy']:.4f} macro_f1={sentiment['macro_f1']:.4f}" in output


def test_the_card_can_be_written_again(built: tuple[Path, Path, str]) -> None:
    bundle, _, _ = built
    text = (bundle / "README.md").read_text(encoding="utf-8")
    (bundle / "README.md").unlink()
    invoke("card", bundle)
    assert (bundle / "README.md").read_text(encoding="utf-8") == text
    assert "# finance-small" in text


def test_a_finished_run_is_exported_again_without_training(
    built: tuple[Path, Path, str], data_folder: Path, tmp_path: Path
) -> None:
    bundle, work, _ = built
    recipe = write_recipe(tmp_path, "minilm", 100)
    invoke("export", recipe, "--data", data_folder, "--work", work.parent, "--out", tmp_path / "again", "--threads", 1)

    first, second = read_manifest(bundle), read_manifest(tmp_path / "again")
    assert second.model_copy(update={"created": first.created}) == first
    checkpoint = load_checkpoint(work)
    assert checkpoint is not None
    assert checkpoint.step == 100


def test_an_unfinished_run_and_the_step_of_the_best_weights_are_noted(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate would refuse a model of two steps, since it decides between labels of almost equal probability."""
    monkeypatch.setattr(export_module, "_check_gate", lambda scores, log: None)
    recipe = write_recipe(tmp_path, "minilm", 2, "early_stopping: {figure: level.accuracy}\nmeasure_every: 1\n")
    folders = ("--data", data_folder, "--work", tmp_path / "work")
    invoke("train", recipe, *folders, "--threads", 1)
    work = tmp_path / "work" / "small"
    checkpoint = load_checkpoint(work)
    assert checkpoint is not None
    manifest = export_module.export(data_folder, work, tmp_path / "out", threads=1, log=lambda line: None)
    assert f"weights of step {checkpoint.best_step}, at which level.accuracy was highest" in manifest.notes
    assert "unfinished: a development bundle, not for use" not in manifest.notes

    assert manifest.notes[0].endswith(" s of training on the CPU")
    checkpoint.device = "cuda"
    checkpoint.recipe = checkpoint.recipe.model_copy(update={"steps": 9})
    checkpoint.save(work)
    manifest = export_module.export(data_folder, work, tmp_path / "out", threads=1, log=lambda line: None)
    assert "unfinished: a development bundle, not for use" in manifest.notes
    assert manifest.notes[0].endswith(" s of training on a GPU")
    assert set(manifest.heads["events"].labels) == set(EVENT_TYPES)


def test_a_bundle_that_fails_the_gate_is_not_written(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(scores: object, log: object) -> None:
        raise GateError("int8 level: too low")

    monkeypatch.setattr(export_module, "_check_gate", refuse)
    recipe = write_recipe(tmp_path, "minilm", 1)
    folders = ["--data", str(data_folder), "--work", str(tmp_path / "work"), "--out", str(tmp_path / "out")]
    result = RUNNER.invoke(app, ["build", recipe, *folders, "--threads", "1"])
    assert result.exit_code == 1
    assert "error: int8 level: too low" in result.output
    assert not (tmp_path / "out").exists()


def test_a_run_that_does_not_exist_cannot_be_exported(data_folder: Path, tmp_path: Path) -> None:
    folders = ["--data", str(data_folder), "--work", str(tmp_path), "--out", str(tmp_path / "out")]
    result = RUNNER.invoke(app, ["export", write_recipe(tmp_path, "minilm", 1), *folders])
    assert result.exit_code == 1
    assert "no checkpoint in" in result.output


def test_a_wrong_recipe_prints_one_line_and_exits_with_1(data_folder: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, "minilm", 1, "data: {risk_open: 1.0}\n")
    for arguments, message in (
        (["train", recipe], "risk_open (labels our own; text Reuters, research only) must not be trained on"),
        (["train", "tiny"], "error: no recipe 'tiny'"),
        (["build", "tiny", "--out", str(tmp_path / "out")], "error: no recipe 'tiny'"),
        (["export", "tiny", "--out", str(tmp_path / "out")], "error: no recipe 'tiny'"),
    ):
        result = RUNNER.invoke(app, [*arguments, "--data", str(data_folder), "--work", str(tmp_path / "work")])
        assert result.exit_code == 1
        assert message in " ".join(result.output.split())
