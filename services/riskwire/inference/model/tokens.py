"""Tokenizes sentences into windows of at most the model's length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from riskwire.errors import BundleError

_SPECIAL_TOKENS = 2
_OVERLAP = 32
"""Tokens that two windows of one sentence share."""


@dataclass(frozen=True, slots=True)
class TokenWindow:
    """Consecutive tokens of one sentence, between the two special tokens.

    Windows overlap. Each token is decoded from the window in which it is farther from the edge: that window owns it.

    Attributes:
        ids: token ids, with the special tokens.
        first: the position in the sentence of the window's first token.
        owned_from: the position in the sentence of the first token that this window owns.
        owned_to: the position after the last token that this window owns.
    """

    ids: NDArray[np.int64]
    first: int
    owned_from: int
    owned_to: int

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class TokenizedSentence:
    """The tokens of a sentence, without the special tokens, and the windows that the model reads.

    Attributes:
        offsets: for each token, its start and end in the sentence.
        words: for each token, the index of its word.
    """

    offsets: tuple[tuple[int, int], ...]
    words: tuple[int | None, ...]
    windows: tuple[TokenWindow, ...]


class TokenEncoder:
    """The tokenizer of a bundle. It releases the GIL while it works.

    Args:
        path: the tokenizer file.
        max_length: the most tokens of a window, with the special tokens.

    Raises:
        BundleError: the file cannot be read.
    """

    def __init__(self, path: Path, max_length: int) -> None:
        """Loads the tokenizer of a bundle, for windows of at most `max_length` tokens with the special tokens.

        Two windows of one sentence share `_OVERLAP` tokens, or half of a window if that is less.

        Raises:
            BundleError: the file cannot be read.
        """
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:
            raise BundleError("the tokenizer cannot be read", where=str(path)) from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._window_tokens = max_length - _SPECIAL_TOKENS
        self._overlap = min(_OVERLAP, self._window_tokens // 2)

    def encode(self, sentences: Sequence[str]) -> list[TokenizedSentence]:
        """Tokenizes sentences. A sentence too long for the model is split into overlapping windows.

        So no token is lost, and a name at the edge of one window is complete in the next.
        """
        encodings = self._tokenizer.encode_batch(list(sentences))
        return [self._tokenized(encoding) for encoding in encodings]

    def _tokenized(self, encoding: Encoding) -> TokenizedSentence:
        """Returns a sentence as windows of tokens that fit into the model, each with the special tokens at both ends.

        A longer sentence gets overlapping windows. Each token is owned by one window, which predicts it: ownership
        changes in the middle of the overlap, so that every token has context on both sides. The positions `first`,
        `owned_from` and `owned_to` (exclusive) count the tokens of the sentence from 0, without the special tokens.
        """
        ids = np.array(encoding.ids, dtype=np.int64)
        count = len(ids) - _SPECIAL_TOKENS
        windows: list[TokenWindow] = []
        first = owned_from = 0
        while True:
            last = min(first + self._window_tokens, count)
            owned_to = count if last == count else last - self._overlap // 2
            fits = last - first == count
            window_ids = ids if fits else np.concatenate([ids[:1], ids[first + 1 : last + 1], ids[-1:]])
            windows.append(TokenWindow(window_ids, first, owned_from, owned_to))
            if last == count:
                return TokenizedSentence(tuple(encoding.offsets[1:-1]), tuple(encoding.word_ids[1:-1]), tuple(windows))
            first, owned_from = last - self._overlap, owned_to
