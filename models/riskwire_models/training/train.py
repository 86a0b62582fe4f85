"""Trains a model on mixed batches of all heads, and resumes from a checkpoint (``riskwire model train``)."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from riskwire_models.data.batches import batches_of
from riskwire_models.data.corpus import training_corpus
from riskwire_models.data.encoding import EncodedExample, encode_examples, load_tokenizer
from riskwire_models.data.labels import IGNORED
from riskwire_models.training.checkpoint import Checkpoint, load_checkpoint
from riskwire_models.training.loss import LossWeights, batch_tensors, expected_counts, weighted_loss
from riskwire_models.training.model import FourHeadModel, base_model_folder, untrained_model
from riskwire_models.training.recipe import Recipe

#: Seconds between checkpoints.
CHECKPOINT_INTERVAL_S = 150.0
#: Steps between progress lines.
STEPS_PER_LOG_LINE = 50
#: Steps between measurements on the dev split.
STEPS_PER_DEV_MEASUREMENT = 1000

#: Receives a line about the progress of the run.
Log = Callable[[str], None]


def parameter_groups(model: FourHeadModel, recipe: Recipe) -> list[dict[str, object]]:
    """Returns the parameters by learning rate and weight decay, as groups of the optimiser.

    Biases and norms have no weight decay. ``base`` of a group is its learning rate before the schedule.
    """
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        rate = recipe.encoder_rate if name.startswith("encoder.") else recipe.head_rate
        decay = 0.0 if parameter.dim() < 2 else recipe.weight_decay
        groups.setdefault((rate, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": rate, "base": rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
    ]


def batches_from_step(rows: Sequence[EncodedExample], recipe: Recipe, first: int) -> Iterator[list[int]]:
    """Yields the batches of the steps from ``first`` on; each epoch has a different order."""
    lengths = [len(row) for row in rows]
    epoch, earlier_batches = 0, 0
    while True:
        batches = batches_of(lengths, budget=recipe.pieces_a_batch, seed=recipe.seed * 1000 + epoch)
        yield from batches[max(0, first - earlier_batches) :]
        earlier_batches += len(batches)
        epoch += 1


@torch.no_grad()
def dev_accuracies(model: FourHeadModel, rows: Sequence[EncodedExample]) -> dict[str, float]:
    """Returns the accuracy of each head. For entities, word pieces count whose true or predicted tag is not O."""
    model.eval()
    correct = {"sentiment": 0.0, "entities": 0.0, "target_sentiment": 0.0, "topics": 0.0}
    total = dict(correct)
    ordered = sorted(rows, key=len)
    for start in range(0, len(ordered), 32):
        batch = batch_tensors(ordered[start : start + 32])
        sentiment, entities, target_sentiment, topics = model(batch.ids, batch.mask)
        mentions = batch.pool @ target_sentiment.reshape(-1, target_sentiment.shape[-1])
        predicted_tags = entities.argmax(-1)
        names = (batch.tags > 0) | ((predicted_tags > 0) & (batch.tags == 0))
        for head, hits, counted in (
            ("sentiment", sentiment.argmax(-1) == batch.sentiment, batch.sentiment != IGNORED),
            ("topics", topics.argmax(-1) == batch.topics, batch.topics != IGNORED),
            ("target_sentiment", mentions.argmax(-1) == batch.targets, batch.targets != IGNORED),
            ("entities", predicted_tags == batch.tags, names),
        ):
            correct[head] += float((hits & counted).sum())
            total[head] += float(counted.sum())
    model.train()
    return {head: correct[head] / max(1.0, total[head]) for head in correct}


def start_or_resume(work: Path, recipe: Recipe, log: Log) -> tuple[FourHeadModel, torch.optim.Optimizer, Checkpoint]:
    """Returns the model, optimiser and checkpoint of the work folder, or new ones if it has no checkpoint."""
    random.seed(recipe.seed)
    torch.manual_seed(recipe.seed)
    model = untrained_model(base_model_folder())
    optimiser = torch.optim.AdamW(parameter_groups(model, recipe), fused=True)
    saved = load_checkpoint(work)
    if saved is None:
        log(f"new run: seed {recipe.seed}, {recipe.steps} steps")
        return model, optimiser, Checkpoint(recipe, 0, 0.0, {}, {}, torch.get_rng_state())
    model.restore(saved.model)
    optimiser.load_state_dict(saved.optimiser)
    torch.set_rng_state(saved.rng)
    if saved.recipe != recipe:
        change = f"recipe changed at step {saved.step}: {saved.recipe.steps} steps became {recipe.steps}"
        saved.history.append(change)
        log(change)
    log(f"resumed: seed {recipe.seed}, step {saved.step} of {recipe.steps}")
    saved.recipe = recipe
    return model, optimiser, saved


def train(data: Path, work: Path, recipe: Recipe, *, threads: int = 2, log: Log = print) -> FourHeadModel:
    """Trains to the last step of the recipe, from the checkpoint in ``work`` if there is one.

    Args:
        data: folder of the data sets.
        work: folder of the checkpoint.
        recipe: hyperparameters; a change against the checkpoint's recipe is recorded in its history.
        threads: CPU threads of torch.
        log: receives progress lines.

    Returns:
        The trained model, in evaluation mode.
    """
    torch.set_num_threads(threads)
    model, optimiser, state = start_or_resume(work, recipe, log)
    splits = training_corpus(data, recipe.data_sets, recipe.seed)
    tokenizer = load_tokenizer(base_model_folder() / "tokenizer.json")
    rows = encode_examples(splits["train"], tokenizer, recipe.training_length)
    dev = encode_examples(splits["dev"], tokenizer, recipe.training_length)
    steps_per_epoch = len(batches_of([len(row) for row in rows], budget=recipe.pieces_a_batch, seed=0))
    weights = LossWeights(
        recipe.weight_sentiment,
        recipe.weight_entities,
        recipe.weight_target_sentiment,
        recipe.weight_topics,
        expected_counts(rows, steps_per_epoch),
        recipe.smoothing,
    )
    log(f"{len(rows)} training rows, {len(dev)} dev rows, about {steps_per_epoch} steps an epoch")

    def save(step: int, seconds: float) -> None:
        """Writes the checkpoint after `step` steps and `seconds` seconds of training."""
        Checkpoint(
            recipe, step, seconds, model.state_dict(), optimiser.state_dict(), torch.get_rng_state(), state.history
        ).save(work)

    model.train()
    batches = batches_from_step(rows, recipe, state.step)
    started = saved_at = time.monotonic()
    earlier_s = state.seconds
    summed_losses, summed_steps = [0.0] * 4, 0
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("loss {task.fields[loss]}"))
    with Progress(*columns, disable=not sys.stdout.isatty()) as progress:
        bar = progress.add_task("training", total=recipe.steps, completed=state.step, loss="")
        for step in range(state.step, recipe.steps):
            for group in optimiser.param_groups:
                group["lr"] = group["base"] * recipe.rate_at(step)
            batch = batch_tensors([rows[row] for row in next(batches)])
            with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16):
                outputs = model(batch.ids, batch.mask)
            total, parts = weighted_loss(outputs, batch, weights)
            optimiser.zero_grad(set_to_none=True)
            total.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
            optimiser.step()
            summed_losses = [summed + part for summed, part in zip(summed_losses, parts, strict=True)]
            summed_steps += 1
            now = time.monotonic()
            if (step + 1) % STEPS_PER_LOG_LINE == 0:
                line = " ".join(f"{summed / summed_steps:.3f}" for summed in summed_losses)
                summed_losses, summed_steps = [0.0] * 4, 0
                progress.update(bar, completed=step + 1, loss=line)
                if not sys.stdout.isatty():
                    elapsed_s = now - started
                    step_s = elapsed_s / (step + 1 - state.step)
                    log(f"step {step + 1}/{recipe.steps} loss {line} {step_s:.3f} s/step {earlier_s + elapsed_s:.0f} s")
            if (step + 1) % STEPS_PER_DEV_MEASUREMENT == 0 or step + 1 == recipe.steps:
                log("dev " + " ".join(f"{head}={score:.3f}" for head, score in dev_accuracies(model, dev).items()))
            if now - saved_at > CHECKPOINT_INTERVAL_S or step + 1 == recipe.steps:
                save(step + 1, earlier_s + time.monotonic() - started)
                saved_at = time.monotonic()
    log(f"trained: {recipe.steps} steps in {earlier_s + time.monotonic() - started:.0f} s")
    return model.eval()
