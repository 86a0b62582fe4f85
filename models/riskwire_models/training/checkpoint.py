"""Checkpoints of a training run: one file, replaced as a whole, enough to go on as if nothing had happened."""

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
    """``step`` steps are done. ``seconds`` is time spent in training so far, ``history`` what happened on the way."""

    recipe: Recipe
    step: int
    seconds: float
    model: dict[str, Any]
    optimiser: dict[str, Any]
    rng: Any
    history: list[str] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        whole = {
            "recipe": self.recipe.as_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "model": self.model,
            "optimiser": self.optimiser,
            "rng": self.rng,
            "history": self.history,
        }
        partial = folder / f"{FILE}.partial"
        torch.save(whole, partial)
        os.replace(partial, folder / FILE)


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """The checkpoint of a folder, or None."""
    path = folder / FILE
    if not path.is_file():
        return None
    whole = torch.load(path, map_location="cpu", weights_only=True)
    return Checkpoint(**{**whole, "recipe": Recipe.from_dict(whole["recipe"])})
