"""`Recipe`, what a training run does: data, weights, schedule, augmentation. Recipes are YAML files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from riskwire_models.data.augmentation import Augmentation
from riskwire_models.data.catalogue import DEFAULT_TRAINING, data_set_by_name
from riskwire_models.data.corpus import LABELS
from riskwire_models.data.labels import HEADS, SENTENCE_HEADS
from riskwire_models.errors import RecipeError
from riskwire_models.training.base import BASE_MODELS, BaseName

#: Folder of the recipes that ship, and of the bundles that ship.
RECIPES = Path(__file__).parent.parent / "recipes"
SHIPPED_BUNDLES = Path(__file__).parent.parent / "bundles"
#: Figures of the dev split that early stopping can watch (`measure.dev_figures`).
FIGURES = (*(f"{head}.accuracy" for head in HEADS if head != "events"), "level.average_precision", "events.f1")

Share = Annotated[float, Field(gt=0, le=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Lora(_Strict):
    """Low-rank adapters in place of full tuning of the encoder.

    Source: Hu et al. (2021), LoRA: Low-Rank Adaptation of Large Language Models.
    """

    rank: int = Field(16, gt=0)
    alpha: float = Field(32.0, gt=0)
    dropout: float = Field(0.05, ge=0, lt=1)


class EarlyStopping(_Strict):
    """Ends a run when a figure of the dev split no longer rises.

    Attributes:
        figure: one of `FIGURES`.
        patience: measurements without a new best after which the run ends.
    """

    figure: str = "level.average_precision"
    patience: int = Field(3, gt=0)

    @field_validator("figure")
    @classmethod
    def _known_figure(cls, figure: str) -> str:
        if figure not in FIGURES:
            raise ValueError(f"unknown figure {figure!r}; known: {', '.join(FIGURES)}")
        return figure


class Distillation(_Strict):
    """Distillation: the readings of a larger model, from which the run learns too.

    Attributes:
        readings: file of the readings: absolute, or beside the work folder, or one that ships in `labels/`.
        weight: the teacher's share where a label is known too; a text without labels has the teacher's alone.
    """

    readings: Path
    weight: float = Field(0.5, ge=0, le=1)

    def file_for(self, work: Path) -> Path:
        """Returns the file of the readings for a run in the folder ``work``.

        That is the file beside the work folder, so that a user's own teacher goes first. If there is none, it is the
        one that ships with the project, which may be missing too.
        """
        own_file = work.parent / self.readings
        return own_file if own_file.is_file() else LABELS / self.readings


class Recipe(_Strict):
    """What a training run does; the defaults are those of a first run of MiniLM on all sets.

    The learning-rate schedule depends on the step and on ``steps`` only, so a resumed run equals an uninterrupted one.

    Attributes:
        name: name of the recipe.
        bundle: name of the bundle that is exported from the run.
        base: the pretrained encoder.
        start_from: bundle whose model and weights training begins with, in place of the base: its folder, or the name
            of one that ships (`start_folder`).
        average_with_start: share of the weights of `start_from` in those that the run ends with; the rest are the
            trained ones. It keeps more of what the bundle could do before.
        own_labels: file of a user's labels that are trained on beside the data sets (`data.own_labels`).
        layers: numbers of the encoder's layers to keep, from 0; None for all.
        least_count: occurrences in the training texts that a word piece needs to remain; None keeps all.
        data: share of each data set that is used, chosen by a hash of the text.
        texts_of: data sets whose texts are used; a set that only adds labels to them need not be named. None for all.
        masks: for a data set, heads that it does not teach.
        heads: weight of each head in the loss.
        balance: for sentence heads, how much more rare labels count: 0 not, 0.5 by the root, 1 all labels the same.
        steps: optimiser steps of the run.
        warm_up: part of the steps in which the learning rates rise.
        pieces_a_batch: word pieces of a batch, padding included.
        training_length: word pieces to which a training sentence is truncated.
        encoder_rate: highest learning rate of the encoder.
        layer_decay: factor of the learning rate from one layer to the layer below it.
        frozen_layers: number of layers, from the first, that are not trained; with any, the embeddings are not either.
        head_rate: highest learning rate of the heads.
        clip: largest norm of the gradient.
        smoothing: label smoothing of all heads except entities.
        precision: arithmetic of the forward pass.
        measure_every: steps between measurements on the dev split.
    """

    name: str = "minilm"
    bundle: str = Field("finance-en", pattern=r"^[a-z0-9][a-z0-9-]*$")
    seed: int = Field(17, ge=0)
    base: BaseName = "minilm"
    start_from: Path | None = None
    average_with_start: float = Field(0.0, ge=0, lt=1)
    own_labels: Path | None = None
    layers: tuple[int, ...] | None = None
    least_count: int | None = Field(None, gt=0)
    data: Mapping[str, Share] = Field(min_length=1, default_factory=lambda: dict.fromkeys(DEFAULT_TRAINING, 1.0))
    texts_of: tuple[str, ...] | None = None
    masks: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    heads: Mapping[str, Annotated[float, Field(ge=0)]] = Field(
        default_factory=lambda: {
            "sentiment": 1.0,
            "entities": 2.0,
            "target_sentiment": 1.0,
            "topics": 0.7,
            "level": 2.0,
            "events": 1.0,
        }
    )
    balance: Mapping[str, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=dict)
    steps: int = Field(3600, gt=0)
    warm_up: float = Field(0.06, ge=0, lt=1)
    pieces_a_batch: int = Field(1024, gt=0)
    training_length: int = Field(96, gt=8)
    encoder_rate: float = Field(1.0e-4, gt=0)
    layer_decay: float = Field(1.0, gt=0, le=1)
    frozen_layers: int = Field(0, ge=0)
    head_rate: float = Field(1.0e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    clip: float = Field(1.0, gt=0)
    smoothing: float = Field(0.05, ge=0, lt=1)
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    lora: Lora | None = None
    teacher: Distillation | None = None
    early_stopping: EarlyStopping | None = None
    measure_every: int = Field(1000, gt=0)
    augmentation: Augmentation = Field(default_factory=Augmentation)

    @field_validator("data")
    @classmethod
    def _known_data(cls, data: Mapping[str, float]) -> Mapping[str, float]:
        for name in data:
            try:
                data_set_by_name(name)
            except KeyError as error:
                raise ValueError(error.args[0]) from None
        return data

    @field_validator("heads")
    @classmethod
    def _known_heads(cls, heads: Mapping[str, float]) -> Mapping[str, float]:
        if unknown := set(heads) - set(HEADS):
            raise ValueError(f"unknown head {sorted(unknown)[0]!r}; known: {', '.join(HEADS)}")
        return {head: heads.get(head, 0.0) for head in HEADS}

    @field_validator("balance")
    @classmethod
    def _balanced_heads(cls, balance: Mapping[str, float]) -> Mapping[str, float]:
        if unknown := set(balance) - set(SENTENCE_HEADS):
            raise ValueError(f"head {sorted(unknown)[0]!r} cannot be balanced; known: {', '.join(SENTENCE_HEADS)}")
        return balance

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name, heads in self.masks.items():
            if name not in self.data:
                raise ValueError(f"masks names {name!r}, which is not in data")
            if unknown := set(heads) - set(HEADS):
                raise ValueError(f"masks.{name}: unknown head {sorted(unknown)[0]!r}; known: {', '.join(HEADS)}")
        for name in self.texts_of or ():
            if name not in self.data:
                raise ValueError(f"texts_of names {name!r}, which is not in data")
        if self.average_with_start and (self.start_from is None or self.early_stopping or self.lora):
            raise ValueError("average_with_start needs start_from, and neither early_stopping nor lora")
        count = BASE_MODELS[self.base].layers
        if self.layers is not None and not self.layers:
            raise ValueError("layers []: at least one layer must remain")
        if self.layers is not None and not all(0 <= number < count for number in self.layers):
            raise ValueError(f"layers {list(self.layers)}: {self.base} has the layers 0 to {count - 1}")
        if self.frozen_layers >= (len(self.layers) if self.layers else count):
            raise ValueError(f"frozen_layers {self.frozen_layers}: at least one layer must be trained")
        return self

    def start_folder(self) -> Path | None:
        """Returns the folder of the bundle that training begins with, or None if it begins with the base."""
        if self.start_from is None:
            return None
        shipped = SHIPPED_BUNDLES / self.start_from
        return shipped if len(self.start_from.parts) == 1 and shipped.is_dir() else self.start_from

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
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """Returns the recipe of `as_dict`."""
        return cls.model_validate(values)


def read_recipe(name: str) -> Recipe:
    """Returns a recipe by the path of its YAML file, or by the name of one that ships.

    Raises:
        RecipeError: there is no such recipe, or the file is not one; the message names each wrong field.
    """
    path = Path(name)
    if not path.suffix:
        path = RECIPES / f"{name}.yaml"
    if not path.is_file():
        shipped = ", ".join(sorted(file.stem for file in RECIPES.glob("*.yaml")))
        raise RecipeError(f"no recipe {name!r}: give the path of a YAML file, or one of {shipped}")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Recipe.model_validate({"name": path.stem, **values})
    except (yaml.YAMLError, TypeError) as error:
        raise RecipeError(f"{path} is not a recipe: {error}") from error
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or 'recipe'}: {fault['msg']}" for fault in error.errors()
        )
        raise RecipeError(f"{path}: {faults}") from error
