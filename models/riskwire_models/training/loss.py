"""A batch as tensors, and the weighted loss of the four heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from riskwire_models.data.encode import Encoded
from riskwire_models.data.labels import IGNORED


@dataclass(frozen=True, slots=True)
class Tensors:
    """One batch: ids, mask, tags [batch, tokens]; sentiment, topics [batch]; mentions by pooling matrix.

    ``pool`` [mentions, batch × tokens] has 1/n at the n pieces of a mention: its product with the flattened token
    logits is the mean the engine takes.
    """

    ids: Tensor
    mask: Tensor
    sentiment: Tensor
    topics: Tensor
    tags: Tensor
    pool: Tensor
    targets: Tensor


def tensors_of(rows: Sequence[Encoded], multiple: int = 1) -> Tensors:
    """Pads with zeros to the longest row, rounded up to ``multiple``."""
    longest = max(len(row) for row in rows)
    longest += -longest % multiple
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    mask = torch.zeros(len(rows), longest, dtype=torch.long)
    tags = torch.full((len(rows), longest), IGNORED, dtype=torch.long)
    mentions: list[tuple[list[int], int]] = []
    for number, row in enumerate(rows):
        ids[number, : len(row)] = torch.tensor(row.ids)
        mask[number, : len(row)] = 1
        if row.tags is not None:
            tags[number, : len(row)] = torch.tensor(row.tags)
        for positions, label in row.targets:
            mentions.append(([number * longest + at for at in positions], label))
    pool = torch.zeros(len(mentions), len(rows) * longest)
    for number, (flat, _) in enumerate(mentions):
        pool[number, flat] = 1.0 / len(flat)
    return Tensors(
        ids,
        mask,
        torch.tensor([row.sentiment for row in rows]),
        torch.tensor([row.topic for row in rows]),
        tags,
        pool,
        torch.tensor([label for _, label in mentions], dtype=torch.long),
    )


@dataclass(frozen=True, slots=True)
class Weights:
    """Weight of each head's loss, and the count a batch is expected to hold, by which its sum is divided.

    Dividing by the expected rather than the actual count keeps every example's weight the same in every batch.
    """

    sentiment: float
    entities: float
    target_sentiment: float
    topics: float
    expected: tuple[float, float, float, float]
    smoothing: float


def expected_counts(rows: Sequence[Encoded], batches: int) -> tuple[float, float, float, float]:
    """Sentences with sentiment, tagged pieces, mentions, sentences with a topic, an average batch holds."""
    sentiment = sum(row.sentiment != IGNORED for row in rows)
    pieces = sum(sum(tag != IGNORED for tag in row.tags) for row in rows if row.tags is not None)
    mentions = sum(len(row.targets) for row in rows)
    topics = sum(row.topic != IGNORED for row in rows)
    return tuple(max(1.0, count / batches) for count in (sentiment, pieces, mentions, topics))  # type: ignore[return-value]


def loss_of(
    outputs: tuple[Tensor, Tensor, Tensor, Tensor], batch: Tensors, weights: Weights
) -> tuple[Tensor, list[float]]:
    """The weighted sum, and the four parts (unweighted, each over its expected count)."""
    sentiment, entities, toward, topics = (output.float() for output in outputs)
    mentions = batch.pool @ toward.reshape(-1, toward.shape[-1])
    smooth = weights.smoothing

    def summed(logits: Tensor, truth: Tensor, smoothing: float) -> Tensor:
        if truth.numel() == 0 or bool((truth == IGNORED).all()):
            return logits.sum() * 0.0
        return nn.functional.cross_entropy(
            logits, truth, ignore_index=IGNORED, reduction="sum", label_smoothing=smoothing
        )

    parts = [
        summed(sentiment, batch.sentiment, smooth) / weights.expected[0],
        summed(entities.reshape(-1, entities.shape[-1]), batch.tags.reshape(-1), 0.0) / weights.expected[1],
        summed(mentions, batch.targets, smooth) / weights.expected[2],
        summed(topics, batch.topics, smooth) / weights.expected[3],
    ]
    factors = (weights.sentiment, weights.entities, weights.target_sentiment, weights.topics)
    total = torch.stack([factor * part for factor, part in zip(factors, parts, strict=True)]).sum()
    return total, [float(part.detach()) for part in parts]
