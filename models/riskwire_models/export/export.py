"""Exports a checkpoint to a bundle: graphs, scores, quality gate, manifest, card (``riskwire model export``)."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from riskwire_models.data.catalogue import data_set_by_name
from riskwire_models.data.corpus import training_corpus
from riskwire_models.data.encoding import encode_examples, load_tokenizer
from riskwire_models.data.examples import Example
from riskwire_models.errors import BundleFolderError
from riskwire_models.evaluation.onnx_runner import OnnxRunner, count_batch_differences
from riskwire_models.evaluation.scores import (
    calibration_errors,
    fit_temperatures,
    gate_scores,
    held_out_scores,
    never_seen_scores,
    predict,
)
from riskwire_models.export.card import write_card
from riskwire_models.export.default_bundle import (
    MAX_LENGTH,
    PRECISIONS,
    TOKENIZER,
    describe_bundle,
    training_set_entry,
    write_tokenizer,
)
from riskwire_models.export.gate import MAX_LOSS_POINTS, check_batch_differences, check_head_losses
from riskwire_models.export.manifest import BundleManifest, read_manifest, write_manifest
from riskwire_models.export.onnx_graphs import write_fp16, write_fp32, write_fused
from riskwire_models.export.quantisation import write_int8
from riskwire_models.training.checkpoint import Checkpoint, load_checkpoint
from riskwire_models.training.model import base_model_folder, untrained_model

#: Receives a line about the progress of the export.
Log = Callable[[str], None]
COMMAND = "riskwire model build --data DIR --work DIR --out DIR"
#: Number of sentences whose logits are compared bit by bit, alone and in batches of several sizes.
COMPARED_ROWS = 240


@dataclass(frozen=True, slots=True)
class GraphFiles:
    """Paths of the exported graphs. fp32 is only measured, and never becomes part of the bundle."""

    fp32: Path
    int8: Path
    fp16: Path


def write_graphs(checkpoint: Checkpoint, staging: Path) -> GraphFiles:
    """Writes the model in three precisions, and its tokenizer, to ``staging``, whose earlier content is deleted."""
    base_model = base_model_folder()
    model = untrained_model(base_model)
    model.restore(checkpoint.model)
    shutil.rmtree(staging, ignore_errors=True)
    bundle_folder = staging / "bundle"
    bundle_folder.mkdir(parents=True)
    traced = write_fp32(model, staging / "traced.onnx")
    config = model.encoder.config
    fp32 = write_fused(traced, staging / "fp32.onnx", config, whole_attention=True)
    unfused_projections = write_fused(traced, staging / "unfused_projections.onnx", config, whole_attention=False)
    write_tokenizer(base_model / TOKENIZER, bundle_folder)
    return GraphFiles(
        fp32,
        write_int8(unfused_projections, bundle_folder / PRECISIONS["int8"][0]),
        write_fp16(fp32, bundle_folder / PRECISIONS["fp16"][0]),
    )


def _measure(
    graphs: GraphFiles,
    tokenizer: Tokenizer,
    data: Path,
    dev: list[Example],
    test: list[Example],
    threads: int,
    log: Log,
) -> tuple[dict[str, Any], dict[str, float]]:
    """Measures the exported graphs. Returns the scores by precision, and the temperatures of the calibrated heads.

    Args:
        data: the folder of the data sets that are never trained on.
        dev: examples for the choice of temperatures.
        test: held-out examples for the scores.
    """
    scores: dict[str, Any] = {"invariance": {}}
    temperatures: dict[str, float] = {}
    rows = [row.ids for row in encode_examples(test[:: max(1, len(test) // COMPARED_ROWS)], tokenizer, MAX_LENGTH)]
    for precision, path in (("fp32", graphs.fp32), ("int8", graphs.int8), ("fp16", graphs.fp16)):
        log(f"measuring {precision}")
        runner = OnnxRunner(path, threads)
        predictions = predict(runner, tokenizer, test)
        if precision == "fp32":
            temperatures = fit_temperatures(predict(runner, tokenizer, dev))
        if precision == "int8":
            scores["calibration"] = calibration_errors(predictions, temperatures)
        scores[precision] = {
            "held_out": held_out_scores(predictions),
            "never_seen": never_seen_scores(runner, tokenizer, data),
        }
        if precision in PRECISIONS:
            differing, compared = count_batch_differences(runner, rows)
            scores["invariance"][precision] = {"differing": differing, "compared": compared}
    return scores, temperatures


def _check_gate(scores: dict[str, Any], log: Log) -> None:
    """Checks that the quantised models score nearly as well as fp32, and logs the loss of each head.

    Raises:
        GateError: a loss is above its limit, or the logits of a sentence depend on its batch.
    """
    scores_by_precision = {name: gate_scores(scores[name]["held_out"]) for name in ("fp32", *PRECISIONS)}
    reference = scores_by_precision.pop("fp32")
    for precision, counts in scores["invariance"].items():
        check_batch_differences(precision, counts["differing"], counts["compared"])
    for loss in check_head_losses(reference, scores_by_precision):
        points = f"{loss.points:+.2f} points below fp32 (limit {MAX_LOSS_POINTS:.2f})"
        log(f"gate: {loss.precision} {loss.head} {loss.score:.4f}, {points}")


def export(data: Path, work: Path, out: Path, *, threads: int = 2, log: Log = print) -> BundleManifest:
    """Writes the bundle of the checkpoint in ``work`` to ``out``, and returns its manifest.

    Args:
        data: folder of the data sets.
        work: folder of the checkpoint.
        out: folder of the bundle.
        threads: CPU threads of onnxruntime.
        log: receives progress lines.

    Raises:
        BundleFolderError: ``work`` has no checkpoint.
        GateError: a precision loses too much accuracy, or its results depend on the batch; ``out`` is not changed.
    """
    checkpoint = load_checkpoint(work)
    if checkpoint is None:
        raise BundleFolderError(f"no checkpoint in {work}: run `riskwire model train` with the same --work first")
    recipe = checkpoint.recipe
    notes = [
        f"{checkpoint.step} of {recipe.steps} steps, {checkpoint.seconds:.0f} s of training on the CPU",
        *checkpoint.history,
    ]
    if checkpoint.step < recipe.steps:
        notes.append("unfinished: a development bundle, not for use")
    staging = work / "export"
    graphs = write_graphs(checkpoint, staging)
    folder = graphs.int8.parent
    tokenizer = load_tokenizer(folder / TOKENIZER)
    splits = training_corpus(data, recipe.data_sets, recipe.seed)
    scores, temperatures = _measure(graphs, tokenizer, data, splits["dev"], splits["test"], threads, log)
    _check_gate(scores, log)
    # The generated statements count as rows of the SEC's table, whose names they use.
    rows = Counter("sec" if example.source == "statements" else example.source for example in splits["train"])
    manifest = describe_bundle(
        folder,
        temperatures=temperatures,
        training=[training_set_entry(data_set_by_name(name), rows[name]) for name in recipe.data_sets],
        scores=scores,
        seed=recipe.seed,
        command=COMMAND,
        notes=notes,
    )
    write_manifest(folder, manifest)
    write_card(folder, manifest)
    out.mkdir(parents=True, exist_ok=True)
    for file in sorted(folder.iterdir()):
        shutil.copyfile(file, out / file.name)
    shutil.rmtree(staging)
    return read_manifest(out)
