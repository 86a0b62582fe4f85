"""Batches of rows of similar length under a budget of padded word pieces, in an order fixed by the seed."""

from __future__ import annotations

import random
from collections.abc import Sequence


def batches_of(lengths: Sequence[int], *, budget: int, seed: int, pool: int = 1024) -> list[list[int]]:
    """Row numbers in batches; rows × longest row ≤ ``budget`` (a single longer row stands alone).

    Rows are shuffled, sorted by length inside pools of ``pool`` rows, cut, and the batches shuffled: every batch mixes
    the tasks, little is padding, and the order depends on the seed alone.
    """
    chance = random.Random(seed)
    order = list(range(len(lengths)))
    chance.shuffle(order)
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
    chance.shuffle(batches)
    return batches
