"""Trend points: what one minute says of one target, in order-free sums."""

from __future__ import annotations

from dataclasses import dataclass, field

import orjson

from riskwire.alerting.story_index import MILLION
from riskwire.alerting.window import Change
from riskwire.records import Signal, TrendPoint, from_ms

TREND_MS = 60_000


@dataclass(slots=True)
class Minute:
    """The sums of one target's minute; weights in millionths, one story weighs one."""

    target: str
    start_ms: int
    name: str = ""
    stories: int = 0
    articles: int = 0
    negative: int = 0
    neutral: int = 0
    positive: int = 0
    surprise: float = field(default=0.0)

    def add(self, signal: Signal, change: Change) -> None:
        """Count what a signal changed."""
        self.name = signal.name
        self.articles += change.article
        if change.story:
            self.stories += 1
            self.negative += round(signal.sentiment.negative * MILLION)
            self.neutral += round(signal.sentiment.neutral * MILLION)
            self.positive += round(signal.sentiment.positive * MILLION)

    def point(self) -> TrendPoint:
        """The record of this minute."""
        mean = (self.positive - self.negative) / (self.stories * MILLION) if self.stories else 0.0
        return TrendPoint.trusted(
            target=self.target,
            name=self.name,
            start=from_ms(self.start_ms),
            length_s=TREND_MS // 1000,
            stories=self.stories,
            articles=self.articles,
            negative=self.negative / MILLION,
            neutral=self.neutral / MILLION,
            positive=self.positive / MILLION,
            score=round(mean, 4),
            surprise=round(self.surprise, 3),
        )

    def encoded(self) -> bytes:
        """As state."""
        return orjson.dumps(self)

    @classmethod
    def decoded(cls, raw: bytes) -> Minute:
        """What `encoded` gave."""
        return cls(**orjson.loads(raw))
