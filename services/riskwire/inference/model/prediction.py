"""What the model predicts for a sentence and for a document, before names are linked to entities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from riskwire.inference.model.named_spans import NamedSpan
from riskwire.inference.model.probabilities import Distribution, rounded, softmax
from riskwire.inference.model.sentences import SentenceSpan, TextDocument


@dataclass(frozen=True, slots=True, eq=False)
class SentencePrediction:
    """The prediction for one sentence. Offsets are into the sentence, so identical sentences share one prediction.

    Attributes:
        sentiment: probabilities of negative, neutral and positive.
        topics: the probability of each topic label; empty when the bundle has no head for topics.
        names: the named spans, in order.
        offsets: [tokens, 2], the characters of each token, without the special tokens.
        target_logits: [tokens, 3]; None when the bundle has no head for target sentiment.
        temperature: what the target logits are divided by before the softmax.
    """

    sentiment: Distribution
    topics: Distribution
    names: tuple[NamedSpan, ...]
    offsets: NDArray[np.int32]
    target_logits: NDArray[np.float32] | None
    temperature: float = 1.0

    def toward(self, start: int, end: int) -> Distribution:
        """Returns the sentiment toward a span of the sentence, as probabilities of negative, neutral and positive.

        They are the softmax of the mean target logits over the tokens that overlap the span, rounded. They are the
        sentiment of the sentence when no token overlaps it or the bundle has no head for target sentiment.
        """
        if self.target_logits is None:
            return self.sentiment
        overlapping = (self.offsets[:, 0] < end) & (self.offsets[:, 1] > start)
        if not overlapping.any():
            return self.sentiment
        logits = self.target_logits[overlapping].astype(np.float64).mean(axis=0)
        return rounded(softmax(logits.astype(np.float32), self.temperature))


@dataclass(frozen=True, slots=True)
class PredictedSentence:
    """A sentence of a document and its prediction."""

    span: SentenceSpan
    prediction: SentencePrediction

    @property
    def start(self) -> int:
        """The offset of the first character in the document."""
        return self.span.start

    @property
    def end(self) -> int:
        """The offset after the last character in the document."""
        return self.span.end


@dataclass(frozen=True, slots=True)
class DocumentPrediction:
    """The predictions for the sentences of a document, in order.

    Attributes:
        skipped: the number of sentences beyond the limit, which the model did not read.
    """

    document: TextDocument
    sentences: tuple[PredictedSentence, ...]
    skipped: int = 0

    @property
    def titled(self) -> bool:
        """Whether the first sentence is a title."""
        return bool(self.sentences) and self.sentences[0].span.is_title
