"""Reads all examples of a recipe from the data folder, by split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from riskwire_models.data.bio import read_entities
from riskwire_models.data.catalogue import DataSet, data_set_by_name, training_sets
from riskwire_models.data.examples import Example, read_sentiment, read_targets, read_topics
from riskwire_models.data.splits import Split, split_of
from riskwire_models.data.statements import company_names, write_statements

#: Part of the Groningen set that is used: the set is large, and its tags were made by programs.
GMB_SHARE = 0.24
#: Number of statements that are generated from templates.
STATEMENTS = 2400


def read_data_set(data_set: DataSet, data: Path, seed: int) -> Iterator[Example]:
    """Yields the examples of one data set, with converted tags and cleaned text, of all splits."""
    for name in data_set.files:
        path = data / name
        match data_set.kind:
            case "sentiment":
                yield from read_sentiment(path, data_set.name)
            case "topic":
                yield from read_topics(path, data_set.name)
            case "target":
                yield from read_targets(path, data_set.name)
            case "ner":
                yield from read_entities(path, data_set.name, share=GMB_SHARE if data_set.name == "gmb" else 1.0)
            case "names":
                yield from write_statements(company_names(path), STATEMENTS, seed)


def training_corpus(data: Path, names: Iterable[str], seed: int) -> dict[Split, list[Example]]:
    """Returns the examples of the named data sets by split; a text that a set repeats is read once.

    Raises:
        LicenceError: a set may not be trained on.
        TrainingDataError: a file is missing or cannot be read.
    """
    splits: dict[Split, list[Example]] = {"train": [], "dev": [], "test": []}
    seen: set[tuple[str, str]] = set()
    for training_set in training_sets(names):
        for example in read_data_set(training_set, data, seed):
            if (example.source, example.text) in seen:
                continue
            seen.add((example.source, example.text))
            # Generated statements are for training only: a score on our own templates would prove nothing.
            splits["train" if example.source == "statements" else split_of(example.text)].append(example)
    return splits


def unseen_corpus(data: Path, name: str) -> list[Example]:
    """Returns the examples of a data set that is never trained on."""
    return list(read_data_set(data_set_by_name(name), data, seed=0))
