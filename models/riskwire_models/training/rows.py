"""The training rows of a recipe: its share of each set, without masked labels, augmented in each epoch."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import fields, replace
from pathlib import Path
from typing import TypeVar

from tokenizers import Tokenizer

from riskwire_models.data.augmentation import augmented
from riskwire_models.data.catalogue import data_set_by_name
from riskwire_models.data.encoding import EncodedExample, encode_examples
from riskwire_models.data.examples import Example
from riskwire_models.data.labels import MentionReading, SentenceReading
from riskwire_models.data.statements import company_names
from riskwire_models.data.text import unit_hash
from riskwire_models.training.batches import batches_of
from riskwire_models.training.recipe import Recipe

_Reading = TypeVar("_Reading", MentionReading, SentenceReading)


def chosen_examples(examples: Iterable[Example], recipe: Recipe) -> list[Example]:
    """Returns the examples that a recipe uses."""
    return [
        example
        for example in examples
        if unit_hash(example.text, "share") < recipe.data.get(_set_of(example), 1.0)
        and (recipe.texts_of is None or _set_of(example) in recipe.texts_of)
    ]


def masked_examples(examples: Iterable[Example], recipe: Recipe) -> list[Example]:
    """Returns the examples without the labels, and without the readings of a teacher, that a recipe masks."""
    return [without_labels(example, recipe.masks.get(_set_of(example), ())) for example in examples]


def without_labels(example: Example, heads: Sequence[str]) -> Example:
    """Returns the example without its labels for these heads, and without what a teacher says for them."""
    if not heads:
        return example
    masked = set(heads)
    targets = tuple(
        replace(
            target,
            sentiment=None if "target_sentiment" in masked else target.sentiment,
            level=None if "level" in masked else target.level,
            events=None if "events" in masked else target.events,
            teacher=_without_readings(target.teacher, masked),
        )
        for target in example.targets
    )
    return replace(
        example,
        sentiment=None if "sentiment" in masked else example.sentiment,
        topic=None if "topics" in masked else example.topic,
        entities=None if "entities" in masked else example.entities,
        events=None if "events" in masked else example.events,
        targets=targets,
        teacher=_without_readings(example.teacher, masked),
    )


def _without_readings(reading: _Reading | None, heads: Set[str]) -> _Reading | None:
    """Returns what a teacher says, without its probabilities for these heads."""
    if reading is None:
        return None
    return replace(reading, **{field.name: () for field in fields(reading) if field.name in heads})


class TrainingRows:
    """The rows of each epoch. The same recipe and epoch give the same rows in the same batches."""

    def __init__(self, examples: Sequence[Example], recipe: Recipe, tokenizer: Tokenizer, data: Path) -> None:
        """Reads the names for augmentation from the data folder, if the recipe replaces names."""
        self._examples = examples
        self._recipe = recipe
        self._tokenizer = tokenizer
        self._newest: tuple[int, list[EncodedExample]] | None = None
        self._names = company_names(data / data_set_by_name("sec").files[0]) if recipe.augmentation.names else []

    def of_epoch(self, epoch: int) -> list[EncodedExample]:
        """Returns the rows of an epoch, counted from 0. Those of the epoch that was asked for last are kept."""
        if self._newest is not None and self._newest[0] == epoch:
            return self._newest[1]
        recipe = self._recipe
        generator = random.Random(f"augmentation {recipe.seed} {epoch}")
        changed = [augmented(example, recipe.augmentation, self._names, generator) for example in self._examples]
        rows = encode_examples(changed, self._tokenizer, recipe.training_length)
        self._newest = epoch, rows
        return rows

    def batches_from_step(self, first: int) -> Iterator[list[EncodedExample]]:
        """Yields the batches of the steps from ``first`` on, without end; each epoch has a different order."""
        recipe = self._recipe
        epoch, earlier_batches = 0, 0
        while True:
            rows = self.of_epoch(epoch)
            seed = recipe.seed * 1000 + epoch
            batches = batches_of([len(row) for row in rows], budget=recipe.pieces_a_batch, seed=seed)
            for batch in batches[max(0, first - earlier_batches) :]:
                yield [rows[number] for number in batch]
            earlier_batches += len(batches)
            epoch += 1


def _set_of(example: Example) -> str:
    """Returns the name of the data set in the catalogue. The generated statements belong to the SEC's table."""
    return "sec" if example.source == "statements" else example.source
