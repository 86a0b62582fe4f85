"""Decodes the logits of a sentence into its prediction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from riskwire.inference.model.bundle import BundleHeads
from riskwire.inference.model.named_spans import named_spans
from riskwire.inference.model.prediction import SentencePrediction
from riskwire.inference.model.probabilities import Distribution, mean, rounded, softmax
from riskwire.inference.model.risk_heads import TokenEvents, TokenLevels
from riskwire.inference.model.session import Logits
from riskwire.inference.model.tokens import TokenizedSentence


def decode_sentence(
    text: str,
    tokenized: TokenizedSentence,
    logits: Sequence[Logits],
    heads: BundleHeads,
    for_sentiment: tuple[TokenizedSentence, Sequence[Logits]] | None = None,
) -> SentencePrediction:
    """Returns the prediction for a sentence from the logits of its windows: sentiment, topics, names and event types.

    The logits for the sentiment toward a target, its level and its event types are handed on, without special tokens;
    the caller asks for a span later.

    For a sentence in several windows, sentiment and topics are the means over the windows, weighted by the
    number of tokens that each window owns. Names are decoded over the joined windows.

    Args:
        tokenized: the tokens of the sentence, in one or more overlapping windows.
        logits: the outputs of the model for each window, by head.
        heads: the labels and temperatures of the bundle.
        for_sentiment: the tokens and outputs of the model that gives the sentiment, if it is a second one.
    """
    target_head = heads.target_sentiment
    entity_logits = _joined(tokenized, logits, "entities")
    return SentencePrediction(
        sentiment=_pooled(*(for_sentiment or (tokenized, logits)), "sentiment", heads.sentiment.temperature),
        topics=_pooled(tokenized, logits, "topics", heads.topics.temperature) if heads.topics else (),
        names=tuple(named_spans(text, entity_logits, tokenized.offsets, tokenized.words, heads.entities.labels)),
        offsets=np.array(tokenized.offsets, dtype=np.int32).reshape(-1, 2),
        target_logits=_joined(tokenized, logits, "target_sentiment") if target_head else None,
        temperature=target_head.temperature if target_head else 1.0,
        levels=TokenLevels(_joined(tokenized, logits, "level"), heads.level.temperature) if heads.level else None,
        events=(
            TokenEvents.decode(
                _joined(tokenized, logits, "events"), np.stack([values["events"][0] for values in logits]), heads.events
            )
            if heads.events
            else None
        ),
    )


def _joined(tokenized: TokenizedSentence, logits: Sequence[Logits], head: str) -> NDArray[np.float32]:
    """Returns [tokens, labels]: each token's logits from the window that owns it, without the special tokens.

    Windows of a sentence overlap, and each token is owned by one. The special token before a window has row 0.

    Args:
        logits: the outputs of the model for each window, by head.
        head: the name of an output with logits for each token, such as `entities`.
    """
    parts = [
        values[head][1 + window.owned_from - window.first : 1 + window.owned_to - window.first]
        for window, values in zip(tokenized.windows, logits, strict=True)
    ]
    return np.concatenate(parts)


def _pooled(tokenized: TokenizedSentence, logits: Sequence[Logits], head: str, temperature: float) -> Distribution:
    """Returns the class probabilities of a sentence from the logits of one head, rounded, in the order of its labels.

    A long sentence has several overlapping windows. Their distributions are averaged, weighted by the number of tokens
    that each window owns.

    Args:
        temperature: divides the logits, so that probabilities are calibrated.
    """
    if len(logits) == 1:
        return rounded(softmax(logits[0][head], temperature))
    return mean(
        [
            (float(window.owned_to - window.owned_from), softmax(values[head], temperature).tolist())
            for window, values in zip(tokenized.windows, logits, strict=True)
        ]
    )
