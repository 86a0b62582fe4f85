"""Trains a model on mixed batches of all heads, and resumes from a checkpoint (``riskwire model train``)."""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from riskwire_models.data.corpus import Corpus, training_corpus
from riskwire_models.data.encoding import encode_examples, load_tokenizer
from riskwire_models.data.labels import HEADS
from riskwire_models.data.own_labels import read_own_labels
from riskwire_models.data.teacher import read_readings, with_readings
from riskwire_models.data.vocabulary import needed_pieces, trimmed_tokenizer
from riskwire_models.errors import TrainingDataError
from riskwire_models.export.manifest import read_manifest
from riskwire_models.training.base import base_model_folder
from riskwire_models.training.batches import batches_of
from riskwire_models.training.checkpoint import Checkpoint, load_checkpoint
from riskwire_models.training.from_bundle import average_with_start, is_held_out, model_from_bundle
from riskwire_models.training.lora import add_lora
from riskwire_models.training.loss import (
    Labelling,
    LossWeights,
    batch_tensors,
    expected_counts,
    label_weights,
    weighted_loss,
)
from riskwire_models.training.measure import dev_figures
from riskwire_models.training.model import MultiHeadModel, untrained_model
from riskwire_models.training.recipe import Recipe
from riskwire_models.training.rows import TrainingRows, chosen_examples, masked_examples

#: Seconds between checkpoints.
CHECKPOINT_INTERVAL_S = 150.0
#: Steps between progress lines.
STEPS_PER_LOG_LINE = 50
#: Tokenizer of a run, and the vocabulary ids of the base model that it keeps, in the work folder.
TOKENIZER = "tokenizer.json"
PIECES = "pieces.json"
#: Folder of the TensorBoard events in the work folder.
EVENTS = "tensorboard"

#: Receives a line about the progress of the run.
Log = Callable[[str], None]


def training_device() -> torch.device:
    """Returns the device of the training: the GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def parameter_groups(model: MultiHeadModel, recipe: Recipe) -> list[dict[str, object]]:
    """Returns the trained parameters by learning rate and weight decay, as groups of the optimiser.

    Parameters of frozen layers stop to need a gradient. Biases and layer norms do not decay.
    """
    count = int(model.encoder.config.num_hidden_layers)
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        rate = recipe.head_rate
        if name.startswith("encoder."):
            layer = _layer_of(name, count)
            if recipe.frozen_layers and layer < recipe.frozen_layers:
                parameter.requires_grad_(False)
            rate = recipe.encoder_rate * recipe.layer_decay ** (count - 1 - layer)
        if not parameter.requires_grad:
            continue
        decay = 0.0 if parameter.dim() < 2 else recipe.weight_decay
        groups.setdefault((rate, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": rate, "base": rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
    ]


def _layer_of(name: str, count: int) -> int:
    """Returns the number of the layer that an encoder's parameter belongs to: -1 for the embeddings.

    What stands beside the layers, such as the position bias of MPNet, counts as the last of the ``count`` layers.
    """
    if ".embeddings." in name or name.startswith("encoder.embeddings"):
        return -1
    _, separator, after_separator = name.partition(".layer.")
    return int(after_separator.partition(".")[0]) if separator else count - 1


def prepared_model(recipe: Recipe, work: Path) -> MultiHeadModel:
    """Returns the model that a recipe begins with: that of a bundle, or the base encoder with untrained heads.

    It has adapters if the recipe has them. The vocabulary is that of the tokenizer in the work folder.
    """
    if (start := recipe.start_folder()) is not None:
        model = model_from_bundle(start)
    else:
        pieces = json.loads((work / PIECES).read_text()) if (work / PIECES).is_file() else None
        model = untrained_model(base_model_folder(recipe.base), layers=recipe.layers, pieces=pieces)
    if recipe.lora is not None:
        add_lora(model, recipe.lora)
    return model


def start_or_resume(
    work: Path, recipe: Recipe, device: torch.device, log: Log
) -> tuple[MultiHeadModel, torch.optim.Optimizer, Checkpoint]:
    """Returns the model, optimiser and checkpoint of the work folder, or new ones if it has no checkpoint."""
    random.seed(recipe.seed)
    torch.manual_seed(recipe.seed)
    model = prepared_model(recipe, work)
    saved = load_checkpoint(work)
    if saved is not None:
        model.restore(saved.model)
    model.to(device)
    optimiser = torch.optim.AdamW(parameter_groups(model, recipe), fused=True)
    if saved is None:
        log(f"new run {recipe.name}: seed {recipe.seed}, {recipe.steps} steps on {device.type}")
        state = Checkpoint(recipe, 0, 0.0, {}, {}, torch.get_rng_state(), device=device.type)
        if (start := recipe.start_folder()) is not None:
            begun = read_manifest(start, verify=False)
            state.history.append(f"begins with the weights of {begun.name} {begun.version}")
        return model, optimiser, state
    optimiser.load_state_dict(saved.optimiser)
    saved.restore_generators(device)
    saved.device = device.type
    if saved.recipe != recipe:
        change = f"recipe changed at step {saved.step}: {_changes(saved.recipe, recipe)}"
        saved.history.append(change)
        log(change)
    log(f"resumed {recipe.name}: seed {recipe.seed}, step {saved.step} of {recipe.steps} on {device.type}")
    saved.recipe = recipe
    return model, optimiser, saved


def write_tokenizer(work: Path, recipe: Recipe, texts: Iterable[str]) -> None:
    """Writes the tokenizer of a run to its work folder, unless it is there; the recipe decides the vocabulary.

    Args:
        texts: training texts, in which the word pieces are counted.
    """
    path = work / TOKENIZER
    if path.is_file():
        return
    work.mkdir(parents=True, exist_ok=True)
    source = (recipe.start_folder() or base_model_folder(recipe.base)) / TOKENIZER
    content = source.read_text(encoding="utf-8")
    if recipe.least_count is not None:
        kept_pieces = needed_pieces(load_tokenizer(source), texts, recipe.least_count)
        (work / PIECES).write_text(json.dumps(kept_pieces))
        content = trimmed_tokenizer(source, kept_pieces)
    path.write_text(content, encoding="utf-8")


def _changes(before: Recipe, after: Recipe) -> str:
    """Returns the fields in which two recipes differ, with both values."""
    old, new = before.as_dict(), after.as_dict()
    return ", ".join(f"{field} {old[field]} became {new[field]}" for field in new if old[field] != new[field])


def recipe_corpus(data: Path, work: Path, recipe: Recipe, corpus: Corpus | None = None) -> Corpus:
    """Returns the examples of a recipe by split; those of the train split with the readings of its teacher.

    Args:
        corpus: the examples of the recipe's data sets by split, if they were read before.
    """
    splits = training_corpus(data, recipe.data, recipe.seed) if corpus is None else corpus
    train = chosen_examples(splits["train"], recipe)
    if recipe.own_labels is not None:
        train += [example for example in read_own_labels(recipe.own_labels) if not is_held_out(example.text)]
    if recipe.teacher is not None:
        train = list(with_readings(train, read_readings(recipe.teacher.file_for(work))))
    return {**splits, "train": masked_examples(train, recipe)}


def train(
    data: Path, work: Path, recipe: Recipe, *, corpus: Corpus | None = None, threads: int = 2, log: Log = print
) -> MultiHeadModel:
    """Trains to the last step of the recipe, from the checkpoint in ``work`` if there is one.

    Args:
        data: folder of the data sets.
        work: folder of the checkpoint and of the events that TensorBoard shows.
        recipe: what to train; a change against the checkpoint's recipe is recorded in its history.
        corpus: the examples of the recipe's data sets by split, if they were read before.
        threads: CPU threads of torch.
        log: receives progress lines.

    Returns:
        The trained model on the CPU, in evaluation mode, with the weights of the last step.
    """
    torch.set_num_threads(threads)
    device = training_device()
    splits = recipe_corpus(data, work, recipe, corpus)
    write_tokenizer(work, recipe, (example.text for example in splits["train"]))
    tokenizer = load_tokenizer(work / TOKENIZER)
    model, optimiser, state = start_or_resume(work, recipe, device, log)
    rows = TrainingRows(splits["train"], recipe, tokenizer, data)
    first_epoch = rows.of_epoch(0)
    if not first_epoch:
        raise TrainingDataError(f"recipe {recipe.name} leaves no training rows: see its data and texts_of")
    dev = encode_examples(splits["dev"], tokenizer, recipe.training_length)
    steps_per_epoch = len(batches_of([len(row) for row in first_epoch], budget=recipe.pieces_a_batch, seed=0))
    weights = LossWeights(
        recipe.heads,
        expected_counts(first_epoch, steps_per_epoch),
        {head: factors.to(device) for head, factors in label_weights(first_epoch, recipe.balance).items()},
    )
    labelling = Labelling(recipe.smoothing, recipe.teacher.weight if recipe.teacher else 0.0)
    log(f"{len(first_epoch)} training rows, {len(dev)} dev rows, about {steps_per_epoch} steps an epoch")
    run = _Run(model, optimiser, state, work, device, log)
    model.train()
    batches = rows.batches_from_step(state.step)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("loss {task.fields[loss]}"))
    with (
        SummaryWriter(str(work / EVENTS), purge_step=state.step) as writer,
        Progress(*columns, disable=not sys.stdout.isatty()) as progress,
    ):
        bar = progress.add_task("training", total=recipe.steps, completed=state.step, loss="")
        for step in range(state.step, state.step if state.is_finished else recipe.steps):
            factor = recipe.rate_at(step)
            for group in optimiser.param_groups:
                group["lr"] = group["base"] * factor
            batch = batch_tensors(next(batches), labelling=labelling).to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
                outputs = model(batch.ids, batch.mask)
            total, parts = weighted_loss(outputs, batch, weights)
            optimiser.zero_grad(set_to_none=True)
            total.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
            optimiser.step()
            if (means := run.count(step + 1, parts)) is not None:
                progress.update(bar, completed=step + 1, loss=means["total"])
                for head, loss in means.items():
                    writer.add_scalar(f"loss/{head}", float(loss), step + 1)
                writer.add_scalar("rate", factor, step + 1)
            is_last = step + 1 == recipe.steps
            if is_last and recipe.average_with_start and (start := recipe.start_folder()) is not None:
                average_with_start(model, start, recipe.average_with_start)
            if (step + 1) % recipe.measure_every == 0 or is_last:
                figures = dev_figures(model, dev, device)
                for name, figure in figures.items():
                    writer.add_scalar(f"dev/{name}", figure, step + 1)
                log(f"dev at step {step + 1}: " + " ".join(f"{name}={figure:.3f}" for name, figure in figures.items()))
                is_last |= run.ends_early(figures)
            run.save_if_due(is_last=is_last)
            if is_last:
                break
    log(f"trained: {run.state.step} steps in {run.seconds():.0f} s")
    return model.to("cpu").eval()


class _Run:
    """The progress of a run: its losses, its clock, its checkpoints, and when it ends early."""

    def __init__(
        self,
        model: MultiHeadModel,
        optimiser: torch.optim.Optimizer,
        state: Checkpoint,
        work: Path,
        device: torch.device,
        log: Log,
    ) -> None:
        """Starts the clock. ``state`` is the checkpoint from which the run continues; it is updated in place."""
        self.state = state
        self._model = model
        self._optimiser = optimiser
        self._work = work
        self._recipe = state.recipe
        self._device = device
        self._log = log
        self._first_step = state.step
        self._earlier_s = state.seconds
        self._started = self._saved_at = time.monotonic()
        self._losses = dict.fromkeys(HEADS, 0.0)
        self._summed_steps = 0

    def seconds(self) -> float:
        """Returns the time spent in training, in seconds, over all resumed parts of the run."""
        return self._earlier_s + time.monotonic() - self._started

    def count(self, step: int, losses: Mapping[str, float]) -> dict[str, str] | None:
        """Notes a step that is done, and its loss by head. Returns the mean losses as text if a line is due."""
        self.state.step = step
        for head, loss in losses.items():
            self._losses[head] += loss
        self._summed_steps += 1
        if step % STEPS_PER_LOG_LINE:
            return None
        means = {head: loss / self._summed_steps for head, loss in self._losses.items()}
        means["total"] = sum(self._recipe.heads[head] * loss for head, loss in means.items())
        self._losses, self._summed_steps = dict.fromkeys(HEADS, 0.0), 0
        if not sys.stdout.isatty():
            step_s = (time.monotonic() - self._started) / (step - self._first_step)
            line = " ".join(f"{head} {loss:.3f}" for head, loss in means.items())
            self._log(f"step {step}/{self._recipe.steps} {line} {step_s:.3f} s/step {self.seconds():.0f} s")
        return {head: f"{loss:.4f}" for head, loss in means.items()}

    def ends_early(self, figures: Mapping[str, float]) -> bool:
        """Returns whether the figure that the recipe watches has not risen for too long; keeps the best weights."""
        stopping = self._recipe.early_stopping
        if stopping is None or stopping.figure not in figures:
            return False
        figure, state = figures[stopping.figure], self.state
        if state.best is None or figure > state.best:
            state.best, state.best_step = figure, state.step
            state.model = self._model.state_dict()
            state.save_best(self._work)
            return False
        if not state.ended_early:
            return False
        self._log(f"ends early: {stopping.figure} was highest at step {state.best_step} ({state.best:.4f})")
        return True

    def save_if_due(self, *, is_last: bool) -> None:
        """Writes the checkpoint if the last one is old or the run ends."""
        if time.monotonic() - self._saved_at <= CHECKPOINT_INTERVAL_S and not is_last:
            return
        self.state.seconds = self.seconds()
        self.state.model = self._model.state_dict()
        self.state.optimiser = self._optimiser.state_dict()
        self.state.keep_generators(self._device)
        self.state.save(self._work)
        self._saved_at = time.monotonic()
