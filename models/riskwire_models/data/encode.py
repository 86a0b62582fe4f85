"""Examples as word pieces, with the targets of the four heads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tokenizers import Tokenizer

from riskwire_models.data.examples import Example
from riskwire_models.data.labels import IGNORED, SENTIMENTS, TOPICS, pieces_inside, tag_pieces


@dataclass(frozen=True, slots=True)
class Encoded:
    """Word pieces of one sentence and its targets; ``targets`` are (positions of the mention's pieces, label)."""

    ids: tuple[int, ...]
    sentiment: int = IGNORED
    topic: int = IGNORED
    tags: tuple[int, ...] | None = None
    targets: tuple[tuple[tuple[int, ...], int], ...] = field(default=())
    source: str = ""

    def __len__(self) -> int:
        return len(self.ids)


def load_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a file, with whatever padding and truncation the file asks for switched off."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def cut(ids: Sequence[int], offsets: Sequence[tuple[int, int]], length: int) -> tuple[list[int], list[tuple[int, int]]]:
    """At most ``length`` pieces: the last one stays the separator."""
    if len(ids) <= length:
        return list(ids), list(offsets)
    return [*ids[: length - 1], ids[-1]], [*offsets[: length - 1], offsets[-1]]


def first_pieces(text: str, offsets: Sequence[tuple[int, int]]) -> list[int]:
    """Positions of the first word piece of each word between spaces that was not cut off."""
    return [at for at, (start, end) in enumerate(offsets) if end > start and (start == 0 or text[start - 1] == " ")]


def encode(examples: Iterable[Example], tokenizer: Tokenizer, length: int) -> list[Encoded]:
    """Every example as at most ``length`` word pieces; mentions that are cut off are dropped."""
    examples = list(examples)
    rows: list[Encoded] = []
    for example, pieces in zip(examples, tokenizer.encode_batch([one.text for one in examples]), strict=True):
        ids, offsets = cut(pieces.ids, pieces.offsets, length)
        tags = None
        if example.entities is not None:
            tags = tuple(tag_pieces(offsets, example.entities, example.unknown))
        targets = tuple(
            (tuple(inside), SENTIMENTS.index(span.label))
            for span in example.targets
            if (inside := pieces_inside(offsets, span))
        )
        rows.append(
            Encoded(
                ids=tuple(ids),
                sentiment=IGNORED if example.sentiment is None else SENTIMENTS.index(example.sentiment),
                topic=IGNORED if example.topic is None else TOPICS.index(example.topic),
                tags=tags,
                targets=targets,
                source=example.source,
            )
        )
    return rows
