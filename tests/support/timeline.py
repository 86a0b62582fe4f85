"""A timeline: signals and marks at hours of stream time, and what comes out of a book."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from riskwire.alerting.book import Book
from riskwire.records import Alert, Evidence, Mark, Sentiment, Signal, TrendPoint, content_id
from riskwire.settings import AlertingSettings

START = datetime(2031, 3, 1, tzinfo=UTC)


def signal(
    at_h: float,
    target: str = "entity:acme",
    negative: float = 0.9,
    *,
    article: str = "",
    version: int = 1,
    story: str = "",
    source: str = "wire",
    backfill: bool = False,
    history: bool = False,
    was_backfill: bool = False,
) -> Signal:
    """A signal `at_h` hours after the start; its own article and story unless told."""
    seen = START + timedelta(hours=at_h)
    article = article or content_id(target, seen.isoformat(), str(negative), source)
    title = f"{target} at {at_h}"
    return Signal(
        target=target,
        name=target.partition(":")[2].title(),
        article=article,
        version=version,
        story=story or content_id("story", article),
        source=source,
        title=title,
        url="https://news.example/" + article,
        published_at=seen,
        seen_at=seen,
        backfill=backfill or history,
        history=history,
        was_backfill=was_backfill,
        sentiment=Sentiment(negative=negative, neutral=round(1 - negative, 4), positive=0.0),
        relevance=1.0,
        evidence=Evidence(text=title, start=0, end=4),
        bundle="tiny@1",
    )


def mark(at_h: float, stories_at: tuple[float, ...] = (), partition: int = 0) -> Mark:
    """A mark at `at_h` hours, having seen a story at each of `stories_at`."""
    buckets: dict[int, int] = {}
    for hour in stories_at:
        bucket = int((START + timedelta(hours=hour)).timestamp()) // 15 * 15
        buckets[bucket] = buckets.get(bucket, 0) + 1
    return Mark(from_=partition, seen_at=START + timedelta(hours=at_h), stories=len(stories_at), buckets=buckets)


@dataclass
class Timeline:
    """Feeds a book hour by hour and keeps what comes out."""

    settings: AlertingSettings = field(default_factory=AlertingSettings)
    partitions: int = 1
    alerts: list[Alert] = field(default_factory=list)
    trends: list[TrendPoint] = field(default_factory=list)
    state: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.book = Book(self.settings, self.partitions, {})

    def feed(self, *records: Signal | Mark) -> list[Alert]:
        """One batch; returns the alerts it brought."""
        for record in records:
            self.book.take(record)
        outcome = self.book.close()
        for key, value in outcome.state.items():
            if value is None:
                self.state.pop(key, None)
            else:
                self.state[key] = value
        self.alerts += outcome.alerts
        self.trends += outcome.trends
        return outcome.alerts

    def restart(self) -> None:
        """As after a kill: a new book from the committed state."""
        self.book = Book(self.settings, self.partitions, self.state)

    def quiet(self, from_h: float, until_h: float, every_h: float = 1.0) -> None:
        """News about others goes by: exposure, and time."""
        hour = from_h
        while hour <= until_h:
            self.feed(mark(hour, (hour,)))
            hour += every_h
