"""Low-rank adapters (LoRA) in the attention of the encoder, by the library peft."""

from __future__ import annotations

from typing import Any

from peft import LoraConfig, get_peft_model

from riskwire_models.training.model import MultiHeadModel
from riskwire_models.training.recipe import Lora

#: Names of the attention's projections in transformers, by model type.
PROJECTIONS = {"bert": ("query", "key", "value"), "mpnet": ("q", "k", "v")}


def add_lora(model: MultiHeadModel, lora: Lora) -> None:
    """Freezes the encoder of the model, and adds trainable adapters to its attention."""
    encoder: Any = model.encoder
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(PROJECTIONS[encoder.config.model_type]),
    )
    model.encoder = get_peft_model(encoder, config)


def merge_lora(model: MultiHeadModel) -> None:
    """Adds the adapters to the weights that they adapt, so that the encoder has its usual form again."""
    encoder: Any = model.encoder
    model.encoder = encoder.merge_and_unload()
