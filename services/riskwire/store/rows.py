"""What the store gives: rows as the page, the API and the command line show them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from riskwire.errors import SettingsError
from riskwire.records import Alert, Command, Evidence, Record, Sentiment, Utc

Handling = Literal["acknowledged", "snoozed", "false_alarm"]
TargetKind = Literal["entity", "topic", "group", "market"]
ChangeKind = Literal["alert", "trend", "target", "status"]
TargetOrder = Literal["alerts", "surprise", "score", "stories", "name", "last_seen"]


def to_ms(at: datetime) -> int:
    """Milliseconds since 1970."""
    return round(at.timestamp() * 1000)


def kind_of(target: str) -> TargetKind:
    """The kind of a target by what stands before its colon; anything unheard of is an entity."""
    match target.partition(":")[0]:
        case "topic":
            return "topic"
        case "group":
            return "group"
        case "market":
            return "market"
        case _:
            return "entity"


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page of a list that runs from new to old ended; the next one is strictly before it."""

    at: datetime
    key: str = ""

    def __str__(self) -> str:
        at = self.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return f"{at}~{self.key}" if self.key else at

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read `TIME` or `TIME~KEY` as `str` writes it.

        Raises:
            SettingsError: not a time.
        """
        at, _, key = text.partition("~")
        try:
            time = datetime.fromisoformat(at)
            if time.tzinfo is None:
                time = time.replace(tzinfo=UTC)
            return cls(time.astimezone(UTC), key)
        except (ValueError, OverflowError):
            raise SettingsError("before: not a time", value=text, do="Write e.g. 2026-11-24T07:30:00Z.") from None


class AlertRow(Alert):
    """The newest record of an alert, and what people have done about it."""

    handling: Handling | None = None
    handled_by: str | None = None
    snoozed_until: Utc | None = None

    @property
    def cursor(self) -> Cursor:
        """Where this row stands in the list."""
        return Cursor(self.at, self.id)


class AlertHistory(AlertRow):
    """An alert with all its records, oldest first, and the commands that name it."""

    records: tuple[Alert, ...]
    commands: tuple[Command, ...] = ()


class CommandRow(Command):
    """What a person decided, as the store keeps it."""

    id: str

    @property
    def cursor(self) -> Cursor:
        """Where this row stands in the list."""
        return Cursor(self.at, self.id)


class TargetRow(Record):
    """What is known of a target now.

    `score` is the mean over the stories of the seven days before the newest news (each story once, by the mean of its
    articles), None where there were none; `surprise` is that of the newest trend point, 0 once that is
    further before the newest data than the longest of `alerting.windows_s`; `alerts` counts episodes that run;
    `blind_since` is set where every source that ever spoke of the target has been silent for too long.
    """

    target: str
    name: str
    kind: TargetKind
    groups: tuple[str, ...] = ()
    stories: int
    articles: int
    score: float | None
    surprise: float
    alerts: int = 0
    last_seen: Utc | None
    blind_since: Utc | None = None
    spark: tuple[float | None, ...] | None = None


class TrendBucket(Record):
    """A step of a trend: weights are summed, the score is their mean, the surprise is the largest."""

    start: Utc
    stories: int
    articles: int
    negative: float
    neutral: float
    positive: float
    score: float
    surprise: float


class Trend(Record):
    """The trend of a target over a range of time; steps without news are left out."""

    target: str
    name: str
    since: Utc
    until: Utc
    step_s: int
    points: tuple[TrendBucket, ...]


class StoryRow(Record):
    """A story by its newest article; `articles` counts how many tell it."""

    story: str
    article: str
    articles: int
    title: str
    url: str
    source: str
    published_at: Utc
    seen_at: Utc
    status: Literal["ok", "unsupported", "empty"] = "ok"
    language: str | None = None
    backfill: bool = False
    topics: tuple[str, ...] = ()
    sentiment: Sentiment | None = None
    score: float | None = None
    relevance: float | None = None
    evidence: Evidence | None = None

    @property
    def cursor(self) -> Cursor:
        """Where this row stands in the list."""
        return Cursor(self.seen_at, self.story)


class Counts(Record):
    """How much the store holds, and the newest time of its data."""

    articles: int
    unsupported: int
    signals: int
    targets: int
    trends: int
    alerts: int
    open_alerts: int
    commands: int
    dead_letters: int
    blind: int
    newest: Utc | None
    oldest: Utc | None


class Change(Record):
    """Something changed; `key` is the id of the alert or target (empty for status)."""

    seq: int
    kind: ChangeKind
    key: str
