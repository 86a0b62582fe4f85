"""From a sentence's logits to its reading."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from riskwire.inference.model.bundle import Heads
from riskwire.inference.model.decode import named_spans
from riskwire.inference.model.probabilities import Distribution, mean, rounded, softmax
from riskwire.inference.model.reading import SentenceReading
from riskwire.inference.model.session import Logits
from riskwire.inference.model.tokens import Encoded


def decode_sentence(text: str, encoded: Encoded, logits: Sequence[Logits], heads: Heads) -> SentenceReading:
    """The reading of a sentence from the logits of its windows.

    A sentence in several windows gets the mean of their sentiments and topics, weighted by the word pieces each
    answers for; its names are decoded over the whole of it.
    """
    targets = heads.target_sentiment
    entities = _joined(encoded, logits, "entities")
    return SentenceReading(
        sentiment=_pooled(encoded, logits, "sentiment", heads.sentiment.temperature),
        topics=_pooled(encoded, logits, "topics", heads.topics.temperature) if heads.topics else (),
        names=tuple(named_spans(text, entities, encoded.offsets, encoded.words, heads.entities.labels)),
        offsets=np.array(encoded.offsets, dtype=np.int32).reshape(-1, 2),
        target_logits=_joined(encoded, logits, "target_sentiment") if targets else None,
        temperature=targets.temperature if targets else 1.0,
    )


def _joined(encoded: Encoded, logits: Sequence[Logits], head: str) -> NDArray[np.float32]:
    """[pieces, labels]: each piece from the window it belongs to, special tokens left out."""
    parts = [
        values[head][1 + window.own_from - window.first : 1 + window.own_to - window.first]
        for window, values in zip(encoded.windows, logits, strict=True)
    ]
    return np.concatenate(parts)


def _pooled(encoded: Encoded, logits: Sequence[Logits], head: str, temperature: float) -> Distribution:
    if len(logits) == 1:
        return rounded(softmax(logits[0][head], temperature))
    return mean(
        [
            (float(window.own_to - window.own_from), softmax(values[head], temperature).tolist())
            for window, values in zip(encoded.windows, logits, strict=True)
        ]
    )
