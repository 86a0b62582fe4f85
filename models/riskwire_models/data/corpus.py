"""All examples of a recipe, read from the data folder and sorted into splits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from riskwire_models.data.bio import read_entities
from riskwire_models.data.catalogue import DataSet, data_set, training_sets
from riskwire_models.data.examples import Example, read_sentiment, read_targets, read_topics
from riskwire_models.data.splits import Split, split_of
from riskwire_models.data.statements import company_names, write_statements

#: The part of the Groningen set that is used: it is large, and its tags are silver.
GMB_SHARE = 0.24
#: Statements written by rule.
STATEMENTS = 2400


def read_set(one: DataSet, data: Path, seed: int) -> Iterator[Example]:
    """The examples of one catalogued set, repaired, unsplit."""
    for name in one.files:
        path = data / name
        match one.kind:
            case "sentiment":
                yield from read_sentiment(path, one.name)
            case "topic":
                yield from read_topics(path, one.name)
            case "target":
                yield from read_targets(path, one.name)
            case "ner":
                yield from read_entities(path, one.name, share=GMB_SHARE if one.name == "gmb" else 1.0)
            case "names":
                yield from write_statements(company_names(path), STATEMENTS, seed)


def training_corpus(data: Path, names: Iterable[str], seed: int) -> dict[Split, list[Example]]:
    """Examples of the named sets by split; each text of a set once. `LicenceError` for a set that may not train."""
    splits: dict[Split, list[Example]] = {"train": [], "dev": [], "test": []}
    seen: set[tuple[str, str]] = set()
    for one in training_sets(names):
        for example in read_set(one, data, seed):
            if (example.source, example.text) in seen:
                continue
            seen.add((example.source, example.text))
            # What we wrote ourselves teaches but proves nothing: it measures no split.
            splits["train" if example.source == "statements" else split_of(example.text)].append(example)
    return splits


def unseen_corpus(data: Path, name: str) -> list[Example]:
    """The examples of a set that only ever measures."""
    return list(read_set(data_set(name), data, seed=0))
