"""Records of the topic `trends`."""

from __future__ import annotations

from riskwire.records.codec import Record, Utc


class NearestWindow(Record):
    """The window of a target that was nearest to firing an alert.

    A window can fire once it reaches both limits, if it is worse than the target's past.

    Attributes:
        stories: negative stories in the window.
        min_stories: the least number of negative stories that can fire.
        surprise: that of the window.
        threshold: the surprise of a notice.
    """

    window_s: int
    stories: int
    min_stories: int
    surprise: float
    threshold: float


class TrendPoint(Record):
    """The sentiment toward one target in one period. Weights are sums of relevance x probability over stories.

    Attributes:
        surprise: the largest of the period.
        nearest: the window nearest to firing when the surprise was largest; None in records of riskwire 0.1.
    """

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
    nearest: NearestWindow | None = None
