"""`Example`, the common form of a row of any data set, and the readers of the JSON-lines data sets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from riskwire_models.data.headline_names import certain_names, unknown_ranges
from riskwire_models.data.labels import SENTIMENTS, TOPICS, LabelledSpan, LabelledTarget, SentenceReading
from riskwire_models.data.text import clean_tweet, unit_hash, without_leading_cashtags
from riskwire_models.errors import TrainingDataError


@dataclass(frozen=True, slots=True)
class Example:
    """A sentence with its known labels. A head whose label is None is not trained on it.

    Attributes:
        text: the sentence.
        source: name of the data set.
        sentiment: sentiment of the sentence, one of `labels.SENTIMENTS`.
        topic: one of `labels.TOPICS`.
        targets: mentions, with what is known of them.
        entities: all entities outside the ``unknown`` ranges, labelled with their type.
        unknown: character ranges of which it is not known whether they are entities.
        events: events of the sentence that happened to none of its parties; None if that is not known.
        teacher: what a teacher model says of the sentence.
    """

    text: str
    source: str
    sentiment: str | None = None
    topic: str | None = None
    targets: tuple[LabelledTarget, ...] = ()
    entities: tuple[LabelledSpan, ...] | None = None
    unknown: tuple[tuple[int, int], ...] = ()
    events: tuple[str, ...] | None = None
    teacher: SentenceReading | None = None


def json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the rows of a JSON-lines file.

    Raises:
        TrainingDataError: the file is missing, or a line has a different form; the message names the line.
    """
    if not path.is_file():
        raise TrainingDataError(f"no data file {path}: pass the folder that holds it with --data")
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise TrainingDataError(f"{path}:{number}: not JSON ({error})") from error
            if not isinstance(row, dict) or not isinstance(row.get("text"), str):
                raise TrainingDataError(f"{path}:{number}: expected an object with a string 'text', got {line[:80]!r}")
            yield row


def checked_label(label: object, labels: tuple[str, ...], path: Path) -> str:
    """Returns a label of the data file at `path`.

    Raises:
        TrainingDataError: it is not one of `labels`.
    """
    if not isinstance(label, str) or label not in labels:
        raise TrainingDataError(f"{path}: label {label!r} is not one of {', '.join(labels)}")
    return label


def _without_cashtags_for_half(text: str) -> str:
    # News has no leading cashtags, but most tweets of these sets do. A hash of the text chooses which half keeps them.
    return without_leading_cashtags(text) if unit_hash(text, "cashtags") < 0.5 else text


def read_sentiment(path: Path, source: str) -> Iterator[Example]:
    """Yields sentences with one sentiment each (TFNS, PhraseBank)."""
    for row in json_lines(path):
        label = checked_label(row.get("label"), SENTIMENTS, path)
        text = clean_tweet(row["text"])
        if source == "tfns":
            text = _without_cashtags_for_half(text)
        if text:
            yield Example(text, source, sentiment=label)


def read_topics(path: Path, source: str) -> Iterator[Example]:
    """Yields sentences with one of the twenty topics each."""
    for row in json_lines(path):
        label = checked_label(row.get("label"), TOPICS, path)
        text = _without_cashtags_for_half(clean_tweet(row["text"]))
        if text:
            yield Example(text, source, topic=label)


def read_targets(path: Path, source: str) -> Iterator[Example]:
    """Yields sentences with the sentiment toward some of their names (SEntFiN, FinEntity).

    A row lists only names that an opinion is about, so most other words are unknown to the entity head. A sentence has
    a sentiment if all its targets have the same one.
    """
    for row in json_lines(path):
        text: str = row["text"]
        targets = tuple(
            LabelledTarget(int(span["start"]), int(span["end"]), checked_label(span["label"], SENTIMENTS, path))
            for span in row["entities"]
        )
        if not targets or any(not 0 <= span.start < span.end <= len(text) for span in targets):
            raise TrainingDataError(f"{path}: spans {row['entities']!r} do not fit the text {text[:60]!r}")
        labels = {target.sentiment for target in targets}
        entities = certain_names(text, targets)
        yield Example(
            text,
            source,
            sentiment=labels.pop() if len(labels) == 1 else None,
            targets=targets,
            entities=entities,
            unknown=unknown_ranges(text, entities),
        )
