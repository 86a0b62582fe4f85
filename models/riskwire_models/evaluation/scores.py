"""Scores of an ONNX file on the held-out splits of the training sets, and on sets that are never trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from tokenizers import Tokenizer

from riskwire_models.data.catalogue import NEVER_SEEN, data_set_by_name
from riskwire_models.data.corpus import unseen_corpus
from riskwire_models.data.encoding import EncodedExample, encode_examples, first_pieces, load_tokenizer, truncate
from riskwire_models.data.examples import Example
from riskwire_models.data.labels import ENTITY_TAGS, EVENT_TYPES, HEADS, IGNORED, TOKEN_HEADS
from riskwire_models.evaluation.calibration import (
    expected_calibration_error,
    fit_binary_temperature,
    fit_temperature,
    negative_log_likelihood,
)
from riskwire_models.evaluation.metrics import classification_scores, entity_scores, multi_label_scores
from riskwire_models.evaluation.onnx_runner import HeadLogits, OnnxRunner
from riskwire_models.export.default_bundle import MAX_LENGTH
from riskwire_models.export.manifest import BundleManifest

#: Sets whose tags were made by people. The entity score that the gate compares is over these.
GOLD_SETS = ("wikigold", "wnut", "btc", "crossner")
#: Entity types that a set does not tag: predictions of these types are ignored there.
UNTAGGED_TYPES = {"finer_ord": ("MISC",)}
#: Heads with one label a sentence or mention, whose logits are divided by a temperature.
CALIBRATED_HEADS = ("sentiment", "target_sentiment", "topics", "level")
#: Weight of the squared shifts in `fit_shift`, and the rows without which nothing is shifted.
SHIFT_PENALTY = 0.003
LEAST_ROWS_OF_A_SHIFT = 100

Truth = NDArray[np.int64]
Logits = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Predictions:
    """Examples with their encoded form and the logits of an ONNX file, row by row.

    Attributes:
        word_starts: positions of the first word piece of each word.
    """

    examples: Sequence[Example]
    rows: Sequence[EncodedExample]
    logits: Sequence[HeadLogits]
    word_starts: Sequence[Sequence[int]]

    def of_sources(self, sources: Sequence[str]) -> Predictions:
        """Returns the predictions for examples of these data sets."""
        return self._select([number for number, example in enumerate(self.examples) if example.source in sources])

    def of_mixed_sentiment(self) -> Predictions:
        """Returns the predictions for examples whose mentions differ in sentiment.

        On these the sentiment of the sentence does not answer the question.
        """
        return self._select(
            [
                number
                for number, row in enumerate(self.rows)
                if len({target.sentiment for target in row.targets} - {IGNORED}) > 1
            ]
        )

    def shifted(self, head: str, shift: NDArray[np.float64]) -> Predictions:
        """Returns the predictions with something added to the logits of each label of a head."""
        logits = [
            HeadLogits({**row.by_head, head: row[head] + shift.astype(np.float32)}) if head in row.by_head else row
            for row in self.logits
        ]
        return replace(self, logits=logits)

    def _select(self, numbers: Sequence[int]) -> Predictions:
        """Returns the predictions of the examples with these numbers."""
        return Predictions(
            [self.examples[number] for number in numbers],
            [self.rows[number] for number in numbers],
            [self.logits[number] for number in numbers],
            [self.word_starts[number] for number in numbers],
        )


#: Gives the predictions of examples.
Reader = Callable[[Sequence[Example]], Predictions]


def predict(runner: OnnxRunner, tokenizer: Tokenizer, examples: Sequence[Example]) -> Predictions:
    """Returns the logits of each example, truncated to `MAX_LENGTH` word pieces."""
    rows = encode_examples(examples, tokenizer, MAX_LENGTH)
    starts = [
        first_pieces(example.text, truncate(pieces.ids, pieces.offsets, MAX_LENGTH)[1])
        for example, pieces in zip(examples, tokenizer.encode_batch([item.text for item in examples]), strict=True)
    ]
    return Predictions(examples, rows, runner.predict([row.ids for row in rows]), starts)


def bundle_reader(folder: Path, manifest: BundleManifest, precision: str, threads: int) -> Reader:
    """Returns what gives the predictions of a bundle in a precision; with two models, the logits of both.

    The predictions have the word pieces of the first model, which finds names.
    """
    first = (
        OnnxRunner(folder / manifest.files[precision].path, threads),
        load_tokenizer(folder / manifest.tokenizer.path),
    )
    model = manifest.sentiment_model
    if model is None:
        return partial(predict, *first)
    second = OnnxRunner(folder / model.files[precision].path, threads), load_tokenizer(folder / model.tokenizer.path)

    def read(examples: Sequence[Example]) -> Predictions:
        names, sentiments = predict(*first, examples), predict(*second, examples)
        logits = [
            HeadLogits({**of_names.by_head, **of_sentence.by_head})
            for of_names, of_sentence in zip(names.logits, sentiments.logits, strict=True)
        ]
        return replace(names, logits=logits)

    return read


def logits_and_labels(predictions: Predictions, head: str) -> tuple[Logits, Truth]:
    """Returns logits [n, labels] and label indices [n] of a head, over all sentences or mentions with a known label.

    Works for all heads but entities and events, which have more than one label a sentence or mention. There are no rows
    if the graph does not have the head.
    """
    known_logits: list[NDArray[np.float32]] = []
    truth: list[int] = []
    for row, row_logits in zip(predictions.rows, predictions.logits, strict=True):
        if head not in row_logits.by_head:
            continue
        if head in TOKEN_HEADS:
            for target in row.targets:
                if (label := {"target_sentiment": target.sentiment, "level": target.level}[head]) != IGNORED:
                    known_logits.append(row_logits[head][list(target.positions)].mean(axis=0))
                    truth.append(label)
        elif (label := {"sentiment": row.sentiment, "topics": row.topic}[head]) != IGNORED:
            known_logits.append(row_logits[head])
            truth.append(label)
    table = np.array(known_logits, np.float64).reshape(len(known_logits), len(HEADS[head]))
    return table, np.array(truth, np.int64)


def event_logits_and_labels(
    predictions: Predictions, *, with_sentences: bool = True
) -> tuple[Logits, NDArray[np.bool_]]:
    """Returns the logits of the events [n, types] and which types are true [n, types].

    The rows are the mentions whose events are known, and the sentences of which the events that belong to no mention
    are known. There are no rows if the graph does not have the head.

    Args:
        with_sentences: whether the sentences are rows too.
    """
    logits: list[NDArray[np.float32]] = []
    truth: list[tuple[int, ...]] = []
    for row, row_logits in zip(predictions.rows, predictions.logits, strict=True):
        if "events" not in row_logits.by_head:
            continue
        for target in row.targets:
            if target.events is not None:
                logits.append(row_logits["events"][list(target.positions)].mean(axis=0))
                truth.append(target.events)
        if with_sentences and row.events is not None:
            logits.append(row_logits["events"][0])
            truth.append(row.events)
    expected = np.zeros((len(truth), len(EVENT_TYPES)), bool)
    for number, events in enumerate(truth):
        expected[number, list(events)] = True
    return np.array(logits, np.float64).reshape(expected.shape), expected


def word_tags(predictions: Predictions, untagged_types: Sequence[str] = ()) -> tuple[list[list[str]], list[list[str]]]:
    """Returns true and predicted entity tags (B-ORG, I-ORG, ..., O), one per word, by sentence.

    Sentences whose entities are unknown, and words whose tag is unknown, are left out.

    Args:
        untagged_types: entity types that the data set does not tag; predictions of such types count as O.
    """
    truth: list[list[str]] = []
    predicted: list[list[str]] = []
    for row, row_logits, starts in zip(predictions.rows, predictions.logits, predictions.word_starts, strict=True):
        if row.tags is None:
            continue
        best = row_logits["entities"].argmax(axis=1)
        positions = [position for position in starts if row.tags[position] != IGNORED]
        truth.append([ENTITY_TAGS[row.tags[position]] for position in positions])
        best_tags = [ENTITY_TAGS[best[position]] for position in positions]
        predicted.append(["O" if tag.partition("-")[2] in untagged_types else tag for tag in best_tags])
    return truth, predicted


def _label_scores(predictions: Predictions, head: str) -> dict[str, float]:
    logits, truth = logits_and_labels(predictions, head)
    return classification_scores(truth.tolist(), logits.argmax(axis=1).tolist())


def _event_scores(predictions: Predictions, least_logit: float, *, with_sentences: bool) -> dict[str, float]:
    logits, truth = event_logits_and_labels(predictions, with_sentences=with_sentences)
    return multi_label_scores(truth, logits >= least_logit)


def held_out_scores(predictions: Predictions, *, event_logit: float = 0.0) -> dict[str, Any]:
    """Returns scores by head and data set, on held-out examples.

    Args:
        event_logit: the logit from which an event is named (`risk.event_logit`).
    """
    targets = {source: predictions.of_sources([source]) for source in ("sentfin", "finentity")}
    return {
        "sentiment": {
            "all": _label_scores(predictions, "sentiment"),
            **{
                source: _label_scores(predictions.of_sources([source]), "sentiment")
                for source in ("tfns", "sentfin", "finentity")
            },
        },
        "target_sentiment": {
            "all": _label_scores(predictions, "target_sentiment"),
            **{source: _label_scores(subset, "target_sentiment") for source, subset in targets.items()},
            "mixed sentences": _label_scores(predictions.of_mixed_sentiment(), "target_sentiment"),
        },
        "entities": {
            "all gold": entity_scores(*word_tags(predictions.of_sources(GOLD_SETS))),
            **{source: entity_scores(*word_tags(predictions.of_sources([source]))) for source in (*GOLD_SETS, "gmb")},
        },
        "topics": {"all": _label_scores(predictions, "topics")},
        "level": {"all": _label_scores(predictions, "level")},
        "events": {
            "all": _event_scores(predictions, event_logit, with_sentences=True),
            "mentions": _event_scores(predictions, event_logit, with_sentences=False),
        },
    }


def never_seen_scores(read: Reader, data: Path) -> dict[str, Any]:
    """Returns scores on the sets that are never trained on. Skips sets whose files are missing.

    Args:
        read: gives the predictions of examples.
        data: folder of the data sets.
    """
    scores: dict[str, Any] = {}
    for name in NEVER_SEEN:
        if not data_set_by_name(name).is_in(data):
            continue
        predictions = read(unseen_corpus(data, name))
        if any(row.sentiment != IGNORED for row in predictions.rows):
            scores[name] = _label_scores(predictions, "sentiment")
        else:
            scores[name] = entity_scores(*word_tags(predictions, UNTAGGED_TYPES.get(name, ())))
    return scores


def gate_scores(scores: Mapping[str, Any]) -> dict[str, float]:
    """Returns the score of each head that the gate compares, as a fraction. Skips heads that were not measured."""
    return {
        head: scores[head][name][metric]
        for head, name, metric in (
            ("sentiment", "all", "accuracy"),
            ("target_sentiment", "all", "accuracy"),
            ("entities", "all gold", "f1"),
            ("topics", "all", "accuracy"),
            ("level", "all", "accuracy"),
            ("events", "all", "f1"),
        )
        if scores[head][name]["n"]
    }


def fit_temperatures(dev: Predictions) -> dict[str, float]:
    """Returns the temperature of each calibrated head, fitted on the dev split."""
    temperatures = {head: fit_temperature(*logits_and_labels(dev, head)) for head in CALIBRATED_HEADS}
    return {**temperatures, "events": fit_binary_temperature(*event_logits_and_labels(dev))}


def fit_shift(logits: NDArray[np.float64], truth: NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns what to add to the logits of each label, so that no label is said too often or too seldom.

    Fitted with a temperature for the least negative log-likelihood plus `SHIFT_PENALTY` times the squared shifts. The
    penalty keeps the shift of a label without rows finite. A temperature alone cannot move probability from one label
    to another.

    Source: bias-corrected temperature scaling; Alexandari, Kundaje, Shrikumar (2020), Maximum Likelihood with
    Bias-Corrected Calibration is Hard-To-Beat at Label Shift Adaptation.
    """
    labels = logits.shape[1]
    if len(truth) < LEAST_ROWS_OF_A_SHIFT:
        return np.zeros(labels)

    def loss(parameters: NDArray[np.float64]) -> float:
        temperature, shift = float(np.exp(parameters[0])), parameters[1:]
        return negative_log_likelihood(logits / temperature + shift, truth, 1.0) + SHIFT_PENALTY * float(shift @ shift)

    fitted = minimize(loss, np.zeros(1 + labels)).x
    shift: NDArray[np.float64] = fitted[1:] * np.exp(fitted[0])
    return shift - shift.mean()


def calibration_errors(predictions: Predictions, temperatures: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Returns calibration error and negative log-likelihood by head, with and without its temperature."""
    errors: dict[str, dict[str, float]] = {}
    for head in CALIBRATED_HEADS:
        logits, truth = logits_and_labels(predictions, head)
        fitted = temperatures[head]
        errors[head] = {
            "raw": round(expected_calibration_error(logits, truth, 1.0), 4),
            "calibrated": round(expected_calibration_error(logits, truth, fitted), 4),
            "nll_raw": round(negative_log_likelihood(logits, truth, 1.0), 4),
            "nll_calibrated": round(negative_log_likelihood(logits, truth, fitted), 4),
        }
    return errors
