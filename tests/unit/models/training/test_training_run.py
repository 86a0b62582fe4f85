"""A training run: resumed from a checkpoint, ended early, with a teacher, and on a changed recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from small_models.libraries import CAN_TRAIN, needs_training

from riskwire_models.data.augmentation import Augmentation
from riskwire_models.data.corpus import training_corpus
from riskwire_models.data.encoding import load_tokenizer
from riskwire_models.data.labels import EVENT_TYPES, LEVELS, SENTIMENTS, TOPICS, MentionReading, SentenceReading
from riskwire_models.data.teacher import TextReading, write_readings
from riskwire_models.errors import LicenceError, TrainingDataError
from riskwire_models.training.recipe import Distillation, EarlyStopping, Lora, Recipe

if CAN_TRAIN:
    import torch

    import riskwire_models.training.train as train_module
    from riskwire_models.training.checkpoint import BEST, Checkpoint, best_weights, load_checkpoint

pytestmark = [needs_training, pytest.mark.usefixtures("small_bases")]

STEPS = 6
AUGMENTATION = Augmentation(names=0.3, cashtag=0.1, possessive=0.3, wire=0.3, upper_case=0.1, typo=0.3)
PLAIN = Recipe(name="plain", steps=STEPS, pieces_a_batch=256, measure_every=100)


def checkpoint_in(folder: Path) -> Checkpoint:
    checkpoint = load_checkpoint(folder)
    assert checkpoint is not None
    return checkpoint


def losses_by_step(lines: list[str]) -> dict[str, str]:
    """Returns the losses of each step from the progress lines of a run, without the times."""
    return {line.split()[1]: line[: line.index(" s/step")].rpartition(" ")[0] for line in lines if " s/step" in line}


class InterruptedRunError(Exception):
    """Ends a run from its log."""


def interrupting(lines: list[str], step: int) -> Any:
    """Returns a log that keeps the lines, and interrupts the run at a step."""

    def log(line: str) -> None:
        lines.append(line)
        if line.startswith(f"step {step}/"):
            raise InterruptedRunError

    return log


def uniform_reading(spans: list[tuple[int, int]]) -> TextReading:
    """Returns a reading that gives every label the same probability."""

    def even(labels: tuple[str, ...]) -> tuple[float, ...]:
        return (1 / len(labels),) * len(labels)

    events = (0.5,) * len(EVENT_TYPES)
    mention = MentionReading(even(SENTIMENTS), even(LEVELS), events)
    return TextReading(SentenceReading(even(SENTIMENTS), even(TOPICS), events), dict.fromkeys(spans, mention))


@pytest.mark.parametrize(
    "recipe",
    [
        PLAIN.model_copy(update={"augmentation": AUGMENTATION, "least_count": 3, "measure_every": 2}),
        PLAIN.model_copy(update={"base": "mpnet", "augmentation": AUGMENTATION, "lora": Lora(rank=2)}),
    ],
    ids=["bert, trimmed", "mpnet, adapters"],
)
def test_a_resumed_run_has_the_losses_and_weights_of_an_uninterrupted_run(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: Recipe
) -> None:
    monkeypatch.setattr(train_module, "STEPS_PER_LOG_LINE", 1)
    monkeypatch.setattr(train_module, "CHECKPOINT_INTERVAL_S", 0.0)
    whole_lines: list[str] = []
    train_module.train(data_folder, tmp_path / "whole", recipe, threads=1, log=whole_lines.append)

    lines: list[str] = []
    with pytest.raises(InterruptedRunError):
        train_module.train(data_folder, tmp_path / "resumed", recipe, threads=1, log=interrupting(lines, 3))
    assert checkpoint_in(tmp_path / "resumed").step == 2
    train_module.train(data_folder, tmp_path / "resumed", recipe, threads=1, log=lines.append)
    assert f"resumed plain: seed 17, step 2 of {STEPS} on cpu" in lines
    assert len(losses_by_step(whole_lines)) == STEPS
    assert losses_by_step(lines) == losses_by_step(whole_lines)
    expected, resumed = checkpoint_in(tmp_path / "whole"), checkpoint_in(tmp_path / "resumed")
    assert resumed.step == STEPS
    assert expected.model.keys() == resumed.model.keys()
    assert all(torch.equal(value, resumed.model[name]) for name, value in expected.model.items())
    assert resumed.history == []


def test_the_generator_of_a_gpu_is_kept_and_set_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of a GPU stands a generator of the test."""
    cuda, gpu = torch.Generator().manual_seed(5), torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: cuda.get_state())
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: cuda.set_state(state))
    checkpoint = Checkpoint(PLAIN, 3, 1.0, {}, {}, None)
    checkpoint.keep_generators(gpu)
    checkpoint.save(tmp_path)
    expected = (torch.rand(3), torch.rand(3, generator=cuda))
    loaded = checkpoint_in(tmp_path)
    assert loaded.device == "cuda"
    loaded.restore_generators(gpu)
    assert all(
        torch.equal(*pair) for pair in zip(expected, (torch.rand(3), torch.rand(3, generator=cuda)), strict=True)
    )
    state = cuda.get_state()
    loaded.restore_generators(torch.device("cpu"))
    assert torch.equal(cuda.get_state(), state)


def test_a_checkpoint_of_an_earlier_version_can_be_resumed(data_folder: Path, tmp_path: Path) -> None:
    train_module.train(data_folder, tmp_path, PLAIN.model_copy(update={"steps": 2}), threads=1, log=lambda line: None)
    content = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    for field in ("cuda_rng", "device"):
        del content[field]
    torch.save(content, tmp_path / "checkpoint.pt")
    assert (checkpoint_in(tmp_path).device, checkpoint_in(tmp_path).cuda_rng) == ("cpu", None)
    train_module.train(data_folder, tmp_path, PLAIN.model_copy(update={"steps": 3}), threads=1, log=lambda line: None)
    assert checkpoint_in(tmp_path).step == 3


def test_a_changed_recipe_is_recorded_when_the_run_resumes(data_folder: Path, tmp_path: Path) -> None:
    train_module.train(data_folder, tmp_path, PLAIN.model_copy(update={"steps": 2}), threads=1, log=lambda line: None)
    lines: list[str] = []
    changed = PLAIN.model_copy(update={"steps": 3, "head_rate": 2e-3})
    train_module.train(data_folder, tmp_path, changed, threads=1, log=lines.append)
    checkpoint = checkpoint_in(tmp_path)
    assert checkpoint.history == ["recipe changed at step 2: steps 2 became 3, head_rate 0.001 became 0.002"]
    assert checkpoint.history[0] in lines
    assert (checkpoint.recipe, checkpoint.step) == (changed, 3)


def scripted_figures(values: list[float], seen: list[dict[str, Any]]) -> Any:
    """Returns a measurement that gives these values one after another, and keeps the weights that it measured."""
    remaining = list(values)

    def figures(model: Any, *_: object) -> dict[str, float]:
        seen.append({name: value.clone() for name, value in model.state_dict().items()})
        return {"level.accuracy": remaining.pop(0)}

    return figures


STOPPING = Recipe(
    name="stopping",
    steps=20,
    pieces_a_batch=256,
    measure_every=1,
    early_stopping=EarlyStopping(figure="level.accuracy", patience=2),
)


def test_a_run_whose_figure_no_longer_rises_ends_and_keeps_the_best_weights(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Any]] = []
    monkeypatch.setattr(train_module, "dev_figures", scripted_figures([0.3, 0.5, 0.5, 0.4], seen))
    lines: list[str] = []
    train_module.train(data_folder, tmp_path, STOPPING, threads=1, log=lines.append)
    checkpoint = checkpoint_in(tmp_path)
    assert (checkpoint.step, checkpoint.best, checkpoint.best_step) == (4, 0.5, 2)
    assert checkpoint.is_finished
    assert "ends early: level.accuracy was highest at step 2 (0.5000)" in lines
    best = best_weights(checkpoint, tmp_path)
    assert all(torch.equal(value, best[name]) for name, value in seen[1].items())
    assert all(torch.equal(value, checkpoint.model[name]) for name, value in seen[3].items())
    assert any(not torch.equal(value, best[name]) for name, value in checkpoint.model.items())


def test_a_run_that_ended_early_is_not_trained_further(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_module, "dev_figures", scripted_figures([0.5, 0.4, 0.3], []))
    train_module.train(data_folder, tmp_path, STOPPING, threads=1, log=lambda line: None)
    train_module.train(data_folder, tmp_path, STOPPING, threads=1, log=lambda line: None)
    assert checkpoint_in(tmp_path).step == 3


def test_a_figure_that_rises_to_the_end_lets_the_run_finish(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = STOPPING.model_copy(update={"steps": 5})
    monkeypatch.setattr(train_module, "dev_figures", scripted_figures([0.1, 0.2, 0.15, 0.3, 0.2], []))
    train_module.train(data_folder, tmp_path, recipe, threads=1, log=lambda line: None)
    checkpoint = checkpoint_in(tmp_path)
    assert (checkpoint.step, checkpoint.best_step) == (5, 4)
    assert checkpoint.is_finished


def test_an_interrupted_run_is_not_finished_and_keeps_no_best_weights_without_early_stopping(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_module, "STEPS_PER_LOG_LINE", 1)
    monkeypatch.setattr(train_module, "CHECKPOINT_INTERVAL_S", 0.0)
    with pytest.raises(InterruptedRunError):
        train_module.train(data_folder, tmp_path, PLAIN, threads=1, log=interrupting([], 3))
    assert not checkpoint_in(tmp_path).is_finished
    assert not (tmp_path / BEST).exists()


def test_the_texts_of_the_train_split_get_the_readings_of_the_teacher(data_folder: Path, tmp_path: Path) -> None:
    examples = training_corpus(data_folder, ("risk", "tfns"), PLAIN.seed)["train"]
    spans = {example.text: [(target.start, target.end) for target in example.targets] for example in examples}
    write_readings(tmp_path / "readings.npz", {text: uniform_reading(places) for text, places in spans.items()})
    recipe = PLAIN.model_copy(
        update={"steps": 2, "data": {"risk": 1.0, "tfns": 1.0}, "teacher": Distillation(readings=Path("readings.npz"))}
    )
    splits = train_module.recipe_corpus(data_folder, tmp_path / "work", recipe)
    assert splits["train"]
    assert all(example.teacher is not None for example in splits["train"])
    assert all(target.teacher is not None for example in splits["train"] for target in example.targets)
    assert all(example.teacher is None for split in ("dev", "test") for example in splits[split])
    train_module.train(data_folder, tmp_path / "work", recipe, threads=1, log=lambda line: None)
    assert checkpoint_in(tmp_path / "work").step == 2


def test_a_recipe_whose_teacher_has_not_read_is_refused(data_folder: Path, tmp_path: Path) -> None:
    recipe = PLAIN.model_copy(update={"teacher": Distillation(readings=Path("own-readings.npz"))})
    with pytest.raises(TrainingDataError, match=r"no readings of a teacher in .*readings\.npz"):
        train_module.train(data_folder, tmp_path / "work", recipe, threads=1, log=lambda line: None)


def test_a_recipe_that_leaves_no_rows_is_refused(data_folder: Path, tmp_path: Path) -> None:
    recipe = PLAIN.model_copy(update={"data": {"tfns": 1e-9}})
    with pytest.raises(TrainingDataError, match="recipe plain leaves no training rows"):
        train_module.train(data_folder, tmp_path, recipe, threads=1, log=lambda line: None)


def test_a_set_that_only_measures_is_not_trained_on(data_folder: Path, tmp_path: Path) -> None:
    recipe = PLAIN.model_copy(update={"data": {"tfns": 1.0, "phrasebank": 1.0}})
    with pytest.raises(LicenceError, match=r"phrasebank .*must not be trained on"):
        train_module.train(data_folder, tmp_path, recipe, threads=1, log=lambda line: None)
    assert load_checkpoint(tmp_path) is None


def test_the_vocabulary_of_a_run_is_written_once(small_bases: dict[str, Path], tmp_path: Path) -> None:
    recipe = PLAIN.model_copy(update={"least_count": 1})
    train_module.write_tokenizer(tmp_path, recipe, ["Acme plunges"])
    first = (tmp_path / train_module.TOKENIZER).read_text()
    train_module.write_tokenizer(tmp_path, recipe, ["Globex opens"])
    assert (tmp_path / train_module.TOKENIZER).read_text() == first
    pieces = json.loads((tmp_path / train_module.PIECES).read_text())
    full_tokenizer = load_tokenizer(small_bases["minilm"] / "tokenizer.json")
    vocabulary = load_tokenizer(tmp_path / train_module.TOKENIZER).get_vocab()
    assert vocabulary == {full_tokenizer.id_to_token(old): new for new, old in enumerate(pieces)}
    assert {"acme", "plunges"} <= vocabulary.keys()
    assert "globex" not in vocabulary
    assert train_module.prepared_model(recipe, tmp_path).encoder.config.vocab_size == len(pieces)
