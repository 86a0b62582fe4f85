"""The answers of a bundle row by row, so that two bundles can be compared on the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from seqeval.metrics.sequence_labeling import get_entities

from riskwire_models.data.catalogue import DEFAULT_TRAINING, NEVER_SEEN, data_set_by_name
from riskwire_models.data.corpus import training_corpus, unseen_corpus
from riskwire_models.data.examples import Example
from riskwire_models.evaluation.calibration import sigmoid
from riskwire_models.evaluation.risk import thresholds_of
from riskwire_models.evaluation.scores import (
    UNTAGGED_TYPES,
    Predictions,
    bundle_reader,
    event_logits_and_labels,
    logits_and_labels,
    word_tags,
)
from riskwire_models.export.manifest import read_manifest

#: True positives, false positives and false negatives of each row [rows, 3]. Where a row has exactly one label, a wrong
#: answer counts as one of each, so that the F1 of the counts is the accuracy.
Counts = NDArray[np.int64]


def f1_of(counts: Counts) -> float:
    """Returns the micro-F1 of rows; 1.0 if nothing was to be found and nothing was said."""
    true_positives, false_positives, false_negatives = counts.sum(axis=0)
    total = 2 * true_positives + false_positives + false_negatives
    return float(2 * true_positives / total) if total else 1.0


def comparison_examples(data: Path) -> dict[str, list[Example]]:
    """Returns the held-out examples of each training set, and those of sets that are never trained on, by set.

    Sets whose files are missing are left out.
    """
    by_set: dict[str, list[Example]] = {}
    for example in training_corpus(data, DEFAULT_TRAINING, seed=17)["test"]:
        by_set.setdefault(example.source, []).append(example)
    for name in NEVER_SEEN:
        if data_set_by_name(name).is_in(data):
            by_set[name] = unseen_corpus(data, name)
    return by_set


def bundle_counts(folder: Path, examples: Mapping[str, list[Example]], threads: int) -> dict[str, Counts]:
    """Returns the counts of a bundle by slice, ``HEAD, SET``. A head that the bundle does not have is left out.

    Runs the int8 file, or the only file.

    Raises:
        BundleFolderError: the bundle cannot be read.
    """
    manifest = read_manifest(folder)
    precision = next(name for name, entry in manifest.files.items() if entry == manifest.cpu_file)
    read = bundle_reader(folder, manifest, precision, threads)
    counts: dict[str, Counts] = {}
    for name, rows in examples.items():
        predictions = read(rows)
        for head in ("sentiment", "target_sentiment", "topics", "level"):
            if head in manifest.heads:
                logits, truth = logits_and_labels(predictions, head)
                if len(truth):
                    right = (logits.argmax(axis=1) == truth).astype(np.int64)
                    counts[f"{head}, {name}"] = np.stack([right, 1 - right, 1 - right], axis=1)
        if "events" in manifest.heads:
            event_logits, expected = event_logits_and_labels(predictions)
            if expected.any():
                temperature = manifest.heads["events"].temperature or 1.0
                predicted = sigmoid(event_logits, temperature) >= thresholds_of(manifest).events
                counts[f"events, {name}"] = np.stack(
                    [(predicted & expected).sum(1), (predicted & ~expected).sum(1), (~predicted & expected).sum(1)],
                    axis=1,
                )
        if (tags := _entity_counts(predictions, name)) is not None:
            counts[f"entities, {name}"] = tags
    return counts


def _entity_counts(predictions: Predictions, name: str) -> Counts | None:
    """Returns the counts of whole entities by sentence, or None if no entities are known."""
    truth, predicted = word_tags(predictions, UNTAGGED_TYPES.get(name, ()))
    if not truth:
        return None
    rows = []
    for true_tags, said_tags in zip(truth, predicted, strict=True):
        expected, predicted_spans = set(get_entities(true_tags)), set(get_entities(said_tags))
        rows.append((len(expected & predicted_spans), len(predicted_spans - expected), len(expected - predicted_spans)))
    return np.array(rows, np.int64)
