"""Checkpoints of a training run: one file, replaced atomically, that a resumed run continues from exactly."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from riskwire_models.training.recipe import Recipe

FILE = "checkpoint.pt"
#: Weights of the step that measured best, if the recipe stops early.
BEST = "best.pt"


@dataclass(slots=True)
class Checkpoint:
    """The state of a training run.

    Attributes:
        recipe: the recipe of the run.
        step: number of completed steps.
        seconds: time spent in training.
        model: ``state_dict`` of the model.
        optimiser: ``state_dict`` of the optimiser.
        rng: state of torch's random number generator on the CPU.
        cuda_rng: state of that on the GPU, which draws the dropout there; None for a run on the CPU.
        device: kind of device of the run: ``cpu`` or ``cuda``.
        tuned_on: texts of data sets beside those of the recipe, by name, on which heads were trained further.
        history: changes of the recipe during the run.
        best: highest value so far of the figure that early stopping watches, or None.
        best_step: step at which it was measured; the weights of that step are in the file `BEST`.
    """

    recipe: Recipe
    step: int
    seconds: float
    model: dict[str, Any]
    optimiser: dict[str, Any]
    rng: Any
    history: list[str] = field(default_factory=list)
    best: float | None = None
    best_step: int = 0
    # Checkpoints of earlier versions lack the fields below.
    cuda_rng: Any = None
    device: str = "cpu"
    tuned_on: dict[str, int] = field(default_factory=dict)

    def keep_generators(self, device: torch.device) -> None:
        """Takes over the states of the random number generators that a run on a device draws from."""
        self.device = device.type
        self.rng = torch.get_rng_state()
        self.cuda_rng = torch.cuda.get_rng_state(device) if device.type == "cuda" else None

    def restore_generators(self, device: torch.device) -> None:
        """Sets the random number generators to the kept states, that of a GPU only if the run goes on there."""
        torch.set_rng_state(self.rng)
        if device.type == "cuda" and self.cuda_rng is not None:
            torch.cuda.set_rng_state(self.cuda_rng, device)

    @property
    def ended_early(self) -> bool:
        """Whether early stopping ended the run."""
        stopping = self.recipe.early_stopping
        if stopping is None or self.best is None:
            return False
        return self.step - self.best_step >= stopping.patience * self.recipe.measure_every

    @property
    def is_finished(self) -> bool:
        """Whether the run has done all steps of its recipe, or ended early."""
        return self.step >= self.recipe.steps or self.ended_early

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
            "cuda_rng": self.cuda_rng,
            "device": self.device,
            "tuned_on": self.tuned_on,
            "history": self.history,
            "best": self.best,
            "best_step": self.best_step,
        }
        _replace(folder / FILE, content)

    def save_best(self, folder: Path) -> None:
        """Writes the weights to a folder as the best so far, in place of earlier ones."""
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / BEST, self.model)


def _replace(path: Path, content: object) -> None:
    """Writes a file of torch, which appears under its name only once it is whole."""
    partial = path.with_suffix(".partial")
    torch.save(content, partial)
    os.replace(partial, path)


def best_weights(checkpoint: Checkpoint, folder: Path) -> dict[str, Any]:
    """Returns the weights of the best measurement if early stopping kept some, else those of the last step."""
    path = folder / BEST
    if checkpoint.best is None or not path.is_file():
        return checkpoint.model
    weights: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return weights


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """Returns the checkpoint of a folder, or None if there is none."""
    path = folder / FILE
    if not path.is_file():
        return None
    content = torch.load(path, map_location="cpu", weights_only=True)
    return Checkpoint(**{**content, "recipe": Recipe.from_dict(content["recipe"])})
