"""Runs an ONNX file of a bundle the way the engine does, to measure it.

Each sentence is padded to the next multiple of 16 word pieces of its own length; a batch holds sentences of one padded
length, and one alone is doubled.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from riskwire_models.data.labels import HEADS
from riskwire_models.export.bundle import LEAST_ROWS, PADDING_MULTIPLE

Logits = NDArray[np.float32]


def padded_length(pieces: int) -> int:
    """The length a sentence of so many word pieces is padded to."""
    return max(PADDING_MULTIPLE, -(-pieces // PADDING_MULTIPLE) * PADDING_MULTIPLE)


def padded(rows: Sequence[Sequence[int]], length: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """ids and mask [rows (two at least), length]; one row alone is doubled."""
    count = max(LEAST_ROWS, len(rows))
    ids = np.zeros((count, length), np.int64)
    mask = np.zeros((count, length), np.int64)
    for number in range(count):
        row = rows[min(number, len(rows) - 1)]
        ids[number, : len(row)] = row
        mask[number, : len(row)] = 1
    return ids, mask


@dataclass(frozen=True, slots=True)
class Reading:
    """Logits of one sentence, in the order of `labels.HEADS`: [3], [pieces, 9], [pieces, 3], [20]."""

    sentiment: Logits
    entities: Logits
    target_sentiment: Logits
    topics: Logits

    def same_bits(self, other: Reading) -> bool:
        """Whether every logit is bit for bit the same."""
        return all(
            mine.tobytes() == theirs.tobytes()
            for mine, theirs in zip(
                (self.sentiment, self.entities, self.target_sentiment, self.topics),
                (other.sentiment, other.entities, other.target_sentiment, other.topics),
                strict=True,
            )
        )


class Runner:
    """An ONNX file on the CPU."""

    def __init__(self, path: Path, threads: int = 2) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def batch(self, rows: Sequence[Sequence[int]]) -> list[Reading]:
        """Readings of rows of one padded length."""
        ids, mask = padded(rows, padded_length(max(len(row) for row in rows)))
        outputs = self._session.run(list(HEADS), {"input_ids": ids, "attention_mask": mask})
        return [
            Reading(
                outputs[0][number].copy(),
                outputs[1][number, : len(row)].copy(),
                outputs[2][number, : len(row)].copy(),
                outputs[3][number].copy(),
            )
            for number, row in enumerate(rows)
        ]

    def read(self, rows: Sequence[Sequence[int]], size: int = 32) -> list[Reading]:
        """Readings of rows of any length, in their order."""
        readings: dict[int, Reading] = {}
        for group in _by_padded_length(rows):
            for start in range(0, len(group), size):
                numbers = group[start : start + size]
                readings.update(zip(numbers, self.batch([rows[number] for number in numbers]), strict=True))
        return [readings[number] for number in range(len(rows))]


def _by_padded_length(rows: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    groups: dict[int, list[int]] = {}
    for number, row in enumerate(rows):
        groups.setdefault(padded_length(len(row)), []).append(number)
    for length in sorted(groups):
        yield groups[length]


def invariance(runner: Runner, rows: Sequence[Sequence[int]], seed: int = 17) -> tuple[int, int]:
    """(readings that differ, readings compared): each row alone, then in shuffled batches of several sizes."""
    chance = random.Random(seed)
    differing = compared = 0
    for group in _by_padded_length(rows):
        alone = {number: runner.batch([rows[number]])[0] for number in group}
        for size in (2, 3, 7, 16, 33):
            order = group[:]
            chance.shuffle(order)
            for start in range(0, len(order), size):
                numbers = order[start : start + size]
                for number, reading in zip(numbers, runner.batch([rows[number] for number in numbers]), strict=True):
                    compared += 1
                    differing += not reading.same_bits(alone[number])
    return differing, compared
