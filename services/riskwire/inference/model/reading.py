"""What the model says of a sentence and of a document, before anything is linked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from riskwire.inference.model.decode import NamedSpan
from riskwire.inference.model.probabilities import Distribution, rounded, softmax
from riskwire.inference.model.sentences import Document, Sentence


@dataclass(frozen=True, slots=True, eq=False)
class SentenceReading:
    """One sentence as the model reads it; offsets are into the sentence, so that equal sentences share a reading."""

    sentiment: Distribution
    topics: Distribution
    names: tuple[NamedSpan, ...]
    offsets: NDArray[np.int32]
    """[pieces, 2]: word pieces without the special tokens."""
    target_logits: NDArray[np.float32] | None
    """[pieces, 3]; None where the bundle has no such head."""
    temperature: float = 1.0

    def toward(self, start: int, end: int) -> Distribution:
        """Sentiment toward a span: the mean of the target logits over the word pieces that touch it.

        The sentence's own sentiment where no piece touches it or the bundle has no head for targets.
        """
        if self.target_logits is None:
            return self.sentiment
        touching = (self.offsets[:, 0] < end) & (self.offsets[:, 1] > start)
        if not touching.any():
            return self.sentiment
        logits = self.target_logits[touching].astype(np.float64).mean(axis=0)
        return rounded(softmax(logits.astype(np.float32), self.temperature))


@dataclass(frozen=True, slots=True)
class ReadSentence:
    """A sentence in its place, and its reading."""

    place: Sentence
    reading: SentenceReading

    @property
    def start(self) -> int:
        """First character in the document."""
        return self.place.start

    @property
    def end(self) -> int:
        """One past the last character in the document."""
        return self.place.end


@dataclass(frozen=True, slots=True)
class Reading:
    """A document's sentences in order, and how many were left unread."""

    document: Document
    sentences: tuple[ReadSentence, ...]
    skipped: int = 0
