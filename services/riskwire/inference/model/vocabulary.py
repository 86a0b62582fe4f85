"""The whole words of a bundle's tokenizer, and whether a short text of unknown language consists of such words.

Names say nothing about a language, so the words beside them decide. Where capitals show names, those are the lower-case
words. In Title Case and in capitals they are the last words, because a headline begins with its names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

MAX_WORDS = 40
"""Words of a short text. py3langid knows the language of a longer one, if it has one."""

_WORD = re.compile(r"[^\W\d_]+")
_WORD_STARTS = ("Ġ", "▁")
"""Marks at the start of a word in byte-pair and unigram tokenizers; in WordPiece the other tokens begin with `##`."""
_ENDINGS = ("s", "es", "ed", "d", "ing")
_MIN_WORD = 4
"""Letters of a word, or of a stem, that is long enough to tell a language."""
_MIN_LOWER_SHARE = 0.15
"""Least share of lower-case words in text of the usual case."""
_MIN_KNOWN_SHARE = 0.75
_LAST_WORDS = 2


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The whole words of a tokenizer, without case."""

    words: frozenset[str]

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """Returns the vocabulary of a tokenizer file, which `Bundle.load` has checked."""
        tokens = Tokenizer.from_file(str(path)).get_vocab(with_added_tokens=False)
        starts = [token for token in tokens if token.startswith(_WORD_STARTS)]
        words = [token[1:] for token in starts] if starts else list(tokens)
        return cls(frozenset(token.casefold() for token in words if token.isalpha()))

    def reads(self, text: str) -> bool:
        """Returns whether the words of a short text, beside its names, are in the vocabulary.

        At least one word must be long enough to identify a language. A text of more than `MAX_WORDS` is not read.
        """
        words = _WORD.findall(text)
        if not words or len(words) > MAX_WORDS:
            return False
        lower = [word for word in words if word.islower()]
        if any(len(word) >= _MIN_WORD for word in lower) and len(lower) >= _MIN_LOWER_SHARE * len(words):
            known = [word for word in lower if self._knows(word)]
            return len(known) >= _MIN_KNOWN_SHARE * len(lower) and any(len(word) >= _MIN_WORD for word in known)
        last = words[-_LAST_WORDS:]
        return len(last) == _LAST_WORDS and len(last[-1]) >= _MIN_WORD and all(self._knows(word) for word in last)

    def _knows(self, word: str) -> bool:
        """Returns whether a word, or its stem before an English ending, is in the vocabulary."""
        folded = word.casefold()
        return folded in self.words or any(
            folded.endswith(ending)
            and len(stem := folded.removesuffix(ending)) >= _MIN_WORD
            and (stem in self.words or (ending == "ing" and stem + "e" in self.words))
            for ending in _ENDINGS
        )
