"""The weight of each sentence that was read (`riskwire.weights` says why). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from riskwire.inference.model.reading import ReadSentence
from riskwire.weights import SPEAKER, relevance, sentence_weight

__all__ = ["SPEAKER", "clarity_weights", "relevance", "sentence_weights"]


def sentence_weights(sentences: Sequence[ReadSentence]) -> tuple[float, ...]:
    """The weight of each sentence; a text without a title begins at the weight of a title."""
    return _weights(len(sentences), titled=bool(sentences) and sentences[0].place.title)


def clarity_weights(sentences: Sequence[ReadSentence]) -> tuple[float, ...]:
    """How much each sentence counts where one is sought that says clearly what the whole says."""
    return _roots(sentence_weights(sentences))


@lru_cache(maxsize=1_024)
def _roots(weights: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(weight**0.5 for weight in weights)


@lru_cache(maxsize=1_024)
def _weights(count: int, *, titled: bool) -> tuple[float, ...]:
    return tuple(sentence_weight(at, titled=titled) for at in range(count))
