"""What the model predicts for a sentence and for a document, before names are linked to entities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from riskwire.inference.model.named_spans import NamedSpan
from riskwire.inference.model.probabilities import Distribution, mean_logits, rounded, softmax
from riskwire.inference.model.risk_heads import TokenEvents, TokenLevels
from riskwire.inference.model.sentences import SentenceSpan, TextDocument
from riskwire.records import EventScore, Level


class SpanPrediction(NamedTuple):
    """What a text says of the party that a span names.

    Attributes:
        sentiment: probabilities of negative, neutral and positive.
        level: None when the bundle has no head for levels.
        events: the event types, the most probable first; None when the bundle has no head for events.
    """

    sentiment: Distribution
    level: Level | None
    events: tuple[EventScore, ...] | None


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
        levels: the levels of its spans; None when the bundle has no head for levels.
        events: the event types of the sentence and of its spans; None when the bundle has no head for events.
    """

    sentiment: Distribution
    topics: Distribution
    names: tuple[NamedSpan, ...]
    offsets: NDArray[np.int32]
    target_logits: NDArray[np.float32] | None
    temperature: float = 1.0
    levels: TokenLevels | None = None
    events: TokenEvents | None = None

    @property
    def events_of_no_party(self) -> tuple[EventScore, ...] | None:
        """The event types that belong to no named party; None when the bundle has no head for events."""
        return None if self.events is None else self.events.of_no_party

    def of_span(self, start: int, end: int) -> SpanPrediction:
        """Returns what the sentence says of a span of it: sentiment, level and event types.

        Each follows from the mean logits over the tokens that overlap the span. The sentiment is that of the sentence
        when no token overlaps the span or the bundle has no head for target sentiment. Without a token, the level is
        neutral and there are no event types.
        """
        overlapping = (self.offsets[:, 0] < end) & (self.offsets[:, 1] > start)
        return SpanPrediction(
            sentiment=self._toward(overlapping),
            level=None if self.levels is None else self.levels.of(overlapping),
            events=None if self.events is None else self.events.of(overlapping),
        )

    def _toward(self, tokens: NDArray[np.bool_]) -> Distribution:
        """Returns the sentiment toward some tokens: the softmax of their mean target logits, rounded.

        It is the sentiment of the sentence without a token, or when the bundle has no head for target sentiment.

        Args:
            tokens: [tokens], whether each token belongs to the span.
        """
        if self.target_logits is None or not tokens.any():
            return self.sentiment
        return rounded(softmax(mean_logits(self.target_logits, tokens), self.temperature))


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
