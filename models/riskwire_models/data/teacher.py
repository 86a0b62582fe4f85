"""What a teacher model says of texts: the probabilities from which a smaller model learns (distillation).

Source: Hinton, Vinyals, Dean (2015), Distilling the Knowledge in a Neural Network.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from riskwire_models.data.examples import Example
from riskwire_models.data.labels import (
    EVENT_TYPES,
    LEVELS,
    SENTIMENTS,
    TOPICS,
    LabelledTarget,
    MentionReading,
    SentenceReading,
)
from riskwire_models.errors import TrainingDataError

#: Widths of the arrays of a file of readings.
SENTENCE_WIDTH = len(SENTIMENTS) + len(TOPICS) + len(EVENT_TYPES)
MENTION_WIDTH = len(SENTIMENTS) + len(LEVELS) + len(EVENT_TYPES)


@dataclass(frozen=True, slots=True)
class TextReading:
    """What a teacher says of one text: of the sentence, and of each span (start, end) in it."""

    sentence: SentenceReading
    mentions: Mapping[tuple[int, int], MentionReading]


def key_of(text: str) -> int:
    """Returns a hash of a text, below 2^64, by which a file of readings knows it."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def write_readings(path: Path, readings: Mapping[str, TextReading]) -> None:
    """Writes readings by text to a compressed file. It holds hashes of the texts, not the texts.

    Probabilities are rounded to multiples of 1/255.
    """
    keys, sentences, owners, spans, mentions = [], [], [], [], []
    for number, (text, reading) in enumerate(readings.items()):
        keys.append(key_of(text))
        sentences.append((*reading.sentence.sentiment, *reading.sentence.topics, *reading.sentence.events))
        for span, mention in reading.mentions.items():
            owners.append(number)
            spans.append(span)
            mentions.append((*mention.target_sentiment, *mention.level, *mention.events))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:  # given a name, numpy would add an ending to it
        np.savez_compressed(
            file,
            keys=np.array(keys, np.uint64),
            sentences=_as_bytes(sentences, SENTENCE_WIDTH),
            owners=np.array(owners, np.uint32),
            spans=np.array(spans, np.uint16).reshape(len(spans), 2),
            mentions=_as_bytes(mentions, MENTION_WIDTH),
        )


def read_readings(path: Path) -> dict[int, TextReading]:
    """Returns the readings of a file by the hash of their text (`key_of`).

    Raises:
        TrainingDataError: the file is missing, or its arrays have other widths.
    """
    if not path.is_file():
        raise TrainingDataError(f"no readings of a teacher in {path}: write them with `riskwire model read`")
    with np.load(path) as arrays:
        keys, owners, spans = arrays["keys"], arrays["owners"], arrays["spans"]
        sentences, mentions = arrays["sentences"], arrays["mentions"]
    if sentences.shape[1] != SENTENCE_WIDTH or mentions.shape[1] != MENTION_WIDTH:
        raise TrainingDataError(f"{path} was written with other labels: write it again with `riskwire model read`")
    of_text: list[dict[tuple[int, int], MentionReading]] = [{} for _ in keys]
    for owner, (start, end), row in zip(owners, spans, mentions, strict=True):
        of_text[owner][int(start), int(end)] = MentionReading(*_parts(row, (len(SENTIMENTS), len(LEVELS))))
    return {
        int(key): TextReading(SentenceReading(*_parts(row, (len(SENTIMENTS), len(TOPICS)))), of_text[number])
        for number, (key, row) in enumerate(zip(keys, sentences, strict=True))
    }


def with_readings(examples: Iterable[Example], readings: Mapping[int, TextReading]) -> Iterator[Example]:
    """Yields the examples with the teacher's readings of their texts; an example that has none is unchanged.

    A mention that only the teacher knows becomes a target.
    """
    for example in examples:
        reading = readings.get(key_of(example.text))
        if reading is None:
            yield example
            continue
        targets = [
            replace(target, teacher=reading.mentions.get((target.start, target.end))) for target in example.targets
        ]
        known = {(target.start, target.end) for target in example.targets}
        targets.extend(
            LabelledTarget(start, end, teacher=mention)
            for (start, end), mention in reading.mentions.items()
            if (start, end) not in known
        )
        yield replace(example, targets=tuple(targets), teacher=reading.sentence)


def _as_bytes(rows: Sequence[Sequence[float]], width: int) -> NDArray[np.uint8]:
    return np.rint(np.array(rows, np.float32).reshape(len(rows), width) * 255).astype(np.uint8)


def _parts(row: NDArray[np.uint8], widths: tuple[int, int]) -> tuple[tuple[float, ...], ...]:
    """Returns two distributions, which add up to 1 again, and the independent probabilities after them."""
    first, second = widths
    values = row.astype(np.float32) / 255
    parts = []
    for part in (values[:first], values[first : first + second]):
        parts.append(tuple((part / max(float(part.sum()), 1e-6)).tolist()))
    return (*parts, tuple(values[first + second :].tolist()))
