"""Encodes examples as word pieces, with the expected output of each head."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tokenizers import Tokenizer

from riskwire_models.data.examples import Example
from riskwire_models.data.labels import IGNORED, SENTIMENTS, TOPICS, pieces_inside, tag_pieces


@dataclass(frozen=True, slots=True)
class EncodedExample:
    """The word pieces of one sentence, and the label index that each head should predict.

    Attributes:
        ids: vocabulary ids of the word pieces.
        sentiment: index in `labels.SENTIMENTS`, or `IGNORED`.
        topic: index in `labels.TOPICS`, or `IGNORED`.
        tags: index in `labels.ENTITY_TAGS` of each word piece, or None if the entities are not known.
        targets: for each mention, the positions of its word pieces and the index of its sentiment.
        source: name of the data set.
    """

    ids: tuple[int, ...]
    sentiment: int = IGNORED
    topic: int = IGNORED
    tags: tuple[int, ...] | None = None
    targets: tuple[tuple[tuple[int, ...], int], ...] = field(default=())
    source: str = ""

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
            (tuple(inside), SENTIMENTS.index(span.label))
            for span in example.targets
            if (inside := pieces_inside(offsets, span))
        )
        rows.append(
            EncodedExample(
                ids=tuple(ids),
                sentiment=IGNORED if example.sentiment is None else SENTIMENTS.index(example.sentiment),
                topic=IGNORED if example.topic is None else TOPICS.index(example.topic),
                tags=tags,
                targets=targets,
                source=example.source,
            )
        )
    return rows
