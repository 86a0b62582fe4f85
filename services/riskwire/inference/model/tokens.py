"""Sentences as word pieces, in windows of at most the model's length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from riskwire.errors import BundleError

_SPECIALS = 2
_OVERLAP = 32
"""Word pieces that two windows of one sentence share."""


@dataclass(frozen=True, slots=True)
class Window:
    """Consecutive word pieces of one sentence between the two special tokens.

    `ids` has the special tokens, `first` is the sentence's piece it begins with. Windows overlap; each piece is read
    in the window where it stands farther from the edge: pieces `own_from` to `own_to` are this window's.
    """

    ids: NDArray[np.int64]
    first: int
    own_from: int
    own_to: int

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A sentence's word pieces without special tokens: offsets into it, the word each belongs to, and the windows."""

    offsets: tuple[tuple[int, int], ...]
    words: tuple[int | None, ...]
    windows: tuple[Window, ...]


class TokenEncoder:
    """The bundle's tokenizer; it releases the GIL."""

    def __init__(self, path: Path, max_length: int) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:
            raise BundleError("the tokenizer cannot be read", where=str(path)) from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._room = max_length - _SPECIALS
        self._overlap = min(_OVERLAP, self._room // 2)

    def encode(self, sentences: Sequence[str]) -> list[Encoded]:
        """The word pieces of each sentence. One too long for the model is read in overlapping windows: nothing is
        lost, and a name is never cut."""
        encodings = self._tokenizer.encode_batch(list(sentences))
        return [self._encoded(encoding) for encoding in encodings]

    def _encoded(self, encoding: Encoding) -> Encoded:
        ids = np.array(encoding.ids, dtype=np.int64)
        pieces = len(ids) - _SPECIALS
        windows: list[Window] = []
        first = own_from = 0
        while True:
            last = min(first + self._room, pieces)
            own_to = pieces if last == pieces else last - self._overlap // 2
            inside = ids if last - first == pieces else np.concatenate([ids[:1], ids[first + 1 : last + 1], ids[-1:]])
            windows.append(Window(inside, first, own_from, own_to))
            if last == pieces:
                return Encoded(tuple(encoding.offsets[1:-1]), tuple(encoding.word_ids[1:-1]), tuple(windows))
            first, own_from = last - self._overlap, own_to
