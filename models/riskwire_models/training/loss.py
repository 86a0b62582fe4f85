"""Batches as tensors, and the weighted loss of the four heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from riskwire_models.data.encoding import EncodedExample
from riskwire_models.data.labels import IGNORED


@dataclass(frozen=True, slots=True)
class BatchTensors:
    """A batch with its expected outputs.

    Attributes:
        ids: vocabulary ids [batch, tokens].
        mask: 1 for word pieces, 0 for padding [batch, tokens].
        sentiment: label index [batch].
        topics: label index [batch].
        tags: tag index [batch, tokens].
        pool: pooling matrix [mentions, batch × tokens] with 1/n at the n word pieces of a mention. Its product with the
            flattened token logits is the mean over the mention, as the inference engine computes it.
        targets: label index [mentions].
    """

    ids: Tensor
    mask: Tensor
    sentiment: Tensor
    topics: Tensor
    tags: Tensor
    pool: Tensor
    targets: Tensor


def batch_tensors(rows: Sequence[EncodedExample], multiple: int = 1) -> BatchTensors:
    """Returns the rows as tensors, padded to the longest row, rounded up to ``multiple``."""
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
            mentions.append(([number * longest + position for position in positions], label))
    pool = torch.zeros(len(mentions), len(rows) * longest)
    for number, (flat, _) in enumerate(mentions):
        pool[number, flat] = 1.0 / len(flat)
    return BatchTensors(
        ids,
        mask,
        torch.tensor([row.sentiment for row in rows]),
        torch.tensor([row.topic for row in rows]),
        tags,
        pool,
        torch.tensor([label for _, label in mentions], dtype=torch.long),
    )


@dataclass(frozen=True, slots=True)
class LossWeights:
    """The weight of each head in the loss, and the divisors of their summed losses.

    A head's summed loss is divided by the number of labels that an average batch holds, not by the number in this
    batch. So an example has the same weight in every batch.

    Attributes:
        expected: labels of an average batch, by head (`expected_counts`).
        smoothing: label smoothing of all heads except entities.
    """

    sentiment: float
    entities: float
    target_sentiment: float
    topics: float
    expected: tuple[float, float, float, float]
    smoothing: float


def expected_counts(rows: Sequence[EncodedExample], batches: int) -> tuple[float, float, float, float]:
    """Returns the labels of each head in an average batch: sentiments, tags of word pieces, mentions, topics."""
    sentiment = sum(row.sentiment != IGNORED for row in rows)
    pieces = sum(sum(tag != IGNORED for tag in row.tags) for row in rows if row.tags is not None)
    mentions = sum(len(row.targets) for row in rows)
    topics = sum(row.topic != IGNORED for row in rows)
    return tuple(max(1.0, count / batches) for count in (sentiment, pieces, mentions, topics))  # type: ignore[return-value]


def weighted_loss(
    outputs: tuple[Tensor, Tensor, Tensor, Tensor], batch: BatchTensors, weights: LossWeights
) -> tuple[Tensor, list[float]]:
    """Returns the weighted sum of the heads' losses, and the four losses without weights."""
    sentiment, entities, target_sentiment, topics = (output.float() for output in outputs)
    mentions = batch.pool @ target_sentiment.reshape(-1, target_sentiment.shape[-1])

    def summed(logits: Tensor, truth: Tensor, smoothing: float) -> Tensor:
        """Returns the cross entropy summed over known labels; 0, with a gradient, if no label is known."""
        if truth.numel() == 0 or bool((truth == IGNORED).all()):
            return logits.sum() * 0.0
        return nn.functional.cross_entropy(
            logits, truth, ignore_index=IGNORED, reduction="sum", label_smoothing=smoothing
        )

    parts = [
        summed(sentiment, batch.sentiment, weights.smoothing) / weights.expected[0],
        summed(entities.reshape(-1, entities.shape[-1]), batch.tags.reshape(-1), 0.0) / weights.expected[1],
        summed(mentions, batch.targets, weights.smoothing) / weights.expected[2],
        summed(topics, batch.topics, weights.smoothing) / weights.expected[3],
    ]
    factors = (weights.sentiment, weights.entities, weights.target_sentiment, weights.topics)
    total = torch.stack([factor * part for factor, part in zip(factors, parts, strict=True)]).sum()
    return total, [float(part.detach()) for part in parts]
