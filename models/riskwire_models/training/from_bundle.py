"""Training that goes on from a bundle (``riskwire model train --from BUNDLE LABELS``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel

from riskwire_models.data.encoding import encode_examples, load_tokenizer
from riskwire_models.data.examples import Example
from riskwire_models.data.own_labels import read_own_labels
from riskwire_models.data.text import split_key, unit_hash
from riskwire_models.errors import BundleFolderError
from riskwire_models.export.manifest import read_manifest
from riskwire_models.export.weights import read_weights
from riskwire_models.training.measure import dev_figures
from riskwire_models.training.model import MultiHeadModel
from riskwire_models.training.recipe import Recipe

#: Share of a user's labels that are not trained on, but measure the result; chosen by a hash of the text.
HELD_OUT_SHARE = 0.2


def model_from_bundle(folder: Path) -> MultiHeadModel:
    """Returns the model of a bundle, with the weights of its file for CPUs.

    Raises:
        BundleFolderError: the bundle does not say what its encoder is, or a weight is missing in it.
    """
    manifest = read_manifest(folder)
    if manifest.encoder is None:
        raise BundleFolderError(
            f"{folder} does not say what its encoder is: riskwire 0.1 exported it, or it is made of others' checkpoints"
        )
    settings: dict[str, Any] = dict(manifest.encoder)
    config: Any = AutoConfig.for_model(settings.pop("model_type"), **settings)
    encoder: Any = AutoModel.from_config(config, attn_implementation="eager")
    encoder.pooler = None
    model = MultiHeadModel(encoder)
    path = folder / manifest.cpu_file.path
    weights = read_weights(path)
    missing = [name for name, _ in model.named_parameters() if name not in weights]
    if missing:
        raise BundleFolderError(f"{path} lacks {len(missing)} weights of its model, first {missing[0]}")
    model.load_state_dict({name: weights[name] for name, _ in model.named_parameters()}, strict=False)
    return model


@torch.no_grad()
def average_with_start(model: MultiHeadModel, start: Path, share: float) -> None:
    """Moves the weights of a trained model toward those of the bundle that it was trained from.

    The average of both is often better than either on texts of another kind than those of the training.

    Args:
        start: folder of the bundle.
        share: how far, from 0 (the weights stay) to 1 (those of the bundle).

    Source: Wortsman et al. (2022), Robust fine-tuning of zero-shot models.
    """
    before = dict(model_from_bundle(start).named_parameters())
    for name, weights in model.named_parameters():
        weights.lerp_(before[name].to(weights.device), share)


def is_held_out(text: str) -> bool:
    """Returns whether a user's text measures the result instead of training it."""
    return unit_hash(split_key(text), "own labels") < HELD_OUT_SHARE


def figures_of(
    model: MultiHeadModel, recipe: Recipe, old_data: Sequence[Example], tokenizer_path: Path, log: Callable[[str], None]
) -> dict[str, dict[str, float]]:
    """Returns the figures of a model on the held-out own labels and on the dev split of the old data.

    Args:
        old_data: the examples of that split.

    Raises:
        TrainingDataError: the own labels cannot be read.
    """
    tokenizer = load_tokenizer(tokenizer_path)
    own_examples = read_own_labels(recipe.own_labels) if recipe.own_labels else []
    sets = {
        "own labels, held out": [example for example in own_examples if is_held_out(example.text)],
        "old data, dev": old_data,
    }
    figures: dict[str, dict[str, float]] = {}
    for name, examples in sets.items():
        if not examples:
            log(f"{name}: no texts, so nothing is measured")
            continue
        rows = encode_examples(examples, tokenizer, recipe.training_length)
        figures[name] = dev_figures(model, rows, torch.device("cpu"))
    model.eval()
    return figures
