"""A distribution over negative, neutral and positive."""

from __future__ import annotations

from riskwire.records.codec import Probability, Record


class Sentiment(Record):
    """Calibrated probabilities that sum to 1."""

    negative: Probability
    neutral: Probability
    positive: Probability

    @property
    def score(self) -> float:
        """positive - negative, in [-1, 1]."""
        return round(self.positive - self.negative, 4)
