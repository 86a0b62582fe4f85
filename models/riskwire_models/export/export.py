"""Exports a checkpoint to a bundle: graphs, scores, quality gate, manifest, card (``riskwire model export``)."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from riskwire_models.data.catalogue import data_set_by_name
from riskwire_models.data.encoding import encode_examples, load_tokenizer
from riskwire_models.data.examples import Example
from riskwire_models.data.labels import LEVELS
from riskwire_models.errors import BundleFolderError
from riskwire_models.evaluation.onnx_runner import OnnxRunner, count_batch_differences
from riskwire_models.evaluation.risk import (
    RiskThresholds,
    choose_thresholds,
    event_logit,
    risk_estimates,
    risk_readings,
    risk_scores,
)
from riskwire_models.evaluation.scores import (
    Predictions,
    calibration_errors,
    fit_shift,
    fit_temperatures,
    gate_scores,
    held_out_scores,
    logits_and_labels,
    never_seen_scores,
    predict,
)
from riskwire_models.export.card import write_card
from riskwire_models.export.default_bundle import (
    MAX_LENGTH,
    PRECISIONS,
    SKELETON,
    TOKENIZER,
    describe_bundle,
    training_set_entry,
    write_tokenizer,
)
from riskwire_models.export.derive import fill_skeleton, write_skeleton
from riskwire_models.export.gate import MAX_LOSS_POINTS, check_batch_differences, check_head_losses
from riskwire_models.export.manifest import BundleManifest, read_manifest, sha256_of, write_manifest
from riskwire_models.export.onnx_graphs import write_fp16, write_fp32, write_fused
from riskwire_models.export.quantisation import write_int8
from riskwire_models.export.weights import shift_bias
from riskwire_models.training.base import BASE_MODELS
from riskwire_models.training.checkpoint import Checkpoint, best_weights, load_checkpoint
from riskwire_models.training.lora import merge_lora
from riskwire_models.training.train import prepared_model, recipe_corpus

#: Receives a line about the progress of the export.
Log = Callable[[str], None]
COMMAND = "riskwire model build {recipe} --data DIR --work DIR --out DIR"
#: Number of sentences whose logits are compared bit by bit, alone and in batches of several sizes.
COMPARED_ROWS = 240


@dataclass(frozen=True, slots=True)
class GraphFiles:
    """Paths of the exported graphs. Only int8 becomes part of the bundle."""

    fp32: Path
    int8: Path
    fp16: Path


def write_float_graph(checkpoint: Checkpoint, work: Path, staging: Path) -> tuple[Path, dict[str, Any]]:
    """Writes the fp32 graph, and the tokenizer of the bundle, to ``staging``, whose earlier content is deleted.

    Args:
        checkpoint: the run, as `load_checkpoint` returns it from the folder ``work``.

    Returns:
        The path of the graph, and the configuration of the encoder.
    """
    model = prepared_model(checkpoint.recipe, work)
    model.restore(best_weights(checkpoint, work))
    if checkpoint.recipe.lora is not None:
        merge_lora(model)
    shutil.rmtree(staging, ignore_errors=True)
    bundle_folder = staging / "bundle"
    bundle_folder.mkdir(parents=True)
    traced = write_fp32(model, staging / "traced.onnx")
    config = model.encoder.config
    fp32 = write_fused(traced, staging / "fp32.onnx", config)
    write_tokenizer(work / TOKENIZER, bundle_folder)
    return fp32, config.to_dict()


def write_precisions(fp32: Path, staging: Path) -> GraphFiles:
    """Writes the fp32 graph in int8 and fp16. fp16 is derived from int8, as it is where the bundle is used."""
    folder = staging / "bundle"
    int8 = write_int8(fp32, folder / PRECISIONS["int8"][0])
    half = write_fp16(fp32, staging / "fp16.onnx")
    skeleton = write_skeleton(half, int8, folder / SKELETON)
    return GraphFiles(fp32, int8, fill_skeleton(skeleton, int8, staging / PRECISIONS["fp16"][0]))


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of the exported graphs.

    Attributes:
        scores: scores by precision.
        temperatures: temperature by calibrated head, fitted on the dev split.
        thresholds: threshold by head, chosen on the dev split.
    """

    scores: dict[str, Any]
    temperatures: dict[str, float]
    thresholds: RiskThresholds


def _measure(
    graphs: GraphFiles,
    tokenizer: Tokenizer,
    data: Path,
    on_dev: Predictions,
    test: list[Example],
    threads: int,
    log: Log,
) -> Measured:
    """Measures the exported graphs.

    Args:
        data: the folder of the data sets that are never trained on.
        on_dev: predictions of fp32 for the choice of temperatures and thresholds.
        test: held-out examples for the scores.
    """
    scores: dict[str, Any] = {"invariance": {}}
    rows = [row.ids for row in encode_examples(test[:: max(1, len(test) // COMPARED_ROWS)], tokenizer, MAX_LENGTH)]
    temperatures = fit_temperatures(on_dev)
    thresholds = choose_thresholds(risk_readings(on_dev, temperatures))
    least_logit = event_logit(thresholds.events, temperatures["events"])
    for precision, path in (("fp32", graphs.fp32), ("int8", graphs.int8), ("fp16", graphs.fp16)):
        log(f"measuring {precision}")
        runner = OnnxRunner(path, threads)
        predictions = predict(runner, tokenizer, test)
        if precision == "int8":
            scores["calibration"] = calibration_errors(predictions, temperatures)
            readings = risk_readings(predictions, temperatures)
            scores["risk"] = {
                name: [estimate.value, estimate.low, estimate.high]
                for name, estimate in risk_estimates(readings, thresholds).items()
            }
        scores[precision] = {
            "held_out": held_out_scores(predictions, event_logit=least_logit)
            | {"risk": {"all": risk_scores(risk_readings(predictions, temperatures), thresholds)}},
            "never_seen": never_seen_scores(partial(predict, runner, tokenizer), data),
        }
        if precision in PRECISIONS:
            differing, compared = count_batch_differences(runner, rows)
            scores["invariance"][precision] = {"differing": differing, "compared": compared}
    return Measured(scores, temperatures, thresholds)


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
    place = "a GPU" if checkpoint.device == "cuda" else "the CPU"
    notes = [
        f"{checkpoint.step} of {recipe.steps} steps, {checkpoint.seconds:.0f} s of training on {place}",
        *checkpoint.history,
    ]
    if recipe.early_stopping is not None and checkpoint.best is not None:
        notes.append(f"weights of step {checkpoint.best_step}, at which {recipe.early_stopping.figure} was highest")
    if not checkpoint.is_finished:
        notes.append("unfinished: a development bundle, not for use")
    staging = work / "export"
    fp32, encoder = write_float_graph(checkpoint, work, staging)
    folder = staging / "bundle"
    tokenizer = load_tokenizer(folder / TOKENIZER)
    splits = recipe_corpus(data, work, recipe)
    log("choosing temperatures and thresholds")
    on_dev = predict(OnnxRunner(fp32, threads), tokenizer, splits["dev"])
    shift = fit_shift(*logits_and_labels(on_dev, "level"))
    shift_bias(fp32, "level.bias", shift)
    notes.append("level, shifted on dev: " + ", ".join(map("{} {:+.2f}".format, LEVELS, shift)))
    graphs = write_precisions(fp32, staging)
    measured = _measure(graphs, tokenizer, data, on_dev.shifted("level", shift), splits["test"], threads, log)
    _check_gate(measured.scores, log)
    # The generated statements count as rows of the SEC's table, whose names they use.
    rows = Counter("sec" if example.source == "statements" else example.source for example in splits["train"])
    manifest = describe_bundle(
        folder,
        fp16_sha256=sha256_of(graphs.fp16),
        name=recipe.bundle,
        base=BASE_MODELS[recipe.base],
        encoder=encoder,
        temperatures=measured.temperatures,
        thresholds={"level": measured.thresholds.adverse, "events": measured.thresholds.events},
        training=[
            *(training_set_entry(data_set_by_name(name), rows[name]) for name in recipe.data),
            *(training_set_entry(data_set_by_name(name), count) for name, count in checkpoint.tuned_on.items()),
        ],
        scores=measured.scores,
        seed=recipe.seed,
        command=COMMAND.format(recipe=recipe.name),
        notes=notes,
    )
    write_manifest(folder, manifest)
    write_card(folder, manifest)
    out.mkdir(parents=True, exist_ok=True)
    for file in sorted(folder.iterdir()):
        shutil.copyfile(file, out / file.name)
    shutil.rmtree(staging)
    return read_manifest(out)
