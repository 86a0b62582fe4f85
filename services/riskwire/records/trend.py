"""Records of the topic `trends`."""

from __future__ import annotations

from riskwire.records.codec import Record, Utc


class TrendPoint(Record):
    """The sentiment toward one target in one period. Weights are sums of relevance x probability over stories."""

    v: int = 1
    target: str
    name: str = ""
    start: Utc
    length_s: int
    stories: int
    articles: int
    negative: float
    neutral: float
    positive: float
    score: float
    surprise: float
