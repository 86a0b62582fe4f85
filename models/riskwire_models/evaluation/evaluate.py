"""What a precision scores: on the held-out splits of the training sets, and on sets never seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from riskwire_models.data.catalogue import NEVER_SEEN, data_set
from riskwire_models.data.corpus import unseen_corpus
from riskwire_models.data.encode import Encoded, cut, encode, first_pieces
from riskwire_models.data.examples import Example
from riskwire_models.data.labels import ENTITY_TAGS, IGNORED, SENTIMENTS, TOPICS
from riskwire_models.evaluation.metrics import classification, entities
from riskwire_models.export.describe import MAX_LENGTH
from riskwire_models.training.calibration import expected_calibration_error, fit_temperature, negative_log_likelihood
from riskwire_models.training.runner import Reading, Runner

#: Sets whose tags were made by people: the entity figure that counts is over these.
GOLD = ("wikigold", "wnut", "btc", "crossner")
#: Entity types a set does not know: what is said of them there is not counted.
UNKNOWN_TYPES = {"finer_ord": ("MISC",)}
CALIBRATED = ("sentiment", "target_sentiment", "topics")

Truth = NDArray[np.int64]
Logits = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Read:
    """Examples, as encoded, and what a precision read in them."""

    examples: Sequence[Example]
    rows: Sequence[Encoded]
    readings: Sequence[Reading]
    word_starts: Sequence[Sequence[int]]

    def only(self, sources: Sequence[str]) -> Read:
        keep = [number for number, example in enumerate(self.examples) if example.source in sources]
        return Read(
            [self.examples[number] for number in keep],
            [self.rows[number] for number in keep],
            [self.readings[number] for number in keep],
            [self.word_starts[number] for number in keep],
        )


def read_all(runner: Runner, tokenizer: Tokenizer, examples: Sequence[Example]) -> Read:
    """Reads every example, at most `MAX_LENGTH` pieces of it."""
    rows = encode(examples, tokenizer, MAX_LENGTH)
    starts = [
        first_pieces(example.text, cut(pieces.ids, pieces.offsets, MAX_LENGTH)[1])
        for example, pieces in zip(examples, tokenizer.encode_batch([one.text for one in examples]), strict=True)
    ]
    return Read(examples, rows, runner.read([row.ids for row in rows]), starts)


def labelled(read: Read, head: str) -> tuple[Logits, Truth]:
    """Logits [n, labels] and truth [n] of a head with one answer a sentence, or a mention."""
    logits: list[NDArray[np.float32]] = []
    truth: list[int] = []
    for row, reading in zip(read.rows, read.readings, strict=True):
        if head == "target_sentiment":
            for positions, label in row.targets:
                logits.append(reading.target_sentiment[list(positions)].mean(axis=0))
                truth.append(label)
        elif (label := getattr(row, {"topics": "topic"}.get(head, head))) != IGNORED:
            logits.append(getattr(reading, head))
            truth.append(label)
    width = len(TOPICS) if head == "topics" else len(SENTIMENTS)
    table = np.array(logits, np.float64).reshape(len(logits), width)
    return table, np.array(truth, np.int64)


def mixed(read: Read) -> Read:
    """The examples with mentions of different sentiment: where the sentence's sentiment does not answer."""
    sources = [number for number, row in enumerate(read.rows) if len({label for _, label in row.targets}) > 1]
    return Read(
        [read.examples[number] for number in sources],
        [read.rows[number] for number in sources],
        [read.readings[number] for number in sources],
        [read.word_starts[number] for number in sources],
    )


def _tags(read: Read, unknown_types: Sequence[str] = ()) -> tuple[list[list[str]], list[list[str]]]:
    truth: list[list[str]] = []
    said: list[list[str]] = []
    for row, reading, starts in zip(read.rows, read.readings, read.word_starts, strict=True):
        if row.tags is None:
            continue
        best = reading.entities.argmax(axis=1)
        counted = [at for at in starts if row.tags[at] != IGNORED]
        truth.append([ENTITY_TAGS[row.tags[at]] for at in counted])
        guesses = [ENTITY_TAGS[best[at]] for at in counted]
        said.append(["O" if tag.partition("-")[2] in unknown_types else tag for tag in guesses])
    return truth, said


def _classes(read: Read, head: str) -> dict[str, float]:
    logits, truth = labelled(read, head)
    return classification(truth.tolist(), logits.argmax(axis=1).tolist())


def report(read: Read) -> dict[str, Any]:
    """Figures by head and set on held-out examples."""
    targets = {source: read.only([source]) for source in ("sentfin", "finentity")}
    return {
        "sentiment": {
            "all": _classes(read, "sentiment"),
            **{source: _classes(read.only([source]), "sentiment") for source in ("tfns", "sentfin", "finentity")},
        },
        "target_sentiment": {
            "all": _classes(read, "target_sentiment"),
            **{source: _classes(part, "target_sentiment") for source, part in targets.items()},
            "mixed sentences": _classes(mixed(read), "target_sentiment"),
        },
        "entities": {
            "all gold": entities(*_tags(read.only(GOLD))),
            **{source: entities(*_tags(read.only([source]))) for source in (*GOLD, "gmb")},
        },
        "topics": {"all": _classes(read, "topics")},
    }


def never_seen_report(runner: Runner, tokenizer: Tokenizer, data: Path) -> dict[str, Any]:
    """Figures on the sets that only measure; sets whose files are missing are left out."""
    found: dict[str, Any] = {}
    for name in NEVER_SEEN:
        if not all((data / file).is_file() for file in data_set(name).files):
            continue
        read = read_all(runner, tokenizer, unseen_corpus(data, name))
        if any(row.sentiment != IGNORED for row in read.rows):
            found[name] = _classes(read, "sentiment")
        else:
            found[name] = entities(*_tags(read, UNKNOWN_TYPES.get(name, ())))
    return found


def headline(figures: Mapping[str, Any]) -> dict[str, float]:
    """The one figure of each head that the gate compares, as a fraction; heads that nothing measured are left out."""
    return {
        head: figures[head][name][figure]
        for head, name, figure in (
            ("sentiment", "all", "accuracy"),
            ("target_sentiment", "all", "accuracy"),
            ("entities", "all gold", "f1"),
            ("topics", "all", "accuracy"),
        )
        if figures[head][name]["n"]
    }


def fit_temperatures(dev: Read) -> dict[str, float]:
    """Temperatures of the heads with one answer, on the dev split."""
    return {head: fit_temperature(*labelled(dev, head)) for head in CALIBRATED}


def calibration_errors(read: Read, temperatures: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """By head, raw and with its temperature: expected calibration error and negative log-likelihood."""
    found: dict[str, dict[str, float]] = {}
    for head in CALIBRATED:
        logits, truth = labelled(read, head)
        fitted = temperatures[head]
        found[head] = {
            "raw": round(expected_calibration_error(logits, truth, 1.0), 4),
            "calibrated": round(expected_calibration_error(logits, truth, fitted), 4),
            "nll_raw": round(negative_log_likelihood(logits, truth, 1.0), 4),
            "nll_calibrated": round(negative_log_likelihood(logits, truth, fitted), 4),
        }
    return found
