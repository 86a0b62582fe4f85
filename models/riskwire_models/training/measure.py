"""Figures of a model during training, on the dev split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, f1_score
from torch import Tensor

from riskwire_models.data.encoding import EncodedExample
from riskwire_models.data.labels import EVENT_TYPES, IGNORED, LEVELS
from riskwire_models.training.loss import batch_tensors, head_logits
from riskwire_models.training.model import MultiHeadModel

#: Sentences of a batch.
_ROWS = 32


@torch.no_grad()
def dev_figures(model: MultiHeadModel, rows: Sequence[EncodedExample], device: torch.device) -> dict[str, float]:
    """Returns the figures of each head that has labels in the rows, from 0 to 1. The model remains in training mode.

    ``HEAD.accuracy``; for entities over word pieces whose true or predicted tag is not O. ``level.average_precision``
    ranks mentions by the probability of ``material``; ``events.f1`` is the micro-F1 of events above one half.
    """
    model.eval()
    correct: dict[str, float] = {}
    total: dict[str, float] = {}
    material: list[tuple[float, bool]] = []
    events: list[tuple[NDArray[np.bool_], NDArray[np.bool_]]] = []
    ordered = sorted(rows, key=len)

    def count(head: str, hits: Tensor, counted: Tensor) -> None:
        correct[head] = correct.get(head, 0.0) + float((hits & counted).sum())
        total[head] = total.get(head, 0.0) + float(counted.sum())

    for start in range(0, len(ordered), _ROWS):
        chunk = ordered[start : start + _ROWS]
        batch = batch_tensors(chunk).to(device)
        outputs = model(batch.ids, batch.mask)
        logits = head_logits(outputs, batch)
        predicted_tags = outputs[1].argmax(-1)
        names = (batch.tags > 0) | ((predicted_tags > 0) & (batch.tags == 0))
        count("entities", predicted_tags == batch.tags, names)
        targets = [target for row in chunk for target in row.targets]
        for head, truth in (
            ("sentiment", [row.sentiment for row in chunk]),
            ("topics", [row.topic for row in chunk]),
            ("target_sentiment", [target.sentiment for target in targets]),
            ("level", [target.level for target in targets]),
        ):
            labels = torch.tensor(truth, dtype=torch.long, device=device)
            count(head, logits[head].argmax(-1) == labels, labels != IGNORED)
        probabilities = logits["level"].softmax(-1)[:, LEVELS.index("material")].tolist()
        material.extend(
            (probability, target.level == LEVELS.index("material"))
            for probability, target in zip(probabilities, targets, strict=True)
            if target.level != IGNORED
        )
        for known, predicted in zip(
            [*(target.events for target in targets), *(row.events for row in chunk)], logits["events"] > 0, strict=True
        ):
            if known is not None:
                truth_row = np.zeros(len(EVENT_TYPES), bool)
                truth_row[list(known)] = True
                events.append((truth_row, predicted.cpu().numpy()))
    model.train()
    figures = {f"{head}.accuracy": correct[head] / total[head] for head in correct if total[head]}
    if any(is_material for _, is_material in material):
        figures["level.average_precision"] = float(
            average_precision_score([truth for _, truth in material], [score for score, _ in material])
        )
    if events:
        figures["events.f1"] = float(
            f1_score(
                np.array([truth for truth, _ in events]),
                np.array([predicted for _, predicted in events]),
                average="micro",
                zero_division=0.0,
            )
        )
    return figures
