"""From the logits of the names head to spans: only valid BIO, whole words, exact character offsets.

Pure functions. A word's logits are those of its first piece, as in training.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_QUOTES = "'’‘`\"“”„‚"
_EDGE = " \t\r\n\u00a0,;:()[]{}<>|-–—*•\ufe0e\ufe0f" + _QUOTES
_EDGE_CATEGORIES = {"So", "Sk", "Cf", "Zs", "Pd", "Pi", "Pf"}
"""Emoji and other symbols that are no money or mathematics, invisible characters, spaces, dashes and quotes."""
_POSSESSIVES = ("'s", "’s", "'S", "’S")


@dataclass(frozen=True, slots=True)
class NamedSpan:
    """A stretch of a sentence that names something; `kind` is PER, ORG, LOC or MISC."""

    start: int
    end: int
    kind: str


def allowed_after(labels: Sequence[str]) -> NDArray[np.bool_]:
    """[from, to]: which tag may follow which; I-X only follows B-X or I-X."""
    allowed = np.ones((len(labels), len(labels)), dtype=np.bool_)
    for to, label in enumerate(labels):
        if label.startswith("I-"):
            allowed[:, to] = [before in (f"B-{label[2:]}", label) for before in labels]
    return allowed


def best_tags(logits: NDArray[np.float32], labels: Sequence[str]) -> list[int]:
    """The best valid tag sequence of `logits` [words, labels] (Viterbi over allowed transitions; ties: lower index)."""
    if not len(logits):
        return []
    allowed = allowed_after(labels)
    openers = np.array([not label.startswith("I-") for label in labels])
    greedy: list[int] = logits.argmax(axis=1).tolist()
    if openers[greedy[0]] and all(allowed[a, b] for a, b in pairwise(greedy)):
        return greedy  # the unconstrained best is valid, so it is the constrained best
    scores = logits.astype(np.float64)
    best = np.where(openers, scores[0], -np.inf)
    came_from = np.zeros(logits.shape, dtype=np.int64)
    for at in range(1, len(scores)):
        through = np.where(allowed, best[:, None], -np.inf)
        came_from[at] = through.argmax(axis=0)
        best = through.max(axis=0) + scores[at]
    tags = [int(best.argmax())]
    for at in range(len(scores) - 1, 0, -1):
        tags.append(int(came_from[at, tags[-1]]))
    return tags[::-1]


def tag_runs(tags: Sequence[int], labels: Sequence[str]) -> list[tuple[int, int, str]]:
    """Runs of a valid tag sequence as (first word, last word + 1, kind)."""
    runs: list[tuple[int, int, str]] = []
    for at, tag in enumerate(tags):
        label = labels[tag]
        if label.startswith("B-"):
            runs.append((at, at + 1, label[2:]))
        elif label.startswith("I-"):
            first, _, kind = runs[-1]
            runs[-1] = (first, at + 1, kind)
    return runs


def words_of(word_ids: Sequence[int | None]) -> list[tuple[int, int]]:
    """(first piece, last piece + 1) of each word; pieces that are no word (specials) have None."""
    words: list[tuple[int, int]] = []
    previous: int | None = None
    for at, word in enumerate(word_ids):
        if word is None:
            previous = None
        elif word == previous:
            words[-1] = (words[-1][0], at + 1)
        else:
            words.append((at, at + 1))
            previous = word
    return words


def named_spans(
    text: str,
    logits: NDArray[np.float32],
    offsets: Sequence[tuple[int, int]],
    word_ids: Sequence[int | None],
    labels: Sequence[str],
) -> list[NamedSpan]:
    """The names in a sentence: `logits` [pieces, labels], `offsets` into `text` and `word_ids` by piece."""
    words = words_of(word_ids)
    if not words:
        return []
    tags = best_tags(logits[[first for first, _ in words]], labels)
    spans: list[NamedSpan] = []
    for first, last, kind in tag_runs(tags, labels):
        start, end = trimmed(text, offsets[words[first][0]][0], offsets[words[last - 1][1] - 1][1])
        if start < end:
            spans.append(NamedSpan(start, end, kind))
    return spans


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """A span without white space, quotes, brackets and emoji at its edges and without a possessive 's at its end."""
    while start < end and _is_edge(text[start]):
        start += 1
    while start < end:
        if end - start > len(_POSSESSIVES[0]) and text.endswith(_POSSESSIVES, start, end):
            end -= len(_POSSESSIVES[0])
        elif _is_edge(text[end - 1]):
            end -= 1
        else:
            break
    return start, end


def _is_edge(char: str) -> bool:
    if char.isalnum():
        return False
    return char in _EDGE or char.isspace() or unicodedata.category(char) in _EDGE_CATEGORIES
