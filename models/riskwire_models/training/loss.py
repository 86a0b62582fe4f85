"""Batches as tensors, and the weighted loss of the six heads.

Every label is a distribution: a known label, smoothed, or what a teacher said, or a mixture of both. A row without
either is not in the index of the head, and teaches it nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from riskwire_models.data.encoding import EncodedExample
from riskwire_models.data.labels import EVENT_TYPES, HEADS, IGNORED
from riskwire_models.training.model import Outputs


@dataclass(frozen=True, slots=True)
class HeadLabels:
    """What a head should say.

    Attributes:
        index: rows of the head's logits that have a label [n].
        distribution: expected probabilities [n, labels]; they add up to 1 except for events, which are independent.
    """

    index: Tensor
    distribution: Tensor

    def to(self, device: torch.device) -> HeadLabels:
        """Returns the labels on a device."""
        return HeadLabels(self.index.to(device), self.distribution.to(device))


@dataclass(frozen=True, slots=True)
class BatchTensors:
    """A batch with its expected outputs.

    Attributes:
        ids: vocabulary ids [batch, tokens].
        mask: 1 for word pieces, 0 for padding [batch, tokens].
        tags: tag index [batch, tokens].
        pool: pooling matrix [mentions, batch × tokens] with 1/n at the n word pieces of a mention. Its product with the
            flattened token logits is the mean over the mention, as the inference engine computes it.
        labels: labels of every other head. The rows of ``sentiment`` and ``topics`` are sentences, those of
            ``target_sentiment`` and ``level`` mentions, those of ``events`` mentions and after them sentences.
    """

    ids: Tensor
    mask: Tensor
    tags: Tensor
    pool: Tensor
    labels: Mapping[str, HeadLabels]

    def to(self, device: torch.device) -> BatchTensors:
        """Returns the batch on a device."""
        if device.type == "cpu":
            return self
        return BatchTensors(
            self.ids.to(device),
            self.mask.to(device),
            self.tags.to(device),
            self.pool.to(device),
            {head: labels.to(device) for head, labels in self.labels.items()},
        )


@dataclass(frozen=True, slots=True)
class Labelling:
    """How labels become distributions.

    Attributes:
        smoothing: share of a known label's probability that is spread over all labels.
        teacher_weight: share of the teacher's distribution where both it and a known label exist.
    """

    smoothing: float = 0.05
    teacher_weight: float = 0.5


def one_hot(label: int, labels: int, smoothing: float) -> list[float]:
    """Returns the distribution of a known label: ``1 - smoothing`` on it, and ``smoothing`` spread evenly over all."""
    spread = smoothing / labels
    return [spread + (1.0 - smoothing if number == label else 0.0) for number in range(labels)]


def event_targets(events: Sequence[int], smoothing: float) -> list[float]:
    """Returns the expected probability of each event type; half of the smoothing is taken from and given to a label."""
    present = set(events)
    return [
        1.0 - smoothing / 2 if number in present else smoothing / len(EVENT_TYPES) for number in range(len(EVENT_TYPES))
    ]


def _mixed(
    known: Sequence[float] | None, teacher: Sequence[float] | None, teacher_weight: float
) -> Sequence[float] | None:
    """Returns the mixture of a known label's distribution and the teacher's. If one is missing, returns the other."""
    if known is None or teacher is None:
        return teacher if known is None else known
    return [
        (1.0 - teacher_weight) * label + teacher_weight * reading for label, reading in zip(known, teacher, strict=True)
    ]


class _Labels:
    """Collects the labels of one head."""

    def __init__(self, head: str, labelling: Labelling) -> None:
        self._width = len(HEADS[head])
        self._labelling = labelling
        self._index: list[int] = []
        self._rows: list[Sequence[float]] = []

    def add_label(self, row: int, label: int, teacher: Sequence[float] | None) -> None:
        """Adds what is known of a row: a label index or `IGNORED`, and the teacher's distribution or None."""
        known = None if label == IGNORED else one_hot(label, self._width, self._labelling.smoothing)
        self._add(row, known, teacher)

    def add_events(self, row: int, events: Sequence[int] | None, teacher: Sequence[float] | None) -> None:
        """Adds the event types of a row, or None if they are not known, and the teacher's probabilities or None."""
        self._add(row, None if events is None else event_targets(events, self._labelling.smoothing), teacher)

    def _add(self, row: int, known: Sequence[float] | None, teacher: Sequence[float] | None) -> None:
        if (mixed := _mixed(known, teacher, self._labelling.teacher_weight)) is not None:
            self._index.append(row)
            self._rows.append(mixed)

    def tensors(self) -> HeadLabels:
        """Returns what was added."""
        return HeadLabels(
            torch.tensor(self._index, dtype=torch.long),
            torch.tensor(self._rows, dtype=torch.float32).reshape(len(self._rows), self._width),
        )


def batch_tensors(
    rows: Sequence[EncodedExample], *, labelling: Labelling | None = None, multiple: int = 1
) -> BatchTensors:
    """Returns the rows as tensors, padded to the longest row, rounded up to ``multiple``."""
    longest = max(len(row) for row in rows)
    longest += -longest % multiple
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    mask = torch.zeros(len(rows), longest, dtype=torch.long)
    tags = torch.full((len(rows), longest), IGNORED, dtype=torch.long)
    collected = {head: _Labels(head, labelling or Labelling()) for head in HEADS if head != "entities"}
    mentions = [(number, target) for number, row in enumerate(rows) for target in row.targets]
    pool = torch.zeros(len(mentions), len(rows) * longest)
    for mention, (number, target) in enumerate(mentions):
        pool[mention, [number * longest + position for position in target.positions]] = 1.0 / len(target.positions)
        teacher = target.teacher
        collected["target_sentiment"].add_label(
            mention, target.sentiment, None if teacher is None else teacher.target_sentiment or None
        )
        collected["level"].add_label(mention, target.level, None if teacher is None else teacher.level or None)
        collected["events"].add_events(mention, target.events, None if teacher is None else teacher.events or None)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = torch.tensor(row.ids)
        mask[number, : len(row)] = 1
        if row.tags is not None:
            tags[number, : len(row)] = torch.tensor(row.tags)
        of_sentence = row.teacher
        collected["sentiment"].add_label(
            number, row.sentiment, None if of_sentence is None else of_sentence.sentiment or None
        )
        collected["topics"].add_label(number, row.topic, None if of_sentence is None else of_sentence.topics or None)
        collected["events"].add_events(
            len(mentions) + number, row.events, None if of_sentence is None else of_sentence.events or None
        )
    return BatchTensors(ids, mask, tags, pool, {head: labels.tensors() for head, labels in collected.items()})


@dataclass(frozen=True, slots=True)
class LossWeights:
    """The weight of each head in the loss, and the divisors of their summed losses.

    A head's summed loss is divided by the number of labels that an average batch holds, not by the number in this
    batch. So an example has the same weight in every batch.

    Attributes:
        weights: weight by head.
        expected: labels of an average batch, by head (`expected_counts`).
        of_labels: weight of each label of a head [labels], for heads whose rare labels count more (`label_weights`).
    """

    weights: Mapping[str, float]
    expected: Mapping[str, float]
    of_labels: Mapping[str, Tensor] = field(default_factory=dict)


def expected_counts(rows: Sequence[EncodedExample], batches: int) -> dict[str, float]:
    """Returns the number of labels of each head in an average batch, at least 1. Entities count word pieces."""
    counts = dict.fromkeys(HEADS, 0)
    for row in rows:
        teacher = row.teacher
        counts["sentiment"] += row.sentiment != IGNORED or (teacher is not None and bool(teacher.sentiment))
        counts["topics"] += row.topic != IGNORED or (teacher is not None and bool(teacher.topics))
        counts["events"] += row.events is not None or (teacher is not None and bool(teacher.events))
        counts["entities"] += 0 if row.tags is None else sum(tag != IGNORED for tag in row.tags)
        for target in row.targets:
            read = target.teacher
            counts["target_sentiment"] += target.sentiment != IGNORED or (
                read is not None and bool(read.target_sentiment)
            )
            counts["level"] += target.level != IGNORED or (read is not None and bool(read.level))
            counts["events"] += target.events is not None or (read is not None and bool(read.events))
    return {head: max(1.0, count / batches) for head, count in counts.items()}


def label_weights(rows: Sequence[EncodedExample], balance: Mapping[str, float]) -> dict[str, Tensor]:
    """Returns the weights of the labels of sentence heads whose rare labels shall count more.

    A label that is seen ``n`` times weighs in proportion to ``n`` to the power of minus the exponent, so that the mean
    over all rows is 1. With 0 all labels weigh the same, with 1 all labels teach equally much.

    Source: Mahajan et al. (2018), Exploring the Limits of Weakly Supervised Pretraining, which takes 1/2.

    Args:
        rows: training rows, in which the labels are counted.
        balance: exponent by head, one of `SENTENCE_HEADS`.
    """
    weights: dict[str, Tensor] = {}
    for head, exponent in balance.items():
        known = [label for row in rows if (label := row.sentiment if head == "sentiment" else row.topic) != IGNORED]
        if not known:
            continue
        seen = torch.bincount(torch.tensor(known), minlength=len(HEADS[head])).float()
        factors = seen.clamp(min=1.0) ** -exponent
        weights[head] = factors * seen.sum() / (factors * seen).sum()
    return weights


def head_logits(outputs: Outputs, batch: BatchTensors) -> dict[str, Tensor]:
    """Returns the float32 logits of each head but entities, with the rows that `BatchTensors.labels` counts."""
    sentiment, _, target_sentiment, topics, level, events = (output.float() for output in outputs)

    def of_mentions(logits: Tensor) -> Tensor:
        return batch.pool @ logits.reshape(-1, logits.shape[-1])

    return {
        "sentiment": sentiment,
        "topics": topics,
        "target_sentiment": of_mentions(target_sentiment),
        "level": of_mentions(level),
        "events": torch.cat([of_mentions(events), events[:, 0]]),
    }


def weighted_loss(outputs: Outputs, batch: BatchTensors, weights: LossWeights) -> tuple[Tensor, dict[str, float]]:
    """Returns the weighted sum of the heads' losses, and the loss of each head without its weight.

    Cross entropy, for events the sum of the binary cross entropies of all types.
    """
    entities = outputs[1].float()
    parts = {"entities": _tag_loss(entities, batch.tags)}
    for head, logits in head_logits(outputs, batch).items():
        labels = batch.labels[head]
        if len(labels.index) == 0:
            parts[head] = logits.sum() * 0.0
            continue
        chosen = logits[labels.index]
        if head == "events":
            parts[head] = nn.functional.binary_cross_entropy_with_logits(chosen, labels.distribution, reduction="sum")
        else:
            parts[head] = nn.functional.cross_entropy(
                chosen, labels.distribution, weight=weights.of_labels.get(head), reduction="sum"
            )
    parts = {head: part / weights.expected[head] for head, part in parts.items()}
    total = torch.stack([weights.weights[head] * part for head, part in parts.items()]).sum()
    return total, {head: float(part.detach()) for head, part in parts.items()}


def _tag_loss(entities: Tensor, tags: Tensor) -> Tensor:
    """Returns the summed cross entropy of the known tags; 0, with a gradient, if none is known."""
    if bool((tags == IGNORED).all()):
        return entities.sum() * 0.0
    return nn.functional.cross_entropy(
        entities.reshape(-1, entities.shape[-1]), tags.reshape(-1), ignore_index=IGNORED, reduction="sum"
    )
