"""Training that goes on from a bundle with a user's own labels: its recipe, and the figures before and after."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from riskwire_models.data.catalogue import DEFAULT_TRAINING
from riskwire_models.data.corpus import training_corpus
from riskwire_models.data.own_labels import read_own_labels
from riskwire_models.export.manifest import read_manifest
from riskwire_models.training.from_bundle import figures_of, model_from_bundle
from riskwire_models.training.recipe import Recipe
from riskwire_models.training.train import TOKENIZER, Log, train

#: Texts of the old data for each text with own labels, so that the model does not forget what it knew.
REPLAYED_TEXTS = 4
#: Passes over the texts.
EPOCHS = 3
#: Word pieces of an average text, for the number of steps.
_PIECES_A_TEXT = 32


#: Figures by what they were measured on.
Figures = Mapping[str, Mapping[str, float]]


def train_on_own_labels(
    labels: Path,
    bundle: Path,
    data: Path,
    work: Path,
    *,
    threads: int = 2,
    steps: int | None = None,
    seed: int | None = None,
    log: Log = print,
) -> tuple[Figures, Figures]:
    """Goes on with the training of a bundle in a folder of ``work``, and returns the figures before and after.

    The old data is read once.

    Args:
        steps: steps of the run; None for `EPOCHS` passes over the texts.
        seed: None for that of the bundle.

    Raises:
        TrainingDataError: the labels or the old data cannot be read.
        BundleFolderError: the bundle cannot be read.
    """
    seed = read_manifest(bundle).seed if seed is None else seed
    corpus = training_corpus(data, DEFAULT_TRAINING, seed)
    recipe = own_recipe(labels, bundle, len(corpus["train"]), steps=steps, seed=seed)
    tokenizer = bundle / TOKENIZER
    before = figures_of(model_from_bundle(bundle), recipe, corpus["dev"], tokenizer, log)
    model = train(data, work / recipe.name, recipe, corpus=corpus, threads=threads, log=log)
    return before, figures_of(model, recipe, corpus["dev"], tokenizer, log)


def own_recipe(labels: Path, bundle: Path, old: int, *, steps: int | None, seed: int) -> Recipe:
    """Returns the recipe; its name is that of the file of labels.

    Args:
        old: number of texts of the old data.
        steps: steps of the run; None for `EPOCHS` passes over the texts.

    Raises:
        TrainingDataError: the labels cannot be read.
        BundleFolderError: the bundle cannot be read.
    """
    own_texts = len(read_own_labels(labels))
    share = min(1.0, REPLAYED_TEXTS * own_texts / max(1, old))
    recipe = Recipe(
        name=labels.stem,
        bundle=read_manifest(bundle).name,
        seed=seed,
        start_from=bundle,
        own_labels=labels,
        data=dict.fromkeys(DEFAULT_TRAINING, share),
        encoder_rate=2.0e-5,
        head_rate=1.0e-4,
    )
    texts = own_texts + share * old
    return recipe.model_copy(
        update={"steps": steps or max(20, round(EPOCHS * texts * _PIECES_A_TEXT / recipe.pieces_a_batch))}
    )
