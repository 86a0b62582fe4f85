"""Checkpoints of a training run: one file, replaced atomically, that a resumed run continues from exactly."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from riskwire_models.training.recipe import Recipe

FILE = "checkpoint.pt"


@dataclass(slots=True)
class Checkpoint:
    """The state of a training run.

    Attributes:
        recipe: the recipe of the run.
        step: number of completed steps.
        seconds: time spent in training.
        model: ``state_dict`` of the model.
        optimiser: ``state_dict`` of the optimiser.
        rng: state of torch's random number generator.
        history: changes of the recipe during the run.
    """

    recipe: Recipe
    step: int
    seconds: float
    model: dict[str, Any]
    optimiser: dict[str, Any]
    rng: Any
    history: list[str] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        """Writes the checkpoint to a folder, in place of an earlier one."""
        folder.mkdir(parents=True, exist_ok=True)
        content = {
            "recipe": self.recipe.as_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "model": self.model,
            "optimiser": self.optimiser,
            "rng": self.rng,
            "history": self.history,
        }
        partial = folder / f"{FILE}.partial"
        torch.save(content, partial)
        os.replace(partial, folder / FILE)


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """Returns the checkpoint of a folder, or None if there is none."""
    path = folder / FILE
    if not path.is_file():
        return None
    content = torch.load(path, map_location="cpu", weights_only=True)
    return Checkpoint(**{**content, "recipe": Recipe.from_dict(content["recipe"])})
