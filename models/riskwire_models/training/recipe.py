"""`Recipe`, the hyperparameters of a training run, which are stored in its checkpoint."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from riskwire_models.data.catalogue import DEFAULT_TRAINING


@dataclass(frozen=True, slots=True)
class Recipe:
    """Hyperparameters; the defaults are those of the default bundle.

    The learning-rate schedule depends on the step and on ``steps`` only, so a resumed run equals an uninterrupted one.

    Attributes:
        steps: optimiser steps of the run.
        warm_up: part of the steps in which the learning rates rise.
        pieces_a_batch: word pieces of a batch, padding included.
        training_length: word pieces to which a training sentence is truncated.
        encoder_rate: highest learning rate of the encoder.
        head_rate: highest learning rate of the heads.
        clip: largest norm of the gradient.
        smoothing: label smoothing of all heads except entities.
        bfloat16: whether the forward pass runs in bfloat16.
    """

    seed: int = 17
    steps: int = 3600
    warm_up: float = 0.06
    pieces_a_batch: int = 1024
    training_length: int = 96
    encoder_rate: float = 1.0e-4
    head_rate: float = 1.0e-3
    weight_decay: float = 0.01
    clip: float = 1.0
    smoothing: float = 0.05
    weight_sentiment: float = 1.0
    weight_entities: float = 2.0
    weight_target_sentiment: float = 1.0
    weight_topics: float = 0.7
    bfloat16: bool = True
    data_sets: tuple[str, ...] = DEFAULT_TRAINING

    def rate_at(self, step: int) -> float:
        """Returns the factor of the learning rates at a step: rises linearly in the warm-up, then falls linearly to 0.

        Differs from transformers' `get_linear_schedule_with_warmup` in the warm-up, which starts at 0 there and so
        wastes the first step.
        """
        warm_up_steps = max(1, round(self.warm_up * self.steps))
        if step < warm_up_steps:
            return (step + 1) / warm_up_steps
        return max(0.0, (self.steps - step) / max(1, self.steps - warm_up_steps))

    def as_dict(self) -> dict[str, Any]:
        """Returns the recipe as the values that a checkpoint stores."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """Returns the recipe of `as_dict`."""
        return cls(**{**values, "data_sets": tuple(values["data_sets"])})
