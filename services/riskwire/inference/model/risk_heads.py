"""Decodes the heads `level` and `events`: the level and the event types of a sentence and its spans.

The logits of a mention are the mean over its word pieces. Those of the piece that starts the sentence (position 0)
are those of the event types that belong to no named party.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from riskwire.inference.model.bundle import EventsHead
from riskwire.inference.model.probabilities import DECIMALS, Distribution, mean_logits, rounded, softmax
from riskwire.records import EventScore, Level
from riskwire.worst_mention import strongest_events

_UNIT = 10.0**-DECIMALS
"""Probabilities are rounded to this."""


def level_of(shares: Distribution) -> Level:
    """Returns a rounded distribution over neutral, mild, material and favourable as part of a record."""
    neutral, mild, material, favourable = shares
    return Level.unvalidated(neutral=neutral, mild=mild, material=material, favourable=favourable)


NEUTRAL_LEVEL = level_of((1.0, 0.0, 0.0, 0.0))
"""The level of a span that no token overlaps, such as white space: it names no party."""


@dataclass(frozen=True, slots=True, eq=False)
class TokenLevels:
    """The level logits of a sentence.

    Attributes:
        logits: [tokens, 4], without the special tokens.
        temperature: what the logits are divided by before the softmax.
    """

    logits: NDArray[np.float32]
    temperature: float

    def of(self, tokens: NDArray[np.bool_]) -> Level:
        """Returns the level of a span, rounded so that it sums to 1; `NEUTRAL_LEVEL` for a span without tokens.

        Args:
            tokens: [tokens], whether each token of the sentence overlaps the span.
        """
        if not tokens.any():
            return NEUTRAL_LEVEL
        return level_of(rounded(softmax(mean_logits(self.logits, tokens), self.temperature)))


@dataclass(frozen=True, slots=True, eq=False)
class TokenEvents:
    """The event types of a sentence, and the logits from which those of a span follow.

    Attributes:
        labels: the event types that any span of the sentence can have.
        logits: [tokens, labels], without the special tokens.
        temperature: what the logits are divided by before the sigmoid.
        threshold: the probability from which an event type is given.
        of_no_party: the event types of the sentence that belong to no named party, the most probable first.
    """

    labels: tuple[str, ...]
    logits: NDArray[np.float32]
    temperature: float
    threshold: float
    of_no_party: tuple[EventScore, ...]

    @classmethod
    def decode(
        cls, token_logits: NDArray[np.float32], start_logits: NDArray[np.float32], head: EventsHead
    ) -> TokenEvents:
        """Returns the event types of a sentence from its logits.

        The mean of a label over some tokens is at most its highest logit. So only labels that reach the threshold at a
        token are kept: mostly none to three of 42, because the cache holds thousands of sentences.

        Args:
            token_logits: [tokens, 42], without the special tokens.
            start_logits: [windows, 42], those of position 0 of each window. An event type in any window of a long
                sentence is one of the sentence.
        """
        probability = max(head.events_from - 2 * _UNIT, _UNIT / 4)  # a rounded probability may reach the threshold
        least = head.temperature * math.log(probability / (1.0 - probability))
        reached = np.flatnonzero((token_logits >= least).any(axis=0))
        best = start_logits.max(axis=0)
        of_no_party = np.flatnonzero(best >= least)
        return cls(
            labels=_at(head.labels, reached),
            logits=token_logits[:, reached],
            temperature=head.temperature,
            threshold=head.events_from,
            of_no_party=_events(best[of_no_party], _at(head.labels, of_no_party), head.temperature, head.events_from),
        )

    def of(self, tokens: NDArray[np.bool_]) -> tuple[EventScore, ...]:
        """Returns the event types of a span, at most `MAX_EVENTS`, the most probable first; none without tokens.

        Args:
            tokens: [tokens], whether each token of the sentence overlaps the span.
        """
        if not self.labels or not tokens.any():
            return ()
        return _events(mean_logits(self.logits, tokens), self.labels, self.temperature, self.threshold)


def _at(labels: tuple[str, ...], columns: NDArray[np.intp]) -> tuple[str, ...]:
    return tuple([labels[column] for column in columns])


def _events(
    logits: NDArray[np.float32], labels: tuple[str, ...], temperature: float, threshold: float
) -> tuple[EventScore, ...]:
    """Returns the labels whose rounded probability is at least the threshold, at most `MAX_EVENTS`, the best first.

    Args:
        logits: [labels]; a probability is sigmoid(logit / temperature).
    """
    scores = [_sigmoid(logit / temperature) for logit in logits.tolist()]
    likely = tuple(
        EventScore.unvalidated(label=label, score=score)
        for label, score in zip(labels, scores, strict=True)
        if score >= threshold
    )
    return strongest_events([likely]) or ()


def _sigmoid(value: float) -> float:
    """Returns 1 / (1 + exp(-value)), rounded; neither overflows for a large negative value nor for a large positive."""
    power = math.exp(-abs(value))
    return round((1.0 if value >= 0 else power) / (1.0 + power), DECIMALS)
