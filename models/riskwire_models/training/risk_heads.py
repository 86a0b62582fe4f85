"""Trains the heads for level and events further, while the encoder stays as it is (``riskwire model tune``).

A run of few epochs shows each text once or twice. That is too little for 42 event types, most of which are rare. The
states of the encoder are computed once, so that an epoch of the heads alone takes seconds.

Source: Kumar et al. (2022), Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution, for the
training of heads on fixed states.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from riskwire_models.data.catalogue import data_set_by_name
from riskwire_models.data.corpus import training_corpus
from riskwire_models.data.encoding import EncodedExample, encode_examples, load_tokenizer
from riskwire_models.data.labels import IGNORED
from riskwire_models.errors import BundleFolderError
from riskwire_models.training.batches import batches_of
from riskwire_models.training.checkpoint import Checkpoint, best_weights, load_checkpoint
from riskwire_models.training.loss import Labelling, batch_tensors
from riskwire_models.training.measure import dev_figures
from riskwire_models.training.model import MultiHeadModel
from riskwire_models.training.train import TOKENIZER, prepared_model, recipe_corpus

#: Passes over the texts with risk labels, and the learning rate at the start; it falls linearly to 0.
EPOCHS = 6
RATE = 3.0e-4
#: Labels of hard texts, which are used though the recipe does not name them.
EXTRA_SET = "risk_disagreements"
#: Sentences of a batch of the encoder.
_ROWS = 32
#: Word pieces of a batch of the heads.
_PIECES_A_BATCH = 1024
#: Figures of the dev split that must not fall in sum.
WATCHED = ("level.average_precision", "events.f1")

Log = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Read:
    """A row and the states of the encoder [tokens, hidden], in half precision."""

    row: EncodedExample
    states: Tensor


def tune_risk_heads(
    data: Path, work: Path, *, epochs: int = EPOCHS, rate: float = RATE, threads: int = 2, log: Log = print
) -> Checkpoint:
    """Trains the heads of the checkpoint in ``work`` further, and writes the checkpoint if the dev split gains.

    Teachers are left out: their readings have taught the heads before.

    Args:
        data: folder of the data sets.
        epochs: passes over the texts.
        rate: learning rate at the start.
        threads: CPU threads of torch.
        log: receives progress lines.

    Returns:
        The checkpoint, whose history names the figures before and after.

    Raises:
        BundleFolderError: ``work`` has no checkpoint.
    """
    torch.set_num_threads(threads)
    checkpoint = load_checkpoint(work)
    if checkpoint is None:
        raise BundleFolderError(f"no checkpoint in {work}: run `riskwire model train` with the same --work first")
    recipe = checkpoint.recipe
    torch.manual_seed(recipe.seed)
    model = prepared_model(recipe, work)
    weights = best_weights(checkpoint, work)
    model.restore(weights)
    tokenizer = load_tokenizer(work / TOKENIZER)
    splits = recipe_corpus(data, work, recipe.model_copy(update={"teacher": None}))
    dev = encode_examples(splits["dev"], tokenizer, recipe.training_length)
    is_extra = EXTRA_SET not in recipe.data and data_set_by_name(EXTRA_SET).is_in(data)
    extra_examples = training_corpus(data, [EXTRA_SET], recipe.seed)["train"] if is_extra else []
    rows = encode_examples([*splits["train"], *extra_examples], tokenizer, recipe.training_length)
    rows = [row for row in rows if _has_risk(row)]
    before = dev_figures(model, [row for row in dev if _has_risk(row)], torch.device("cpu"))
    log(f"reading {len(rows)} texts with risk labels")
    read = _read(model, rows)
    _train_heads(model, read, Labelling(recipe.smoothing, 0.0), recipe.heads, epochs, rate, recipe.seed, log)
    after = dev_figures(model, [row for row in dev if _has_risk(row)], torch.device("cpu"))
    change = ", ".join(f"{name} {before.get(name, 0.0):.3f} became {after.get(name, 0.0):.3f}" for name in WATCHED)
    log(f"dev: {change}")
    if sum(after.get(name, 0.0) - before.get(name, 0.0) for name in WATCHED) <= 0:
        log("the heads stay as they were")
        return checkpoint
    checkpoint.tuned_on = {EXTRA_SET: len(extra_examples)} if extra_examples else {}
    checkpoint.model = model.state_dict()
    checkpoint.best = None  # the weights are no longer those of the step that measured best
    checkpoint.history.append(f"heads of level and events trained for {epochs} more epochs: {change}")
    checkpoint.save(work)
    return checkpoint


def _has_risk(row: EncodedExample) -> bool:
    """Returns whether the level or the events of something are known."""
    return row.events is not None or any(target.level != IGNORED or target.events is not None for target in row.targets)


@torch.no_grad()
def _read(model: MultiHeadModel, rows: Sequence[EncodedExample]) -> list[_Read]:
    """Returns the rows with their states, in order of their length."""
    model.eval()
    ordered = sorted(rows, key=len)
    read: list[_Read] = []
    for start in range(0, len(ordered), _ROWS):
        chunk = ordered[start : start + _ROWS]
        batch = batch_tensors(chunk)
        states = model.states(batch.ids, batch.mask)
        read += [_Read(row, states[number, : len(row)].half()) for number, row in enumerate(chunk)]
    return read


def _train_heads(
    model: MultiHeadModel,
    read: Sequence[_Read],
    labelling: Labelling,
    weights: Mapping[str, float],
    epochs: int,
    rate: float,
    seed: int,
    log: Log,
) -> None:
    """Trains the parts of the model that only level and events use."""
    model.train()
    modules = (model.risk_token, model.risk_sentence, model.level, model.events)
    optimiser = torch.optim.AdamW([p for module in modules for p in module.parameters()], lr=rate)
    lengths = [len(encoded_text.row) for encoded_text in read]
    plans = [batches_of(lengths, budget=_PIECES_A_BATCH, seed=seed * 1000 + epoch) for epoch in range(epochs)]
    steps, step = sum(map(len, plans)), 0
    for epoch, plan in enumerate(plans):
        total = 0.0
        for numbers in plan:
            chosen = [read[number] for number in numbers]
            batch = batch_tensors([encoded_text.row for encoded_text in chosen], labelling=labelling)
            states = nn.utils.rnn.pad_sequence(
                [encoded_text.states.float() for encoded_text in chosen], batch_first=True
            )
            level, events = model.risk_of_states(states, batch.mask)
            logits = {
                "level": batch.pool @ level.reshape(-1, level.shape[-1]),
                "events": torch.cat([batch.pool @ events.reshape(-1, events.shape[-1]), events[:, 0]]),
            }
            loss = torch.zeros(())
            for head, values in logits.items():
                known = batch.labels[head]
                if not len(known.index):
                    continue
                picked = values[known.index]
                part = (
                    nn.functional.binary_cross_entropy_with_logits(picked, known.distribution, reduction="sum")
                    if head == "events"
                    else nn.functional.cross_entropy(picked, known.distribution, reduction="sum")
                )
                loss = loss + weights[head] * part / len(known.index)
            for group in optimiser.param_groups:
                group["lr"] = rate * (1.0 - step / steps)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            step += 1
            total += float(loss.detach())
        log(f"epoch {epoch + 1} of {epochs}: loss {total / max(1, len(plan)):.3f}")
    model.eval()
