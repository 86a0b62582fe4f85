"""Packs token windows into batches, runs a batch, and collects the logits of sentences.

Pure, so tests can show that batching never changes a result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from riskwire.inference.model.session import Logits, ModelSession
from riskwire.inference.model.tokens import TokenizedSentence, TokenWindow

PADDING_STEP = 16
"""Windows are padded to a multiple of this. The padded length of a window depends on its own length alone."""
_MIN_BUDGET = 128
"""Padded tokens. Splitting smaller batches, so that every worker has work, costs more than it gains."""
_MAX_TOKENS_ON_CPU = 512
"""Padded tokens of one run on a CPU: 16 sentences of 32 tokens fit its caches, and each runs half again as fast as
in a run of 128."""


@dataclass(frozen=True, slots=True)
class WindowBatch:
    """Windows of one padded length, which run together.

    Attributes:
        rows: the positions of the windows in the list that was packed.
        length: the padded length.
    """

    rows: tuple[int, ...]
    length: int


def padded_length(tokens: int) -> int:
    """Returns the length that a window is padded to."""
    return -(-tokens // PADDING_STEP) * PADDING_STEP


def pack(lengths: Sequence[int], token_budget: int, workers: int) -> list[WindowBatch]:
    """Packs windows of equal padded length into batches within a budget, the longest first.

    With several workers the batches are smaller, so that every worker has work. A batch names its windows by their
    positions in `lengths`; each window is in one batch.

    Args:
        lengths: the number of tokens of each window.
        token_budget: the most padded tokens of a batch; a window that is longer forms a batch alone.
        workers: how many batches run at the same time.
    """
    total = sum(padded_length(length) for length in lengths)
    budget = min(token_budget, max(_MIN_BUDGET, total // workers))
    by_length: dict[int, list[int]] = {}
    for row in sorted(range(len(lengths)), key=lambda row: (-lengths[row], row)):
        by_length.setdefault(padded_length(lengths[row]), []).append(row)
    batches: list[WindowBatch] = []
    for length, rows in by_length.items():
        size = max(1, budget // length)
        batches.extend(WindowBatch(tuple(rows[start : start + size]), length) for start in range(0, len(rows), size))
    return batches


def max_tokens_per_run(session: ModelSession, token_budget: int) -> int:
    """Returns the most padded tokens of one run: the setting, limited to what suits the device."""
    return min(token_budget, _MAX_TOKENS_ON_CPU) if session.device == "cpu" else token_budget


def run_batch(session: ModelSession, windows: Sequence[TokenWindow], length: int) -> list[Logits]:
    """Runs windows together and returns the logits of each by head, in order, without the padding.

    The same window gives the same bits in any batch. Three things ensure that:

    - the padded length follows from the window alone;
    - a batch of one window gets a second row, because the runtime may choose another kernel for a single row;
    - a dynamically quantised model (`rows_alone`) reads each window alone, without padding.

    Args:
        length: the length that all windows are padded to; none is longer.
    """
    if session.rows_alone:
        return [
            _row(session.run(window.ids[None], np.ones((1, len(window)), dtype=np.int64)), 0, len(window))
            for window in windows
        ]
    ids, mask = _padded(windows, length)
    logits = session.run(ids, mask)
    return [_row(logits, row, len(window)) for row, window in enumerate(windows)]


def padding(session: ModelSession, windows: Sequence[TokenWindow], length: int) -> int:
    """Returns the tokens that `run_batch` adds to windows: up to their padded length, and for a second row."""
    if session.rows_alone:
        return 0
    return max(2, len(windows)) * length - sum(map(len, windows))


def _padded(windows: Sequence[TokenWindow], length: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns token ids and attention mask of token windows, padded with zeros to (rows, length).

    The mask is 1 for a token and 0 for padding. There are at least two rows. A row without a window has the id 0 only,
    and its mask is 1 for the first position.
    """
    rows = max(2, len(windows))
    ids = np.zeros((rows, length), dtype=np.int64)
    mask = np.zeros((rows, length), dtype=np.int64)
    for row, window in enumerate(windows):
        ids[row, : len(window)] = window.ids
        mask[row, : len(window)] = 1
    mask[len(windows) :, 0] = 1  # with an empty mask the softmax would divide by zero
    return ids, mask


def _row(logits: Logits, row: int, tokens: int) -> Logits:
    return {head: values[row, :tokens] if values.ndim == 3 else values[row] for head, values in logits.items()}


class SentenceGroup:
    """Sentences that were tokenized together, with their tokens for each model."""

    def __init__(self, texts: list[str], windows: list[ModelWindows]) -> None:
        """Counts for each sentence the models that have not read it."""
        self.texts = texts
        self.windows = windows
        self._unread = [len(windows)] * len(texts)

    def count(self, read: list[int]) -> list[int]:
        """Counts sentences (by index) that a model has read, and returns those that all models have read now."""
        for index in read:
            self._unread[index] -= 1
        return [index for index in read if not self._unread[index]]


class ModelWindows:
    """The windows of sentences for one model, and the logits received so far.

    Attributes:
        windows: the windows of all sentences, in order; a position in this list is a row.
        sentence_of_row: for each row, the index of its sentence.
    """

    def __init__(self, session: ModelSession, tokenized: list[TokenizedSentence]) -> None:
        """Numbers the windows of the sentences as rows. `_missing` counts the rows of each sentence without logits."""
        self.session = session
        self._tokenized = tokenized
        self.windows = [window for sentence in tokenized for window in sentence.windows]
        self.sentence_of_row = [index for index, sentence in enumerate(tokenized) for _ in sentence.windows]
        self._first_row = [0, *accumulate(len(sentence.windows) for sentence in tokenized)]
        self._missing = [len(sentence.windows) for sentence in tokenized]
        self._logits: list[Logits | None] = [None] * len(self.windows)

    def add_logits(self, batch: WindowBatch, logits: list[Logits]) -> list[int]:
        """Stores the logits of a batch, one for each of its rows (windows of this object, by position).

        Returns:
            The indexes of the sentences that this batch completed: all their windows have logits now.
        """
        complete = []
        for row, values in zip(batch.rows, logits, strict=True):
            self._logits[row] = values
            index = self.sentence_of_row[row]
            self._missing[index] -= 1
            if not self._missing[index]:
                complete.append(index)
        return complete

    def read(self, index: int) -> tuple[TokenizedSentence, list[Logits]]:
        """Returns the tokens of a complete sentence, and its logits, window by window."""
        rows = range(self._first_row[index], self._first_row[index + 1])
        return self._tokenized[index], [values for row in rows if (values := self._logits[row]) is not None]
