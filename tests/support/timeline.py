"""A timeline: signals and marks at hours of stream time, and the alerts and trends that result from them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from riskwire.alerting.book import Book
from riskwire.records import (
    Alert,
    EventScore,
    Evidence,
    Level,
    Mark,
    NearMiss,
    Sentiment,
    Signal,
    TrendPoint,
    content_id,
)
from riskwire.settings import AlertingSettings

START = datetime(2031, 3, 1, tzinfo=UTC)


def time_at(at_h: float) -> datetime:
    """Returns the time of an hour of the timeline."""
    return START + timedelta(hours=at_h)


def time_ms(at_h: float) -> int:
    """Returns the epoch milliseconds of an hour of the timeline."""
    return round(time_at(at_h).timestamp() * 1000)


def signal(
    at_h: float,
    target: str = "entity:acme",
    negative: float = 0.9,
    *,
    article: str = "",
    version: int = 1,
    story: str = "",
    source: str = "wire",
    publisher: str = "",
    backfill: bool = False,
    history: bool = False,
    was_backfill: bool = False,
) -> Signal:
    """Returns a signal seen `at_h` hours after the start. By default it has its own article and story.

    Args:
        negative: the probability of a negative sentiment; the rest is neutral.
        backfill: whether the article was published long before it was seen.
        history: whether the article was read before its target was watched; such a signal is always backfill too.
        was_backfill: for history, whether the article was backfill when it was seen.
    """
    seen = START + timedelta(hours=at_h)
    article = article or content_id(target, seen.isoformat(), str(negative), source + publisher)
    title = f"{target} at {at_h}"
    return Signal(
        target=target,
        name=target.partition(":")[2].title(),
        article=article,
        version=version,
        story=story or content_id("story", article),
        source=source,
        publisher=publisher,
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


def event(
    at_h: float,
    title: str,
    *events: str,
    target: str = "entity:acme",
    name: str = "Acme",
    material: float = 0.95,
    mild: float = 0.03,
    favourable: float = 0.0,
    relevance: float = 1.0,
    groups: tuple[str, ...] = (),
    article: str = "",
    version: int = 1,
    story: str = "",
    publisher: str = "wire.example",
    confirmed: bool = False,
    backfill: bool = False,
    history: bool = False,
) -> Signal:
    """Returns a signal that says of a party with which probability it is material, and what happened.

    Its sentiment is neutral, so that it is part of no spike. By default it has its own article and story.

    Args:
        events: the event types, the most probable first: the first with 0.9, and each further one with 0.1 less.
        material, mild, favourable: their probabilities; the rest is neutral.
    """
    seen = START + timedelta(hours=at_h)
    article = article or content_id(target, seen.isoformat(), title, publisher)
    neutral = round(1 - material - mild - favourable, 4)
    level = Level(neutral=neutral, mild=mild, material=material, favourable=favourable)
    return Signal(
        target=target,
        name=name,
        groups=groups,
        article=article,
        version=version,
        story=story or content_id("story", article),
        source="feed",
        publisher=publisher,
        title=title,
        url="https://news.example/" + article,
        published_at=seen,
        seen_at=seen,
        backfill=backfill or history,
        history=history,
        sentiment=Sentiment(negative=0.2, neutral=0.8, positive=0.0),
        level=level,
        adverse=level.adverse,
        events=tuple([EventScore(label=code, score=round(0.9 - 0.1 * n, 2)) for n, code in enumerate(events)]),
        adverse_from=0.5,
        relevance=relevance,
        confirmed=confirmed,
        evidence=Evidence(text=title, start=0, end=4),
        bundle="tiny@1",
    )


def as_history(signals: Iterable[Signal]) -> list[Signal]:
    """Returns signals as the history stage publishes them for a newly watched target."""
    return [signal.model_copy(update={"backfill": True, "history": True}) for signal in signals]


def mark(at_h: float, stories_at: tuple[float, ...] = (), partition: int = 0) -> Mark:
    """Returns a mark: a record that carries the time, and how many stories of all targets there were.

    Args:
        at_h: the time, in hours after the start.
        stories_at: the hour of each story, which is counted in its bucket of 15 s.
        partition: the partition of `articles` that the mark is about.
    """
    buckets: dict[int, int] = {}
    for hour in stories_at:
        bucket = int((START + timedelta(hours=hour)).timestamp()) // 15 * 15
        buckets[bucket] = buckets.get(bucket, 0) + 1
    return Mark(from_=partition, seen_at=START + timedelta(hours=at_h), stories=len(stories_at), buckets=buckets)


def burst(from_h: float, count: int, target: str = "entity:acme", step_h: float = 0.5) -> list[Signal | Mark]:
    """Returns `count` negative stories from different sources, each with the mark that counts it.

    Args:
        from_h: the hour of the first story.
        step_h: the hours between two stories.
    """
    records: list[Signal | Mark] = []
    for index in range(count):
        hour = from_h + index * step_h
        records += [signal(hour, target, source=f"source-{index}"), mark(hour, (hour,))]
    return records


@dataclass
class Timeline:
    """Feeds a book batch by batch, keeps its state, and collects its alerts and trends."""

    settings: AlertingSettings = field(default_factory=AlertingSettings)
    partitions: int = 1
    alerts: list[Alert] = field(default_factory=list)
    near_misses: list[NearMiss] = field(default_factory=list)
    trends: list[TrendPoint] = field(default_factory=list)
    state: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.book = Book(self.settings, self.partitions, {})

    def feed(self, *records: Signal | Mark) -> dict[str, bytes | None]:
        """Takes one batch of records. Returns the changes of the task's state: value by key, None if deleted."""
        for record in records:
            self.book.take(record)
        step = self.book.close()
        for key, value in step.state.items():
            if value is None:
                self.state.pop(key, None)
            else:
                self.state[key] = value
        self.alerts += step.alerts
        self.near_misses += step.near_misses
        self.trends += step.trends
        return step.state

    def alerts_after(self, *signals: Signal) -> list[Alert]:
        """Feeds each signal at its time and a mark one minute later. Returns the alerts that result."""
        alerts_before = len(self.alerts)
        for fed_signal in sorted(signals, key=lambda fed_signal: fed_signal.seen_at):
            at_h = (fed_signal.seen_at - START) / timedelta(hours=1)
            self.feed(fed_signal, mark(at_h + 1 / 60, (at_h,)))
        return self.alerts[alerts_before:]

    def restart(self) -> None:
        """Opens a new book from the state, as after a crash."""
        self.book = Book(self.settings, self.partitions, self.state)

    def quiet(self, from_h: float, until_h: float, every_h: float = 1.0) -> None:
        """Lets time pass without news of the target: each `every_h` hours a mark counts one story of other targets.

        The last mark is not later than `until_h`.
        """
        hour = from_h
        while hour <= until_h:
            self.feed(mark(hour, (hour,)))
            hour += every_h

    def statuses(self) -> list[str]:
        """The statuses of the alerts, in order."""
        return [alert.status for alert in self.alerts]
