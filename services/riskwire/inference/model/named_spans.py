"""Decodes the logits of the entity head into named spans: valid BIO tags, complete words, exact character offsets.

Pure functions. The logits of a word are those of its first token, as in training.
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
"""Unicode categories of emoji and similar symbols, invisible characters, spaces, dashes and quotes. Symbols of money
and mathematics have other categories and may be part of a name."""
_POSSESSIVES = ("'s", "’s", "'S", "’S")


@dataclass(frozen=True, slots=True)
class NamedSpan:
    """A span of a sentence that names something.

    Attributes:
        kind: PER, ORG, LOC or MISC.
    """

    start: int
    end: int
    kind: str


def allowed_transitions(labels: Sequence[str]) -> NDArray[np.bool_]:
    """Returns [from, to]: which tag may follow which. I-X follows only B-X or I-X; any other tag follows every tag.

    Args:
        labels: the BIO tags (B-X begins a name of kind X, I-X continues it, O is outside); their order numbers the
            tags.
    """
    allowed = np.ones((len(labels), len(labels)), dtype=np.bool_)
    for to, label in enumerate(labels):
        if label.startswith("I-"):
            allowed[:, to] = [previous in (f"B-{label[2:]}", label) for previous in labels]
    return allowed


def best_tags(logits: NDArray[np.float32], labels: Sequence[str]) -> list[int]:
    """Returns the valid tag sequence with the highest sum of logits (Viterbi; of equal tags the lower index wins).

    A sequence is valid when I-X follows only B-X or I-X, and no I-X is the first tag. The result has one tag a word, as
    an index of `labels`.

    Args:
        logits: [words, labels].
        labels: BIO tags: B-X begins a name of kind X, I-X continues it, O is outside.
    """
    if not len(logits):
        return []
    allowed = allowed_transitions(labels)
    may_open = np.array([not label.startswith("I-") for label in labels])
    greedy: list[int] = logits.argmax(axis=1).tolist()
    if may_open[greedy[0]] and all(allowed[tag, following] for tag, following in pairwise(greedy)):
        return greedy  # the best sequence without the constraint is valid, so it is also the best with it
    scores = logits.astype(np.float64)
    best = np.where(may_open, scores[0], -np.inf)
    came_from = np.zeros(logits.shape, dtype=np.int64)
    for word in range(1, len(scores)):
        through = np.where(allowed, best[:, None], -np.inf)
        came_from[word] = through.argmax(axis=0)
        best = through.max(axis=0) + scores[word]
    tags = [int(best.argmax())]
    for word in range(len(scores) - 1, 0, -1):
        tags.append(int(came_from[word, tags[-1]]))
    return tags[::-1]


def tag_runs(tags: Sequence[int], labels: Sequence[str]) -> list[tuple[int, int, str]]:
    """Returns the names in a valid tag sequence, as (first word, last word + 1, kind)."""
    runs: list[tuple[int, int, str]] = []
    for word, tag in enumerate(tags):
        label = labels[tag]
        if label.startswith("B-"):
            runs.append((word, word + 1, label[2:]))
        elif label.startswith("I-"):
            first, _, kind = runs[-1]
            runs[-1] = (first, word + 1, kind)
    return runs


def words_of(word_ids: Sequence[int | None]) -> list[tuple[int, int]]:
    """Returns the words of a tokenized sentence, as (first token, last token + 1).

    Args:
        word_ids: for each token, the index of its word; None for a special token.
    """
    words: list[tuple[int, int]] = []
    previous: int | None = None
    for token, word in enumerate(word_ids):
        if word is None:
            previous = None
        elif word == previous:
            words[-1] = (words[-1][0], token + 1)
        else:
            words.append((token, token + 1))
            previous = word
    return words


def named_spans(
    text: str,
    logits: NDArray[np.float32],
    offsets: Sequence[tuple[int, int]],
    word_ids: Sequence[int | None],
    labels: Sequence[str],
) -> list[NamedSpan]:
    """Returns the names in a sentence, in order, trimmed of quotes, brackets and a possessive 's at the ends.

    A word takes the tag of its first token. A name of which trimming leaves nothing is dropped.

    Args:
        logits: [tokens, labels].
        offsets: for each token, its start and end in `text`.
        word_ids: for each token, the index of its word.
        labels: the BIO tags, in the order of the logits.
    """
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
    """Returns a span without white space, quotes, brackets and emoji at either end or a possessive 's at its end.

    The result is (start, end) in `text`; both are equal if nothing remains.
    """
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
    """Returns whether a character is cut off at the ends of a name.

    That is so for white space, quotes, brackets, dashes, commas, colons, emoji and invisible characters.
    """
    if char.isalnum():
        return False
    return char in _EDGE or char.isspace() or unicodedata.category(char) in _EDGE_CATEGORIES
