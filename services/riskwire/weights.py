"""The weights of an article's sentences, and the relevance of an entity that follows from them. Pure.

The title weighs 1. The first sentence of the text weighs 0.5, and each further sentence 0.85 times the sentence before
it, but at least 0.05. A mention as a speaker (who only rates or comments on others) weighs a fifth.

The relevance of an entity is 1 - Π (1 - w) over the sentences that mention it: 1 for a mention in the title, 0.5 for
the first sentence of the text alone, 0.71 for its first two. The sentiment toward an entity is the mean over the same
sentences, weighted by w, where each sentence contributes the mean over its mentions.

Both inference and the history of a newly watched target use these weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

_TITLE = 1.0
_FIRST_SENTENCE = 0.5
_DECAY = 0.85
_MINIMUM = 0.05
SPEAKER_FACTOR = 0.2
"""What the weight of a sentence is multiplied by when it mentions the entity only as a speaker."""


def sentence_weight(index: int, *, titled: bool) -> float:
    """Returns the weight of a sentence: 1 for sentence 0, then less with each sentence down to a minimum.

    Without a title, sentence 0 is the first of the text; it then weighs as much as a title.

    Args:
        index: the position of the sentence in the article, from 0.
        titled: whether sentence 0 is a title.
    """
    if index == 0:
        return _TITLE
    return max(_MINIMUM, _FIRST_SENTENCE * _DECAY ** (index - 1 if titled else index))


@lru_cache(maxsize=1_024)
def sentence_weights(count: int, *, titled: bool) -> tuple[float, ...]:
    """Returns the weights of the first `count` sentences of an article."""
    return tuple(sentence_weight(index, titled=titled) for index in range(count))


@lru_cache(maxsize=1_024)
def evidence_weights(count: int, *, titled: bool) -> tuple[float, ...]:
    """Returns the square roots of the weights of the first `count` sentences of an article.

    The evidence sentence, which is shown with a signal or alert, is chosen by them. The root
    lets a later sentence win that states the sentiment more clearly.
    """
    return tuple(weight**0.5 for weight in sentence_weights(count, titled=titled))


def relevance(weights: Iterable[float]) -> float:
    """Returns the relevance of an entity to an article, 0 to 1: 1 - Π (1 - w), rounded to four decimals.

    Args:
        weights: the weights of the sentences that mention the entity. Without any, the relevance is 0.
    """
    remainder = 1.0
    for weight in weights:
        remainder *= 1.0 - weight
    return round(1.0 - remainder, 4)
