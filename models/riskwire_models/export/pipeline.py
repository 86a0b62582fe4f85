"""From a checkpoint to a bundle: graphs, figures, gate, description. A bundle that fails the gate is not written."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from riskwire_models.data.catalogue import data_set
from riskwire_models.data.corpus import training_corpus
from riskwire_models.data.encode import encode, load_tokenizer
from riskwire_models.data.examples import Example
from riskwire_models.errors import BundleError
from riskwire_models.evaluation.evaluate import (
    calibration_errors,
    fit_temperatures,
    headline,
    never_seen_report,
    read_all,
    report,
)
from riskwire_models.export.bundle import Bundle, read_bundle, write_bundle
from riskwire_models.export.card import write_card
from riskwire_models.export.describe import MAX_LENGTH, PRECISIONS, TOKENIZER, describe, training_entry, write_tokenizer
from riskwire_models.export.gate import LIMIT, check_invariance, check_losses
from riskwire_models.export.graph import write_fp16, write_fp32, write_fused
from riskwire_models.export.quantise import write_int8
from riskwire_models.training.checkpoint import Checkpoint, load_checkpoint
from riskwire_models.training.model import base_folder, fresh_model
from riskwire_models.training.runner import Runner, invariance

Say = Callable[[str], None]
COMMAND = "riskwire model build --data DIR --work DIR --out DIR"
#: Sentences whose readings are compared, bit for bit, in batches of several sizes.
INVARIANCE_ROWS = 240


@dataclass(frozen=True, slots=True)
class Graphs:
    """Where the graphs lie; fp32 never leaves the work folder."""

    fp32: Path
    int8: Path
    fp16: Path


def write_graphs(saved: Checkpoint, staging: Path) -> Graphs:
    """The checkpoint's model in three precisions, and its tokenizer, in a fresh folder."""
    base = base_folder()
    model = fresh_model(base)
    model.restore(saved.model)
    shutil.rmtree(staging, ignore_errors=True)
    bundle = staging / "bundle"
    bundle.mkdir(parents=True)
    traced = write_fp32(model, staging / "traced.onnx")
    config = model.encoder.config
    fp32 = write_fused(traced, staging / "fp32.onnx", config, whole_attention=True)
    open_attention = write_fused(traced, staging / "open.onnx", config, whole_attention=False)
    write_tokenizer(base / TOKENIZER, bundle)
    return Graphs(
        fp32,
        write_int8(open_attention, bundle / PRECISIONS["int8"][0]),
        write_fp16(fp32, bundle / PRECISIONS["fp16"][0]),
    )


def _measure(
    graphs: Graphs, tokenizer: Tokenizer, data: Path, dev: list[Example], test: list[Example], threads: int, say: Say
) -> tuple[dict[str, Any], dict[str, float]]:
    """All figures by precision, and the temperatures."""
    scores: dict[str, Any] = {"invariance": {}}
    temperatures: dict[str, float] = {}
    rows = [row.ids for row in encode(test[:: max(1, len(test) // INVARIANCE_ROWS)], tokenizer, MAX_LENGTH)]
    for precision, path in (("fp32", graphs.fp32), ("int8", graphs.int8), ("fp16", graphs.fp16)):
        say(f"measuring {precision}")
        runner = Runner(path, threads)
        read = read_all(runner, tokenizer, test)
        if precision == "fp32":
            temperatures = fit_temperatures(read_all(runner, tokenizer, dev))
        if precision == "int8":
            scores["calibration"] = calibration_errors(read, temperatures)
        scores[precision] = {"held_out": report(read), "never_seen": never_seen_report(runner, tokenizer, data)}
        if precision in PRECISIONS:
            differing, compared = invariance(runner, rows)
            scores["invariance"][precision] = {"differing": differing, "compared": compared}
    return scores, temperatures


def _gate(scores: dict[str, Any], say: Say) -> None:
    figures = {name: headline(scores[name]["held_out"]) for name in ("fp32", *PRECISIONS)}
    reference = figures.pop("fp32")
    for precision, one in scores["invariance"].items():
        check_invariance(precision, one["differing"], one["compared"])
    for loss in check_losses(reference, figures):
        lost = f"{loss.points:+.2f} points below fp32 (limit {LIMIT:.2f})"
        say(f"gate: {loss.precision} {loss.head} {loss.figure:.4f}, {lost}")


def export(data: Path, work: Path, out: Path, *, threads: int = 2, say: Say = print) -> Bundle:
    """Writes the bundle of the checkpoint in ``work`` to ``out``.

    Raises `GateError`, and leaves ``out`` alone, when a precision loses too much or depends on the batch.
    """
    saved = load_checkpoint(work)
    if saved is None:
        raise BundleError(f"no checkpoint in {work}: run `riskwire model train` with the same --work first")
    recipe = saved.recipe
    notes = [f"{saved.step} of {recipe.steps} steps, {saved.seconds:.0f} s of training on the CPU", *saved.history]
    if saved.step < recipe.steps:
        notes.append("unfinished: a development bundle, not for use")
    staging = work / "export"
    graphs = write_graphs(saved, staging)
    folder = graphs.int8.parent
    tokenizer = load_tokenizer(folder / TOKENIZER)
    splits = training_corpus(data, recipe.data_sets, recipe.seed)
    scores, temperatures = _measure(graphs, tokenizer, data, splits["dev"], splits["test"], threads, say)
    _gate(scores, say)
    # The statements written by rule carry the names of the SEC's table.
    rows = Counter("sec" if example.source == "statements" else example.source for example in splits["train"])
    bundle = describe(
        folder,
        temperatures=temperatures,
        training=[training_entry(data_set(name), rows[name]) for name in recipe.data_sets],
        scores=scores,
        seed=recipe.seed,
        command=COMMAND,
        notes=notes,
    )
    write_bundle(folder, bundle)
    write_card(folder, bundle)
    out.mkdir(parents=True, exist_ok=True)
    for file in sorted(folder.iterdir()):
        shutil.copyfile(file, out / file.name)
    shutil.rmtree(staging)
    return read_bundle(out)
