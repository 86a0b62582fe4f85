"""Encodes examples as word pieces, with the expected output of each head."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from riskwire_models.data.examples import Example
from riskwire_models.data.labels import (
    EVENT_TYPES,
    IGNORED,
    LEVELS,
    SENTIMENTS,
    TOPICS,
    MentionReading,
    SentenceReading,
    pieces_inside,
    tag_pieces,
)


@dataclass(frozen=True, slots=True)
class EncodedTarget:
    """A mention as word pieces, and the label index that each head should predict.

    Attributes:
        positions: positions of its word pieces in the sentence.
        sentiment: index in `labels.SENTIMENTS`, or `IGNORED`.
        level: index in `labels.LEVELS`, or `IGNORED`.
        events: indices in `labels.EVENT_TYPES`, or None if the events are not known.
        teacher: what a teacher model says of the mention.
    """

    positions: tuple[int, ...]
    sentiment: int = IGNORED
    level: int = IGNORED
    events: tuple[int, ...] | None = None
    teacher: MentionReading | None = None


@dataclass(frozen=True, slots=True)
class EncodedExample:
    """The word pieces of one sentence, and the label index that each head should predict.

    Attributes:
        ids: vocabulary ids of the word pieces.
        sentiment: index in `labels.SENTIMENTS`, or `IGNORED`.
        topic: index in `labels.TOPICS`, or `IGNORED`.
        tags: index in `labels.ENTITY_TAGS` of each word piece, or None if the entities are not known.
        targets: the mentions of which something is known.
        events: indices in `labels.EVENT_TYPES` of the events that belong to no mention, or None if they are not known.
        source: name of the data set.
        teacher: what a teacher model says of the sentence.
    """

    ids: tuple[int, ...]
    sentiment: int = IGNORED
    topic: int = IGNORED
    tags: tuple[int, ...] | None = None
    targets: tuple[EncodedTarget, ...] = ()
    events: tuple[int, ...] | None = None
    source: str = ""
    teacher: SentenceReading | None = None

    def __len__(self) -> int:
        return len(self.ids)


def load_tokenizer(path: Path) -> Tokenizer:
    """Returns the tokenizer of a file, without the padding and truncation that the file may ask for."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def truncate(
    ids: Sequence[int], offsets: Sequence[tuple[int, int]], length: int
) -> tuple[list[int], list[tuple[int, int]]]:
    """Returns at most ``length`` word pieces; the last one remains the separator."""
    if len(ids) <= length:
        return list(ids), list(offsets)
    return [*ids[: length - 1], ids[-1]], [*offsets[: length - 1], offsets[-1]]


def first_pieces(text: str, offsets: Sequence[tuple[int, int]]) -> list[int]:
    """Returns the positions of the first word piece of each space-separated word."""
    return [
        position
        for position, (start, end) in enumerate(offsets)
        if end > start and (start == 0 or text[start - 1] == " ")
    ]


def _index(label: str | None, labels: Sequence[str]) -> int:
    return IGNORED if label is None else labels.index(label)


def _event_indices(events: Sequence[str] | None) -> tuple[int, ...] | None:
    return None if events is None else tuple(EVENT_TYPES.index(event) for event in events)


def encode_examples(examples: Iterable[Example], tokenizer: Tokenizer, length: int) -> list[EncodedExample]:
    """Encodes each example as at most ``length`` word pieces. Drops mentions that are truncated."""
    examples = list(examples)
    rows: list[EncodedExample] = []
    for example, pieces in zip(examples, tokenizer.encode_batch([item.text for item in examples]), strict=True):
        ids, offsets = truncate(pieces.ids, pieces.offsets, length)
        tags = None
        if example.entities is not None:
            tags = tuple(tag_pieces(offsets, example.entities, example.unknown))
        targets = tuple(
            EncodedTarget(
                tuple(inside),
                _index(target.sentiment, SENTIMENTS),
                _index(target.level, LEVELS),
                _event_indices(target.events),
                target.teacher,
            )
            for target in example.targets
            if (inside := pieces_inside(offsets, target.start, target.end))
        )
        rows.append(
            EncodedExample(
                ids=tuple(ids),
                sentiment=_index(example.sentiment, SENTIMENTS),
                topic=_index(example.topic, TOPICS),
                tags=tags,
                targets=targets,
                events=_event_indices(example.events),
                source=example.source,
                teacher=example.teacher,
            )
        )
    return rows
