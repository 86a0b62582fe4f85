"""One row of training or evaluation, whatever set it comes from, and the readers of the JSON-lines sets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from riskwire_models.data.headline_names import certain_names, uncertain_stretches
from riskwire_models.data.labels import SENTIMENTS, TOPICS, Span
from riskwire_models.data.text import clean_tweet, unit_hash, without_leading_cashtags
from riskwire_models.errors import DataError


@dataclass(frozen=True, slots=True)
class Example:
    """A sentence and whatever is known about it; a head whose truth is None learns nothing from it.

    ``entities`` are all names of the sentence but for those inside ``unknown`` (character ranges);
    ``targets`` are mentions with the sentiment toward them.
    """

    text: str
    source: str
    sentiment: str | None = None
    topic: str | None = None
    targets: tuple[Span, ...] = ()
    entities: tuple[Span, ...] | None = None
    unknown: tuple[tuple[int, int], ...] = ()


def json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a JSON-lines file; `DataError` names the line that cannot be read."""
    if not path.is_file():
        raise DataError(f"no data file {path}: pass the folder that holds it with --data")
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise DataError(f"{path}:{number}: not JSON ({error})") from error
            if not isinstance(row, dict) or not isinstance(row.get("text"), str):
                raise DataError(f"{path}:{number}: wants an object with a string 'text', has {line[:80]!r}")
            yield row


def _known(label: object, known: tuple[str, ...], path: Path) -> str:
    if not isinstance(label, str) or label not in known:
        raise DataError(f"{path}: label {label!r} is none of {', '.join(known)}")
    return label


def _without_cashtags_for_half(text: str) -> str:
    """News has no leading cashtags; tweets of these sets mostly do. Half keep them, chosen by hash."""
    return without_leading_cashtags(text) if unit_hash(text, "cashtags") < 0.5 else text


def read_sentiment(path: Path, source: str) -> Iterator[Example]:
    """Sentences with one sentiment (TFNS, PhraseBank)."""
    for row in json_lines(path):
        label = _known(row.get("label"), SENTIMENTS, path)
        text = clean_tweet(row["text"])
        if source == "tfns":
            text = _without_cashtags_for_half(text)
        if text:
            yield Example(text, source, sentiment=label)


def read_topics(path: Path, source: str) -> Iterator[Example]:
    """Sentences with one of the twenty topics."""
    for row in json_lines(path):
        label = _known(row.get("label"), TOPICS, path)
        text = _without_cashtags_for_half(clean_tweet(row["text"]))
        if text:
            yield Example(text, source, topic=label)


def read_targets(path: Path, source: str) -> Iterator[Example]:
    """Sentences with the sentiment toward some of their names (SEntFiN, FinEntity).

    Only opinionated names are listed, so the name tagger learns from what is certain alone; the sentence has a
    sentiment where all its targets agree.
    """
    for row in json_lines(path):
        text: str = row["text"]
        targets = tuple(
            Span(int(span["start"]), int(span["end"]), _known(span["label"], SENTIMENTS, path))
            for span in row["entities"]
        )
        if not targets or any(not 0 <= span.start < span.end <= len(text) for span in targets):
            raise DataError(f"{path}: spans {row['entities']!r} do not fit the text {text[:60]!r}")
        labels = {span.label for span in targets}
        entities = certain_names(text, targets)
        yield Example(
            text,
            source,
            sentiment=labels.pop() if len(labels) == 1 else None,
            targets=targets,
            entities=entities,
            unknown=uncertain_stretches(text, entities),
        )
