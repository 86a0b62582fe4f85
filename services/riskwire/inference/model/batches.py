"""Which windows run together: pure, so that what a sentence gets can be shown not to depend on its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from riskwire.inference.model.session import Logits, ModelSession
from riskwire.inference.model.tokens import Window

STEP = 16
"""Windows are padded to a multiple of this, which depends on their own length alone."""
_LEAST = 128
"""Padded tokens below which splitting a batch further, to keep every worker busy, costs more than it gains."""
_MOST_ON_CPU = 512
"""Padded tokens of one run on a cpu: 16 sentences of 32 run a half faster each than 128 do, as they fit its caches."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows of one padded length; `rows` are their positions in the list that was packed."""

    rows: tuple[int, ...]
    length: int


def padded_length(tokens: int) -> int:
    """Length a window is padded to."""
    return -(-tokens // STEP) * STEP


def pack(lengths: Sequence[int], token_budget: int, workers: int) -> list[Batch]:
    """Windows sorted by length and packed by equal padded length, within the budget; the longest first.

    With several workers batches are kept small enough that every worker gets some.
    """
    total = sum(padded_length(length) for length in lengths)
    budget = min(token_budget, max(_LEAST, total // workers))
    by_length: dict[int, list[int]] = {}
    for at in sorted(range(len(lengths)), key=lambda at: (-lengths[at], at)):
        by_length.setdefault(padded_length(lengths[at]), []).append(at)
    batches: list[Batch] = []
    for length, rows in by_length.items():
        most = max(1, budget // length)
        batches.extend(Batch(tuple(rows[at : at + most]), length) for at in range(0, len(rows), most))
    return batches


def tokens_of_one_run(session: ModelSession, token_budget: int) -> int:
    """Most padded tokens of one run: the setting, but no more than the device does well."""
    return min(token_budget, _MOST_ON_CPU) if session.device == "cpu" else token_budget


def run_batch(session: ModelSession, windows: Sequence[Window], length: int) -> list[Logits]:
    """Logits of each window, cut to its own pieces.

    The same window gives the same bits whatever stands beside it: the padded length is its own, a batch of one gets a
    second row (a single row may take another kernel), and a model quantised dynamically reads each row alone.
    """
    if session.rows_alone:
        return [
            _row(session.run(window.ids[None], np.ones((1, len(window)), dtype=np.int64)), 0, len(window))
            for window in windows
        ]
    ids, mask = _padded(windows, length)
    logits = session.run(ids, mask)
    return [_row(logits, at, len(window)) for at, window in enumerate(windows)]


def _padded(windows: Sequence[Window], length: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rows = max(2, len(windows))
    ids = np.zeros((rows, length), dtype=np.int64)
    mask = np.zeros((rows, length), dtype=np.int64)
    for at, window in enumerate(windows):
        ids[at, : len(window)] = window.ids
        mask[at, : len(window)] = 1
    mask[len(windows) :, 0] = 1  # an empty mask would make the softmax over nothing
    return ids, mask


def _row(logits: Logits, at: int, tokens: int) -> Logits:
    return {name: value[at, :tokens] if value.ndim == 3 else value[at] for name, value in logits.items()}
