"""Measures the ONNX files of a finished bundle, without torch (``riskwire model evaluate``)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from riskwire_models.data.catalogue import DEFAULT_TRAINING, data_set_by_name
from riskwire_models.data.corpus import training_corpus
from riskwire_models.data.examples import Example
from riskwire_models.data.labels import HEADS
from riskwire_models.data.statements import company_names
from riskwire_models.evaluation.calibration import softmax
from riskwire_models.evaluation.engine_reading import read_labelled
from riskwire_models.evaluation.fairness import measure_fairness
from riskwire_models.evaluation.report.curves import LabelReadings
from riskwire_models.evaluation.report.findings import BundleEvaluation, RiskFindings, ScoreRow
from riskwire_models.evaluation.risk import event_logit, risk_estimates, thresholds_of
from riskwire_models.evaluation.robustness import (
    measure_cases,
    measure_pairs,
    measure_robustness,
    read_cases,
    read_pairs,
)
from riskwire_models.evaluation.scores import (
    Predictions,
    bundle_reader,
    held_out_scores,
    logits_and_labels,
    never_seen_scores,
)
from riskwire_models.export.manifest import BundleManifest, read_manifest

#: Heads whose answers the report shows label by label. The level is read by the engine of the services instead.
SHOWN_HEADS = ("sentiment", "target_sentiment", "topics")

Log = Callable[[str], None]


def evaluate_bundle(
    folder: Path, data: Path, *, cases: Path | None = None, threads: int = 2, log: Log = print
) -> BundleEvaluation:
    """Returns the scores on held-out splits and on sets that are never trained on, and what the engine makes of risk.

    The open test set is not read: only ``riskwire model look`` does that.

    Args:
        data: folder of the data sets.
        cases: folder of cases from the field, or None.
        log: receives progress lines.
    """
    manifest = read_manifest(folder)
    test = training_corpus(data, DEFAULT_TRAINING, manifest.seed)["test"]
    events = manifest.heads.get("events")
    least_logit = event_logit(thresholds_of(manifest).events, events.temperature if events else None)
    rows: list[ScoreRow] = []
    labels: dict[str, tuple[LabelReadings, ...]] = {}
    for precision, entry in manifest.files.items():
        if not (folder / entry.path).is_file():
            log(f"{precision} is not measured, because its file was not derived")
            continue
        log(f"measuring {precision} on {len(test)} held-out texts and on the sets that are never trained on")
        read = bundle_reader(folder, manifest, precision, threads)
        predictions = read(test)
        labels[precision] = _label_readings(predictions, manifest)
        held_out_rows = held_out_scores(predictions, event_logit=least_logit)
        measured = {**held_out_rows, "never seen": never_seen_scores(read, data)}
        for head, scores_by_set in measured.items():
            for name, scores in scores_by_set.items():
                if scores["n"]:
                    text = " ".join(f"{key}={value:.4f}" for key, value in scores.items() if key != "n")
                    rows.append(ScoreRow(precision, head, name, scores["n"], text))
    shown = "int8" if "int8" in labels else next(iter(labels))
    held_out = [example for example in test if example.source == "risk"]
    risk = evaluate_risk(folder, manifest, held_out, data, cases, threads, log) if "level" in manifest.heads else None
    return BundleEvaluation(manifest, tuple(rows), labels[shown], shown, risk)


def evaluate_risk(
    folder: Path,
    manifest: BundleManifest,
    examples: list[Example],
    data: Path,
    cases: Path | None,
    threads: int,
    log: Log,
) -> RiskFindings:
    """Returns what the engine of the services makes of held-out texts with risk labels, of pairs, cases and templates.

    Args:
        examples: held-out texts with risk labels.
        data: folder of the data sets, which has the company names for the name swap.
        cases: folder of cases from the field, or None.
    """
    thresholds = thresholds_of(manifest)
    log(f"reading {len(examples)} held-out texts with the engine")
    readings = read_labelled(folder, examples, threads)
    spans_given, end_to_end = (risk_estimates(reading, thresholds) for reading in (readings.given, readings.end_to_end))
    log("measuring robustness, pairs and fairness")
    names = company_names(data / data_set_by_name("sec").files[0])
    return RiskFindings(
        thresholds.adverse,
        thresholds.events if "events" in manifest.heads else None,
        readings,
        spans_given,
        end_to_end,
        tuple(measure_robustness(folder, examples, names, thresholds.adverse, threads)),
        tuple(measure_pairs(folder, read_pairs(), threads)),
        tuple(measure_cases(folder, read_cases(cases), threads)) if cases else (),
        tuple(measure_fairness(folder, thresholds.adverse, threads)),
    )


def _label_readings(predictions: Predictions, manifest: BundleManifest) -> tuple[LabelReadings, ...]:
    """Returns the calibrated answers of `SHOWN_HEADS`; a head without labelled rows is left out."""
    readings: list[LabelReadings] = []
    for head in SHOWN_HEADS:
        logits, truth = logits_and_labels(predictions, head)
        if len(truth):
            probabilities = softmax(logits, manifest.heads[head].temperature or 1.0)
            readings.append(LabelReadings(head, HEADS[head], probabilities, truth))
    return tuple(readings)
