"""The rows that reads of the store return, as the page, the API and the command line show them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from riskwire.errors import SettingsError
from riskwire.records import (
    Alert,
    AlertStatus,
    Command,
    EventScore,
    Evidence,
    Level,
    NearestWindow,
    Record,
    Sentiment,
    Utc,
)

StatusFilter = AlertStatus | Literal["open"]
"""`open` is every status but `resolved`."""
Handling = Literal["acknowledged", "snoozed", "false_alarm"]
TargetKind = Literal["entity", "topic", "group", "market"]
ChangeKind = Literal["alert", "trend", "target", "status"]
AlertOrder = Literal["newest", "priority"]
"""`priority` is exposure times severity, the largest first."""
TargetOrder = Literal["alerts", "surprise", "score", "stories", "name", "last_seen"]


def target_kind(target: str) -> TargetKind:
    """Returns the kind of a target from its prefix, as in `group:banks` (`market` stands alone).

    A target with another prefix, or with none, is an entity.
    """
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
    """The last row of a page of a list. The next page starts after it.

    Attributes:
        priority: of a list that is ordered by it; of equal priority, the newest row comes first.
    """

    at: datetime
    key: str = ""
    priority: float | None = None

    def __str__(self) -> str:
        at = self.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        ranked = "" if self.priority is None else f"~{self.priority!r}"
        return f"{at}~{self.key}{ranked}" if self.key else at

    @classmethod
    def parse(cls, text: str, *, ranked: bool = False) -> Cursor:
        """Returns the cursor that `str` wrote, as `TIME`, `TIME~KEY` or `TIME~KEY~PRIORITY`.

        Args:
            text: a time without a zone is UTC.
            ranked: whether it has a priority.

        Raises:
            SettingsError: the text does not start with a time, or a priority is missing.
        """
        at, _, key = text.partition("~")
        priority = None
        if ranked:
            key, _, number = key.rpartition("~")
            try:
                priority = float(number)
            except ValueError:
                raise SettingsError("before: no cursor of this order", value=text) from None
        try:
            time = datetime.fromisoformat(at)
            if time.tzinfo is None:
                time = time.replace(tzinfo=UTC)
            return cls(time.astimezone(UTC), key, priority)
        except (ValueError, OverflowError):
            raise SettingsError("before: not a time", value=text, do="Write e.g. 2026-11-24T07:30:00Z.") from None


class AlertRow(Alert):
    """The newest record of an alert, and how people have handled it.

    Attributes:
        handling: the last decision about it. A false alarm is final.
        handled_by, handled_at: who decided that, and when.
        snoozed_until: when its snooze ends.
        assigned_to: who takes care of it.
        reason: of a false alarm, why it was none.
        muted: the subject of the mute that covers it now, such as `type:litigation`; None without one.
    """

    handling: Handling | None = None
    handled_by: str | None = None
    handled_at: Utc | None = None
    snoozed_until: Utc | None = None
    assigned_to: str | None = None
    reason: str | None = None
    muted: str | None = None

    @property
    def cursor(self) -> Cursor:
        """The position of this row in the list, newest first."""
        return Cursor(self.at, self.id)

    @property
    def ranked_cursor(self) -> Cursor:
        """The position of this row in the list by priority."""
        return Cursor(self.at, self.id, self.priority)


class AlertHistory(AlertRow):
    """An alert with all its records, oldest first, and the commands that name it."""

    records: tuple[Alert, ...]
    commands: tuple[Command, ...] = ()


class CommandRow(Command):
    """A command with the id that it has in the store."""

    id: str

    @property
    def cursor(self) -> Cursor:
        """The position of this row in the list."""
        return Cursor(self.at, self.id)


class TargetRow(Record):
    """The present state of a target.

    Attributes:
        score: mean score of the stories of the seven days before the newest data, or None without stories. A story
            counts once, with the mean of its articles.
        surprise: that of the newest trend point; 0 if that is older than the longest of `alerting.windows_s`.
        nearest: the window nearest to firing as of that point, empty if the point is too old. A target without news
            has the limits of the newest target; None if the store has none.
        alerts: number of running episodes.
        blind_since: since when all sources with a signal of the target have been silent, if for longer than
            `alerting.blind_after_s`.
        spark: scores of the last seven days in steps of six hours, if requested.
    """

    target: str
    name: str
    kind: TargetKind
    groups: tuple[str, ...] = ()
    stories: int
    articles: int
    score: float | None
    surprise: float
    nearest: NearestWindow | None = None
    alerts: int = 0
    last_seen: Utc | None
    blind_since: Utc | None = None
    spark: tuple[float | None, ...] | None = None


class TrendBucket(Record):
    """One step of a trend: summed weights, their mean score, and the largest surprise."""

    start: Utc
    stories: int
    articles: int
    negative: float
    neutral: float
    positive: float
    score: float
    surprise: float


class Trend(Record):
    """The trend of a target over a time range. Steps without news are omitted."""

    target: str
    name: str
    since: Utc
    until: Utc
    step_s: int
    points: tuple[TrendBucket, ...]


class StoryRow(Record):
    """A story, shown by its newest article. `articles` is the number of its articles.

    `counted_at` is the time by which stories are ordered and counted: `published_at` of backfill, otherwise `seen_at`.

    Attributes:
        level: that of the worst mention of the target or, without a target, of the article; None if it is unknown.
        adverse: the probability of mild or material; None without a level.
        events: what happened, the most probable event type first; None if it is unknown.
        adverse_from: the `adverse` from which the bundle counts a mention as adverse; None without levels.
    """

    story: str
    article: str
    articles: int
    title: str
    url: str
    source: str
    publisher: str = ""
    published_at: Utc
    seen_at: Utc
    counted_at: Utc
    status: Literal["ok", "unsupported", "empty"] = "ok"
    language: str | None = None
    backfill: bool = False
    topics: tuple[str, ...] = ()
    level: Level | None = None
    adverse: float | None = None
    events: tuple[EventScore, ...] | None = None
    adverse_from: float | None = None
    sentiment: Sentiment | None = None
    score: float | None = None
    relevance: float | None = None
    evidence: Evidence | None = None

    @property
    def cursor(self) -> Cursor:
        """The position of this row in the list."""
        return Cursor(self.counted_at, self.story)


class Counts(Record):
    """Numbers of rows in the store, and the time range of its data."""

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
    """A change of an alert, trend, target or of the status. `key` is the id of the alert or target, or empty."""

    seq: int
    kind: ChangeKind
    key: str
