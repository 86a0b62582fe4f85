"""The recipe of a training that goes on from a bundle with a user's own labels."""

from __future__ import annotations

from pathlib import Path

from riskwire_models.data.catalogue import DEFAULT_TRAINING
from riskwire_models.data.corpus import training_corpus
from riskwire_models.data.own_labels import read_own_labels
from riskwire_models.export.manifest import read_manifest
from riskwire_models.training.recipe import Recipe

#: Texts of the old data for each text with own labels, so that the model does not forget what it knew.
REPLAYED_TEXTS = 4
#: Passes over the texts.
EPOCHS = 3
#: Word pieces of an average text, for the number of steps.
_PIECES_A_TEXT = 32


def own_recipe(labels: Path, bundle: Path, data: Path, *, steps: int | None, seed: int | None) -> Recipe:
    """Returns the recipe; its name is that of the file of labels.

    Args:
        steps: steps of the run; None for `EPOCHS` passes over the texts.
        seed: None for that of the bundle.

    Raises:
        TrainingDataError: the labels cannot be read.
        BundleFolderError: the bundle cannot be read.
    """
    manifest = read_manifest(bundle)
    seed = manifest.seed if seed is None else seed
    own = len(read_own_labels(labels))
    old = len(training_corpus(data, DEFAULT_TRAINING, seed)["train"])
    share = min(1.0, REPLAYED_TEXTS * own / max(1, old))
    recipe = Recipe(
        name=labels.stem,
        bundle=manifest.name,
        seed=seed,
        start_from=bundle,
        own_labels=labels,
        data=dict.fromkeys(DEFAULT_TRAINING, share),
        encoder_rate=2.0e-5,
        head_rate=1.0e-4,
    )
    texts = own + share * old
    return recipe.model_copy(
        update={"steps": steps or max(20, round(EPOCHS * texts * _PIECES_A_TEXT / recipe.pieces_a_batch))}
    )
