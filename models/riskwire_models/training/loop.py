"""The training loop: mixed batches of all heads, resumable from its checkpoint."""

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
from riskwire_models.data.encode import Encoded, encode, load_tokenizer
from riskwire_models.data.labels import IGNORED
from riskwire_models.training.checkpoint import Checkpoint, load_checkpoint
from riskwire_models.training.loss import Weights, expected_counts, loss_of, tensors_of
from riskwire_models.training.model import FourHeads, base_folder, fresh_model
from riskwire_models.training.recipe import Recipe

#: Seconds between checkpoints.
CHECKPOINT_EVERY = 150.0
#: Steps between lines of the log.
LOG_EVERY = 50
#: Steps between measurements on the dev split.
DEV_EVERY = 1000

Say = Callable[[str], None]


def parameter_groups(model: FourHeads, recipe: Recipe) -> list[dict[str, object]]:
    """Encoder and heads at their own rates; no decay on biases and norms. ``base`` is the rate before the schedule."""
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        rate = recipe.encoder_rate if name.startswith("encoder.") else recipe.head_rate
        decay = 0.0 if parameter.dim() < 2 else recipe.weight_decay
        groups.setdefault((rate, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": rate, "base": rate, "weight_decay": decay}
        for (rate, decay), parameters in groups.items()
    ]


def steps_from(rows: Sequence[Encoded], recipe: Recipe, first: int) -> Iterator[list[int]]:
    """The batches of steps ``first``, ``first + 1``, …, epoch after epoch, each in its own order."""
    lengths = [len(row) for row in rows]
    epoch, done = 0, 0
    while True:
        batches = batches_of(lengths, budget=recipe.pieces_a_batch, seed=recipe.seed * 1000 + epoch)
        yield from batches[max(0, first - done) :]
        done += len(batches)
        epoch += 1


@torch.no_grad()
def dev_scores(model: FourHeads, rows: Sequence[Encoded]) -> dict[str, float]:
    """Accuracies of the heads on encoded rows; of entities only pieces that are, or are said to be, names count."""
    model.eval()
    right = {"sentiment": 0.0, "entities": 0.0, "target_sentiment": 0.0, "topics": 0.0}
    total = dict(right)
    ordered = sorted(rows, key=len)
    for start in range(0, len(ordered), 32):
        batch = tensors_of(ordered[start : start + 32])
        sentiment, entities, toward, topics = model(batch.ids, batch.mask)
        mentions = batch.pool @ toward.reshape(-1, toward.shape[-1])
        found = entities.argmax(-1)
        names = (batch.tags > 0) | ((found > 0) & (batch.tags == 0))
        for head, hits, counted in (
            ("sentiment", sentiment.argmax(-1) == batch.sentiment, batch.sentiment != IGNORED),
            ("topics", topics.argmax(-1) == batch.topics, batch.topics != IGNORED),
            ("target_sentiment", mentions.argmax(-1) == batch.targets, batch.targets != IGNORED),
            ("entities", found == batch.tags, names),
        ):
            right[head] += float((hits & counted).sum())
            total[head] += float(counted.sum())
    model.train()
    return {head: right[head] / max(1.0, total[head]) for head in right}


def start_or_resume(work: Path, recipe: Recipe, say: Say) -> tuple[FourHeads, torch.optim.Optimizer, Checkpoint]:
    """The model and optimiser as the checkpoint left them, or fresh ones of this seed."""
    random.seed(recipe.seed)
    torch.manual_seed(recipe.seed)
    model = fresh_model(base_folder())
    optimiser = torch.optim.AdamW(parameter_groups(model, recipe), fused=True)
    saved = load_checkpoint(work)
    if saved is None:
        say(f"fresh run: seed {recipe.seed}, {recipe.steps} steps")
        return model, optimiser, Checkpoint(recipe, 0, 0.0, {}, {}, torch.get_rng_state())
    model.restore(saved.model)
    optimiser.load_state_dict(saved.optimiser)
    torch.set_rng_state(saved.rng)
    if saved.recipe != recipe:
        change = f"recipe changed at step {saved.step}: {saved.recipe.steps} steps became {recipe.steps}"
        saved.history.append(change)
        say(change)
    say(f"resumed: seed {recipe.seed}, step {saved.step} of {recipe.steps}")
    saved.recipe = recipe
    return model, optimiser, saved


def train(data: Path, work: Path, recipe: Recipe, *, threads: int = 2, say: Say = print) -> FourHeads:
    """Trains to the end of the recipe, from the checkpoint in ``work`` when there is one; returns the model."""
    torch.set_num_threads(threads)
    model, optimiser, state = start_or_resume(work, recipe, say)
    splits = training_corpus(data, recipe.data_sets, recipe.seed)
    tokenizer = load_tokenizer(base_folder() / "tokenizer.json")
    rows = encode(splits["train"], tokenizer, recipe.training_length)
    dev = encode(splits["dev"], tokenizer, recipe.training_length)
    an_epoch = len(batches_of([len(row) for row in rows], budget=recipe.pieces_a_batch, seed=0))
    weights = Weights(
        recipe.weight_sentiment,
        recipe.weight_entities,
        recipe.weight_target_sentiment,
        recipe.weight_topics,
        expected_counts(rows, an_epoch),
        recipe.smoothing,
    )
    say(f"{len(rows)} rows to train on, {len(dev)} dev, about {an_epoch} steps an epoch")

    def save(step: int, seconds: float) -> None:
        Checkpoint(
            recipe, step, seconds, model.state_dict(), optimiser.state_dict(), torch.get_rng_state(), state.history
        ).save(work)

    model.train()
    batches = steps_from(rows, recipe, state.step)
    started = saved_at = time.monotonic()
    before = state.seconds
    recent, since = [0.0] * 4, 0
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("loss {task.fields[loss]}"))
    with Progress(*columns, disable=not sys.stdout.isatty()) as progress:
        bar = progress.add_task("training", total=recipe.steps, completed=state.step, loss="")
        for step in range(state.step, recipe.steps):
            for group in optimiser.param_groups:
                group["lr"] = group["base"] * recipe.rate_at(step)
            batch = tensors_of([rows[row] for row in next(batches)])
            with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16):
                outputs = model(batch.ids, batch.mask)
            total, parts = loss_of(outputs, batch, weights)
            optimiser.zero_grad(set_to_none=True)
            total.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
            optimiser.step()
            recent = [old + new for old, new in zip(recent, parts, strict=True)]
            since += 1
            now = time.monotonic()
            if (step + 1) % LOG_EVERY == 0:
                line = " ".join(f"{part / since:.3f}" for part in recent)
                recent, since = [0.0] * 4, 0
                progress.update(bar, completed=step + 1, loss=line)
                if not sys.stdout.isatty():
                    spent = now - started
                    pace = spent / (step + 1 - state.step)
                    say(f"step {step + 1}/{recipe.steps} loss {line} {pace:.3f} s/step {before + spent:.0f} s")
            if (step + 1) % DEV_EVERY == 0 or step + 1 == recipe.steps:
                say("dev " + " ".join(f"{head}={score:.3f}" for head, score in dev_scores(model, dev).items()))
            if now - saved_at > CHECKPOINT_EVERY or step + 1 == recipe.steps:
                save(step + 1, before + time.monotonic() - started)
                saved_at = time.monotonic()
    say(f"trained: {recipe.steps} steps in {before + time.monotonic() - started:.0f} s")
    return model.eval()
