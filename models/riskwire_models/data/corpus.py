"""Reads all examples of a recipe from the data folder, by split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from riskwire_models.data.bio import read_entities
from riskwire_models.data.catalogue import DataSet, data_set_by_name, training_sets
from riskwire_models.data.examples import Example, json_lines, read_sentiment, read_targets, read_topics
from riskwire_models.data.risk import fill_risk_statements, headline_rows, read_risk, read_risk_by_id
from riskwire_models.data.splits import Split, split_of
from riskwire_models.data.statements import company_names, write_statements
from riskwire_models.data.text import normalised

#: Examples by split.
Corpus = Mapping[Split, list[Example]]
#: Part of the Groningen set that is used: the set is large, and its tags were made by programs.
GMB_SHARE = 0.24
#: Number of statements that are generated from templates.
STATEMENTS = 2400
#: Examples of each written sentence of the risk statements.
STATEMENT_COPIES = 2
#: Examples of each written headline.
HEADLINE_COPIES = 2
#: Sets of texts with risk labels that are also in other sets.
RISK_SETS = ("risk", "risk_disagreements")
#: Folder of the labels that ship with the project.
LABELS = Path(__file__).parent.parent / "labels"
#: Sets that are for training only: a score on our own sentences would prove nothing.
TRAINING_ONLY = ("statements", "risk_statements", "risk_headlines")


def read_data_set(data_set: DataSet, data: Path, seed: int) -> Iterator[Example]:
    """Yields the examples of one data set, with converted tags and cleaned text, of all splits."""
    paths = [data / name for name in data_set.files]
    match data_set.kind:
        case "risk statements":
            written, companies = paths[0], company_names(paths[1])
            yield from fill_risk_statements(json_lines(written), written, companies, STATEMENT_COPIES, seed)
            return
        case "risk headlines":
            written, companies = LABELS / "headlines.tsv", company_names(paths[0])
            rows = headline_rows(written)
            yield from fill_risk_statements(rows, written, companies, HEADLINE_COPIES, seed, data_set.name)
            return
        case "risk by id":
            names = ("tfns", "topic", "sentfin", "finentity")
            yield from read_risk_by_id(
                LABELS / "disagreements.jsonl", dict(zip(names, paths, strict=True)), data_set.name
            )
            return
        case "names":
            yield from write_statements(company_names(paths[0]), STATEMENTS, seed)
            return
    for path in paths:
        match data_set.kind:
            case "sentiment":
                yield from read_sentiment(path, data_set.name)
            case "topic":
                yield from read_topics(path, data_set.name)
            case "target":
                yield from read_targets(path, data_set.name)
            case "ner":
                yield from read_entities(path, data_set.name, share=GMB_SHARE if data_set.name == "gmb" else 1.0)
            case "risk":
                yield from read_risk(path, data_set.name)


def training_corpus(data: Path, names: Iterable[str], seed: int) -> dict[Split, list[Example]]:
    """Returns the examples of the named data sets by split; a text that a set repeats is read once.

    A text of the train split that carries risk labels and is also in another set becomes one example with the labels
    of both (`merge_labels`).

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
            splits["train" if example.source in TRAINING_ONLY else split_of(example.text)].append(example)
    return {**splits, "train": merge_labels(splits["train"])}


def merge_labels(examples: Iterable[Example]) -> list[Example]:
    """Returns the examples, those with risk labels merged with the same texts of other sets, which are left out.

    Texts are the same if they agree after `normalised`. Labels that need character positions (targets, entities) are
    taken over only if the texts are equal character by character.
    """
    examples = list(examples)
    merged = [example for example in examples if example.source in RISK_SETS]
    by_text = {example.text: number for number, example in enumerate(merged)}
    by_key = {normalised(example.text): number for number, example in enumerate(merged)}
    unmerged: list[Example] = []
    for example in examples:
        if example.source in RISK_SETS:
            continue
        number = by_text.get(example.text, by_key.get(normalised(example.text)))
        if number is None:
            unmerged.append(example)
            continue
        known = merged[number]
        same_text = known.text == example.text
        merged[number] = replace(
            known,
            sentiment=known.sentiment or example.sentiment,
            topic=known.topic or example.topic,
            targets=(*known.targets, *example.targets) if same_text else known.targets,
            entities=known.entities or (example.entities if same_text else None),
            unknown=known.unknown or (example.unknown if same_text else ()),
        )
    return [*unmerged, *merged]


def unseen_corpus(data: Path, name: str) -> list[Example]:
    """Returns the examples of a data set that is never trained on."""
    return list(read_data_set(data_set_by_name(name), data, seed=0))
