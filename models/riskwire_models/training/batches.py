"""Batches of rows of similar length, within a budget of padded word pieces, in an order that the seed fixes."""

from __future__ import annotations

import random
from collections.abc import Sequence


def batches_of(lengths: Sequence[int], *, budget: int, seed: int, pool: int = 1024) -> list[list[int]]:
    """Returns batches of row numbers, so that rows × longest row of a batch is at most ``budget``.

    A row longer than the budget gets a batch to itself. Rows are shuffled, sorted by length inside pools of ``pool``
    rows, and cut into batches; then the batches are shuffled. So every batch mixes the tasks and holds little padding.

    Args:
        lengths: word pieces of each row.
        budget: largest number of word pieces of a batch, padding included.
        seed: the only thing, besides the lengths, that the order depends on.
        pool: rows that are sorted by length together.
    """
    generator = random.Random(seed)
    order = list(range(len(lengths)))
    generator.shuffle(order)
    batches: list[list[int]] = []
    for start in range(0, len(order), pool):
        batch: list[int] = []
        for row in sorted(order[start : start + pool], key=lambda row: lengths[row]):
            if batch and (len(batch) + 1) * lengths[row] > budget:
                batches.append(batch)
                batch = []
            batch.append(row)
        if batch:
            batches.append(batch)
    generator.shuffle(batches)
    return batches
