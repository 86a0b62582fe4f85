"""The weight of each sentence that was read (`riskwire.weights` says why). Pure."""

from __future__ import annotations

from collections.abc import Sequence

from riskwire.inference.reading import ReadSentence
from riskwire.weights import SPEAKER, relevance, sentence_weight

__all__ = ["SPEAKER", "relevance", "sentence_weights"]


def sentence_weights(sentences: Sequence[ReadSentence]) -> list[float]:
    """The weight of each sentence; a text without a title begins at the weight of a title."""
    titled = bool(sentences) and sentences[0].place.title
    return [sentence_weight(at, titled=titled) for at in range(len(sentences))]
