"""How much of an article a sentence is, and from that how much a name is. Pure.

The title counts 1; the sentences of the text count 0.5, then 0.85 times the one before, but never less than 0.05. A
mention of one who only rates or comments on others counts a fifth.

An entity's relevance is 1 - Π (1 - w) over the sentences that mention it: 1 when the title does, 0.5 for the first
sentence alone, 0.71 for the first two. Its sentiment is the mean over these sentences weighted by w, each sentence
giving the mean over its mentions.
"""

from __future__ import annotations

from collections.abc import Iterable

_TITLE = 1.0
_FIRST = 0.5
_FADE = 0.85
_LEAST = 0.05
SPEAKER = 0.2
"""What a speaker's mention counts of another's."""


def sentence_weight(at: int, *, titled: bool) -> float:
    """The weight of the sentence at a place, counted from 0; a text without a title begins at the weight of a title."""
    if at == 0:
        return _TITLE
    return max(_LEAST, _FIRST * _FADE ** (at - 1 if titled else at))


def relevance(weights: Iterable[float]) -> float:
    """1 - Π (1 - w), rounded to four decimals."""
    rest = 1.0
    for weight in weights:
        rest *= 1.0 - weight
    return round(1.0 - rest, 4)
