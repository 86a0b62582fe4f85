"""Trend points: sums over one minute of one target. The order of signals has no effect on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import orjson

from riskwire.alerting.detectors.rate_detector import WindowVerdict
from riskwire.alerting.story_window import WindowChange
from riskwire.alerting.target_story import MILLION
from riskwire.records import NearestWindow, Signal, TrendPoint, from_ms
from riskwire.settings import AlertingSettings

TREND_MS = 60_000


@dataclass(slots=True)
class TrendMinute:
    """The sums of one minute of a target; weights in millionths, and each story weighs one."""

    target: str
    start_ms: int
    name: str = ""
    stories: int = 0
    articles: int = 0
    negative: int = 0
    neutral: int = 0
    positive: int = 0
    surprise: float = field(default=0.0)
    nearest: NearestWindow | None = None

    @property
    def end_ms(self) -> int:
        """The end of the minute."""
        return self.start_ms + TREND_MS

    @property
    def key(self) -> str:
        """The key of the state."""
        return minute_key(self.target, self.start_ms)

    def add(self, signal: Signal, change: WindowChange) -> None:
        """Adds a signal to the sums of the minute. Sentiment counts once per story, by the article that began it.

        Args:
            change: whether the signal brought a new article or a new story.
        """
        self.name = signal.name
        self.articles += change.new_article
        if change.new_story:
            self.stories += 1
            self.negative += round(signal.sentiment.negative * MILLION)
            self.neutral += round(signal.sentiment.neutral * MILLION)
            self.positive += round(signal.sentiment.positive * MILLION)

    def judged(self, surprise: float, nearest: NearestWindow | None) -> None:
        """Takes the surprise of its target and the window nearest to firing, if none of the minute surprised more."""
        if surprise >= self.surprise:
            self.surprise, self.nearest = surprise, nearest

    def point(self) -> TrendPoint:
        """Returns the sums of the minute as a record of `trends`; its score is the mean of positive minus negative."""
        mean = (self.positive - self.negative) / (self.stories * MILLION) if self.stories else 0.0
        return TrendPoint.unvalidated(
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
            nearest=self.nearest,
        )

    def encoded(self) -> bytes:
        """Returns the minute as bytes of the state."""
        return orjson.dumps(self, default=NearestWindow.model_dump)

    @classmethod
    def decoded(cls, raw: bytes) -> TrendMinute:
        """Returns the minute that `encoded` gave."""
        values = orjson.loads(raw)
        nearest = values.pop("nearest", None)
        return cls(**values, nearest=nearest and NearestWindow.model_validate(nearest))


def minute_key(target: str, start_ms: int) -> str:
    """Returns the key of a minute in the state."""
    return f"{start_ms}/{target}"


def nearest_window(verdicts: Sequence[WindowVerdict], threshold: float, min_stories: int) -> NearestWindow:
    """Returns the window that is nearest to firing; the shortest of several that are equally near.

    How near it is depends on the limit that it is farther from: the least number of negative stories, or the threshold.

    Args:
        verdicts: one for each window of the target; at least one.
        threshold: the surprise of a notice.
    """

    def nearness(verdict: WindowVerdict) -> tuple[float, int]:
        return min(verdict.negative / min_stories, verdict.surprise / threshold), -verdict.window_s

    verdict = max(verdicts, key=nearness)
    return NearestWindow.unvalidated(
        window_s=verdict.window_s,
        stories=verdict.negative,
        min_stories=min_stories,
        surprise=round(verdict.surprise, 3),
        threshold=round(threshold, 3),
    )


def nothing_near(settings: AlertingSettings, threshold: float) -> NearestWindow:
    """Returns the window that is nearest to firing of a target without adverse stories: the shortest.

    Args:
        threshold: the surprise of a notice.
    """
    return _nothing_near(min(settings.windows_s), settings.min_stories, round(threshold, 3))


@lru_cache(maxsize=1_024)
def _nothing_near(window_s: int, min_stories: int, threshold: float) -> NearestWindow:
    """Returns a shared record: most targets have no adverse story most of the time."""
    return NearestWindow.unvalidated(
        window_s=window_s, stories=0, min_stories=min_stories, surprise=0.0, threshold=threshold
    )
