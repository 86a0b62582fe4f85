"""Runs an ONNX file as the inference engine does, in order to measure it.

A sentence is padded to the next multiple of 16 word pieces. A batch holds sentences of one padded length, and at least
two rows: a single sentence is duplicated.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from riskwire_models.data.labels import HEADS, TOKEN_HEADS
from riskwire_models.export.manifest import MIN_BATCH_ROWS, PADDING_MULTIPLE

Logits = NDArray[np.float32]


def padded_length(pieces: int) -> int:
    """Returns the padded length of a sentence of that many word pieces."""
    return max(PADDING_MULTIPLE, -(-pieces // PADDING_MULTIPLE) * PADDING_MULTIPLE)


def padded_batch(rows: Sequence[Sequence[int]], length: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns ids and mask, each [rows, length]; a single row is duplicated to `MIN_BATCH_ROWS`."""
    count = max(MIN_BATCH_ROWS, len(rows))
    ids = np.zeros((count, length), np.int64)
    mask = np.zeros((count, length), np.int64)
    for number in range(count):
        row = rows[min(number, len(rows) - 1)]
        ids[number, : len(row)] = row
        mask[number, : len(row)] = 1
    return ids, mask


@dataclass(frozen=True, slots=True)
class HeadLogits:
    """The logits of one sentence by head: [labels], or [pieces, labels] for the heads in `labels.TOKEN_HEADS`."""

    by_head: Mapping[str, Logits]

    def __getitem__(self, head: str) -> Logits:
        return self.by_head[head]

    def same_bits(self, second: HeadLogits) -> bool:
        """Returns whether all logits are equal bit by bit."""
        return self.by_head.keys() == second.by_head.keys() and all(
            logits.tobytes() == second[head].tobytes() for head, logits in self.by_head.items()
        )


class OnnxRunner:
    """An onnxruntime session of an ONNX file on the CPU.

    Attributes:
        heads: the heads that the graph has, in the order of `labels.HEADS`.
    """

    def __init__(self, path: Path, threads: int = 2) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        outputs = {output.name for output in self._session.get_outputs()}
        self.heads = tuple(head for head in HEADS if head in outputs)

    def predict_batch(self, rows: Sequence[Sequence[int]]) -> list[HeadLogits]:
        """Returns the logits of rows that have the same padded length."""
        ids, mask = padded_batch(rows, padded_length(max(len(row) for row in rows)))
        outputs = self._session.run(list(self.heads), {"input_ids": ids, "attention_mask": mask})
        return [
            HeadLogits(
                {
                    head: (output[number, : len(row)] if head in TOKEN_HEADS else output[number]).copy()
                    for head, output in zip(self.heads, outputs, strict=True)
                }
            )
            for number, row in enumerate(rows)
        ]

    def predict(self, rows: Sequence[Sequence[int]], batch_size: int = 32) -> list[HeadLogits]:
        """Returns the logits of rows of any length, in the order of the rows."""
        logits: dict[int, HeadLogits] = {}
        for group in _rows_by_padded_length(rows):
            for start in range(0, len(group), batch_size):
                numbers = group[start : start + batch_size]
                logits.update(zip(numbers, self.predict_batch([rows[number] for number in numbers]), strict=True))
        return [logits[number] for number in range(len(rows))]


def _rows_by_padded_length(rows: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Yields the numbers of the rows that have the same padded length, shortest first."""
    groups: dict[int, list[int]] = {}
    for number, row in enumerate(rows):
        groups.setdefault(padded_length(len(row)), []).append(number)
    for length in sorted(groups):
        yield groups[length]


def count_batch_differences(runner: OnnxRunner, rows: Sequence[Sequence[int]], seed: int = 17) -> tuple[int, int]:
    """Compares the logits of each row alone with those in shuffled batches of several sizes, bit by bit.

    Returns:
        The number of rows whose logits differ, and the number of comparisons.
    """
    generator = random.Random(seed)
    differing = compared = 0
    for group in _rows_by_padded_length(rows):
        alone = {number: runner.predict_batch([rows[number]])[0] for number in group}
        for size in (2, 3, 7, 16, 33):
            order = group[:]
            generator.shuffle(order)
            for start in range(0, len(order), size):
                numbers = order[start : start + size]
                for number, logits in zip(
                    numbers, runner.predict_batch([rows[number] for number in numbers]), strict=True
                ):
                    compared += 1
                    differing += not logits.same_bits(alone[number])
    return differing, compared
