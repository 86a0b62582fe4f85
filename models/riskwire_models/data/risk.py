"""Reads the risk labels: the level and the events of each named party, and sentences with placeholders to fill."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from riskwire_models.data.examples import Example, checked_label, json_lines
from riskwire_models.data.headline_names import unknown_ranges
from riskwire_models.data.labels import EVENT_TYPES, LabelledTarget
from riskwire_models.data.statements import fill_placeholders
from riskwire_models.data.text import clean_tweet, unit_hash
from riskwire_models.errors import TrainingDataError

#: The levels as the labelling guide writes them.
GUIDE_LEVELS = {"0": "neutral", "1": "mild", "2": "material", "+": "favourable"}
_PLACEHOLDER_NAMES = Path(__file__).parent.parent / "labels" / "placeholder_names.yaml"
#: Share of the texts that keep their links, since a feed may carry them.
SHARE_WITH_LINKS = 0.2

_LEGAL_FORMS = frozenset(
    """
    inc inc. corp corp. co co. ltd ltd. plc llc lp l.p. n.v. nv s.a. sa ag holdings group
    """.split()  # noqa: SIM905
)


def read_risk(path: Path, source: str) -> Iterator[Example]:
    """Yields texts with the level and the events of each named party, and the events that belong to none.

    Raises:
        TrainingDataError: the file is missing, or a row has a different form; the message names the text.
    """
    for row in json_lines(path):
        yield _example(row["text"], row, path, source)


def read_risk_by_id(path: Path, texts: Mapping[str, Path], source: str) -> Iterator[Example]:
    """Yields labelled texts of a file that names each by data set and row, such as ``tfns:12``, and holds no text.

    Args:
        path: JSON lines with ``id``, ``targets`` and ``events``; spans are those of the text in its own data set.
        texts: the file of each data set.

    Raises:
        TrainingDataError: a file is missing, or a row has a different form or names a row that does not exist.
    """
    text_of = {name: [row["text"] for row in json_lines(file)] for name, file in texts.items()}
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            row = json.loads(line)
            name, _, position = str(row["id"]).partition(":")
            if name not in text_of or not position.isdigit() or int(position) >= len(text_of[name]):
                raise TrainingDataError(f"{path}:{number}: {row['id']!r} names no row of {', '.join(text_of)}")
            yield _example(text_of[name][int(position)], row, path, source)


def _example(raw: str, row: Mapping[str, Any], path: Path, source: str) -> Example:
    """Returns a text with the labels of a row, cleaned unless it is one of those that keep their links."""
    text = raw if unit_hash(raw, "links") < SHARE_WITH_LINKS else clean_tweet(raw)
    targets: list[LabelledTarget] = []
    for label in row.get("targets", ()):
        start, end = int(label["start"]), int(label["end"])
        if not 0 <= start < end <= len(raw):
            raise TrainingDataError(f"{path}: span {start}-{end} does not fit the text {raw[:60]!r}")
        position = find_same_occurrence(raw, start, end, text)
        if position is not None:
            targets.append(_labelled(label, path, position, position + end - start))
    return Example(text, source, targets=tuple(targets), events=_events(row.get("events", ()), path))


def find_same_occurrence(raw: str, start: int, end: int, text: str) -> int | None:
    """Returns where the name ``raw[start:end]`` starts in the cleaned ``text``, or None if it is not there.

    If the name occurs more than once, the position of the same occurrence is returned, counted from the start. Names
    in links that cleaning removes do not count.
    """
    name = raw[start:end]
    before = raw[:start] if text == raw else clean_tweet(raw[:start])
    position = -len(name)
    for _ in range(before.count(name) + 1):
        position = text.find(name, position + len(name))
        if position < 0:
            return None
    return position


def headline_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the written headlines of a file as rows of the form of the written sentences.

    A line is ``headline<TAB>A=2:bankruptcy+layoffs;B=0``: the level of each placeholder as the guide writes it, and
    its events.

    Raises:
        TrainingDataError: a line has a different form, or labels a placeholder that it does not hold.
    """
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text, tab, labels = line.partition("\t")
        targets = []
        for label in labels.split(";"):
            name, equals, judgement = label.partition("=")
            level, _, events = judgement.partition(":")
            if not tab or not equals or f"{{{name}}}" not in text or level not in GUIDE_LEVELS:
                raise TrainingDataError(f"{path}:{number}: {label!r} is no label of a placeholder of {text[:60]!r}")
            targets.append({"name": f"{{{name}}}", "level": level, "events": events.split("+") if events else []})
        yield {"text": text, "targets": targets, "events": []}


def fill_risk_statements(
    rows: Iterable[Mapping[str, Any]],
    path: Path,
    companies: Sequence[str],
    copies: int,
    seed: int,
    source: str = "risk_statements",
) -> Iterator[Example]:
    """Yields each written sentence ``copies`` times, its placeholders filled with different names.

    Args:
        rows: sentences with the placeholders ``{A} {B} {C}`` (companies), ``{P}`` (person), ``{L}`` (place), ``{R}``
            (rating agency), ``{K}`` (broker) and ``{G}`` (authority), and labels of each placeholder.
        path: the file of the rows, for errors.
        companies: names to choose from.
        copies: examples of each sentence.
        seed: the same rows and seed give the same sentences.
        source: name of the data set.
    """
    generator = random.Random(seed)
    for row in rows:
        for _ in range(copies):
            names = _names(companies, generator)
            text, entities = fill_placeholders(row["text"], names)
            if row["text"].isupper():
                text = text.upper() if len(text.upper()) == len(text) else text
            labels = {label["name"]: label for label in row.get("targets", ())}
            written = fill_placeholders(row["text"], {key: (key, kind) for key, (_, kind) in names.items()})[1]
            targets: list[LabelledTarget] = []
            labelled: set[str] = set()
            for span, before in zip(entities, written, strict=True):
                placeholder = row["text"][before.start : before.end]
                if placeholder in labels and placeholder not in labelled:
                    labelled.add(placeholder)
                    targets.append(_labelled(labels[placeholder], path, span.start, span.end))
            yield Example(
                text,
                source,
                targets=tuple(targets),
                entities=entities,
                unknown=unknown_ranges(text, entities),
                events=_events(row.get("events", ()), path),
            )


def short_name(company: str) -> str:
    """Returns a company's name as the news writes it: ``Apple`` for ``Apple Inc.``, without legal forms at its end."""
    words = company.split()
    while len(words) > 1 and words[-1].lower().strip(",") in _LEGAL_FORMS:
        words.pop()
    return " ".join(words).strip(",")


def _names(companies: Sequence[str], generator: random.Random) -> Mapping[str, tuple[str, str]]:
    """Returns a name and its entity type for each placeholder; a company's name is short in three of four cases."""
    chosen = [name if generator.random() < 0.25 else short_name(name) for name in generator.sample(companies, 3)]
    placeholders = _placeholder_names()
    return {
        **{placeholder: (name, "ORG") for placeholder, name in zip(("{A}", "{B}", "{C}"), chosen, strict=True)},
        "{P}": (generator.choice(placeholders["people"]), "PER"),
        "{L}": (generator.choice(placeholders["places"]), "LOC"),
        "{R}": (generator.choice(placeholders["agencies"]), "ORG"),
        "{K}": (generator.choice(placeholders["brokers"]), "ORG"),
        "{G}": (generator.choice(placeholders["authorities"]), "ORG"),
    }


@cache
def _placeholder_names() -> Mapping[str, Sequence[str]]:
    """Returns the names for the placeholders of people, places, agencies, brokers and authorities."""
    names: Mapping[str, Sequence[str]] = yaml.safe_load(_PLACEHOLDER_NAMES.read_text(encoding="utf-8"))
    return names


def _labelled(label: Mapping[str, Any], path: Path, start: int, end: int) -> LabelledTarget:
    """Returns the label of a party as the target at ``start`` to ``end``. Raises TrainingDataError if it is unknown."""
    level = checked_label(label.get("level"), tuple(GUIDE_LEVELS), path)
    return LabelledTarget(start, end, level=GUIDE_LEVELS[level], events=_events(label.get("events", ()), path))


def _events(codes: Sequence[object], path: Path) -> tuple[str, ...]:
    return tuple(checked_label(code, EVENT_TYPES, path) for code in codes)
