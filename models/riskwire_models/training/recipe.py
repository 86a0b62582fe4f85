"""What decides a training run: written into the checkpoint and, from there, into the bundle."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from riskwire_models.data.catalogue import DEFAULT_TRAINING


@dataclass(frozen=True, slots=True)
class Recipe:
    """The default bundle's run. ``steps`` fixes the schedule, so a resumed run is the same run."""

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
        """Factor of the learning rates at a step: linear up over the warm-up, linear down to 0 at the end.

        transformers' `get_linear_schedule_with_warmup` but for the warm-up, which there begins at 0: a lost first step.
        """
        warm = max(1, round(self.warm_up * self.steps))
        if step < warm:
            return (step + 1) / warm
        return max(0.0, (self.steps - step) / max(1, self.steps - warm))

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        return cls(**{**values, "data_sets": tuple(values["data_sets"])})
