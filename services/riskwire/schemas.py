"""Every record that crosses a topic, and what `score` and the API take and give.

Unknown fields are ignored on reading, so a record of a newer `v` with more fields passes. Times are UTC with
millisecond resolution; ids are lower-case hex; a distribution sums to 1; offsets count code points, end exclusive.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from hashlib import blake2b
from typing import Annotated, Any, Literal, Self, TypeVar

import orjson
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from riskwire.errors import SchemaError


def _to_utc_milliseconds(value: datetime) -> datetime:
    value = value.astimezone(UTC)
    beyond = value.microsecond % 1000
    return value.replace(microsecond=value.microsecond - beyond) if beyond else value


def from_ms(ms: int) -> datetime:
    """The UTC time of a number of milliseconds since 1970."""
    return datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)


Utc = Annotated[AwareDatetime, AfterValidator(_to_utc_milliseconds)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]


def content_id(*parts: str) -> str:
    """Lower-case hex id (128 bits) of what identifies a thing; parts are length-prefixed so that none run together."""
    digest = blake2b(digest_size=16)
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "big"))
        digest.update(raw)
    return digest.hexdigest()


class Topic(StrEnum):
    """The topics of the bus."""

    ARTICLES = "articles"
    ANALYSES = "analyses"
    SIGNALS = "signals"
    TRENDS = "trends"
    ALERTS = "alerts"
    COMMANDS = "commands"
    FEEDS = "feeds"
    DEAD_LETTERS = "dead-letters"


class Model(BaseModel):
    """Base of all records and their parts: immutable, tolerant of fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, ser_json_inf_nan="null")

    def to_bytes(self) -> bytes:
        """This record as it stands on a topic: one line of JSON."""
        try:
            return orjson.dumps(_fields(self), default=_fields, option=orjson.OPT_UTC_Z)
        except TypeError:  # what only pydantic writes: names of another kind, whole numbers beyond 64 bits
            return self.__pydantic_serializer__.to_json(self, by_alias=True)

    @classmethod
    def written(cls, fields: Mapping[str, object]) -> bytes:
        """`to_bytes` of a record that is not built: `fields` are all of its fields, in order, of values that this
        process has made or has validated before. A part may be given as a record or as all of its fields."""
        try:
            return orjson.dumps(fields, default=_fields, option=orjson.OPT_UTC_Z)
        except TypeError:
            return cls.model_validate(fields).to_bytes()

    @classmethod
    def trusted(cls, **values: Any) -> Self:
        """A record of values that this process has made or has validated before: nothing is looked at, every required
        field must be there. Several times faster than the constructor, and than `model_construct`."""
        made = cls.__new__(cls)
        blank, fields = _blank(cls)
        _set(made, "__dict__", blank | values)
        _set(made, "__pydantic_fields_set__", fields)
        _set(made, "__pydantic_extra__", None)
        _set(made, "__pydantic_private__", None)
        return made


_set = object.__setattr__


def _fields(part: object) -> dict[str, Any]:
    """The fields of a record under the names that they are written by."""
    if isinstance(part, Model) and not _renames(type(part)):
        return part.__dict__
    raise TypeError(f"{type(part).__name__} is not written so")


@cache
def _renames(model: type[BaseModel]) -> bool:
    return any(field.alias is not None for field in model.model_fields.values())


@cache
def _blank(model: type[BaseModel]) -> tuple[dict[str, Any], set[str]]:
    """A record before anything is known of it: every field in order, the default or a mark that it is missing."""
    return {name: field.get_default() for name, field in model.model_fields.items()}, set(model.model_fields)


class Sentiment(Model):
    """Calibrated probabilities that sum to 1."""

    negative: Probability
    neutral: Probability
    positive: Probability

    @property
    def score(self) -> float:
        """positive - negative, in [-1, 1]."""
        return round(self.positive - self.negative, 4)


class Article(Model):
    """One news item, normalised."""

    v: int = 1
    kind: Literal["article"] = "article"
    id: str
    version: int = Field(ge=1)
    url: str
    source: str
    title: str
    text: str = ""
    language: str | None = None
    published_at: Utc
    seen_at: Utc
    backfill: bool = False
    cut: bool = False
    """`text` is only the beginning: with all of it the record would have been too large."""


class Tick(Model):
    """The newest time a source has reached; on every partition of `articles`."""

    v: int = 1
    kind: Literal["tick"] = "tick"
    seen_at: Utc


class Watch(Model):
    """A change of the watchlist, on every partition of `articles`: what follows it is read with it.

    `entry` is the entry as a watchlist file has it; None where `id` is watched no more. `command` is the offset in
    `commands` of what was decided: it tells which change is the later one on every partition alike.
    """

    v: int = 1
    kind: Literal["watch"] = "watch"
    id: str
    entry: dict[str, Any] | None
    at: Utc
    command: int | None = Field(default=None, ge=0)


class ArticleRef(Model):
    """An article as an analysis names it."""

    id: str
    version: int
    url: str
    source: str
    title: str
    language: str | None = None
    published_at: Utc
    seen_at: Utc
    backfill: bool = False


class TopicScore(Model):
    """One topic label and its calibrated probability."""

    label: str
    score: Probability


class SentenceAnalysis(Model):
    """One sentence: offsets into `title + "\\n" + text` (for `score`: into the text), and its sentiment."""

    start: int
    end: int
    sentiment: Sentiment


MentionType = Literal["PER", "ORG", "LOC", "MISC", "INSTRUMENT"]


class Mention(Model):
    """A span naming something, what it resolves to, and the sentiment toward it."""

    start: int
    end: int
    text: str
    type: MentionType
    sentence: int
    entity: str
    name: str
    sentiment: Sentiment


class Analysis(Model):
    """All that the models say of an article."""

    v: int = 1
    article: ArticleRef
    bundle: str
    status: Literal["ok", "unsupported", "empty"]
    sentiment: Sentiment | None = None
    score: float | None = None
    topics: tuple[TopicScore, ...] = ()
    sentences: tuple[SentenceAnalysis, ...] = ()
    skipped_sentences: int = 0
    mentions: tuple[Mention, ...] = ()
    story: str | None = None
    read_with: int | None = None
    """The newest change of the watchlist that stood before the article in the log (`Watch.command`); None: none did."""


class Evidence(Model):
    """The sentence that speaks of a target, and the span in it (offsets into `text`)."""

    text: str
    start: int
    end: int


class Signal(Model):
    """One (article, target) pair."""

    v: int = 1
    kind: Literal["signal"] = "signal"
    target: str
    name: str
    groups: tuple[str, ...] = ()
    article: str
    version: int
    story: str
    source: str
    title: str
    url: str
    published_at: Utc
    seen_at: Utc
    backfill: bool = False
    history: bool = False
    """Told of an article from before its target was watched: learned from as if it had been; always backfill too."""
    was_backfill: bool = False
    """Of history: its article was backfill when it was seen, so it was no part of the amount of news."""
    sentiment: Sentiment
    relevance: Probability
    evidence: Evidence
    bundle: str = ""


class Mark(Model):
    """How far input partition `from` of `articles` has come, on every partition of `signals`.

    `stories` counts the articles analysed since that partition's last mark; `buckets` splits that count by the
    start (epoch seconds) of the bucket each was seen in, so that what an alert task knows of the amount of news does
    not depend on where a batch happened to end.
    """

    v: int = 1
    kind: Literal["mark"] = "mark"
    from_: int = Field(alias="from", ge=0)
    seen_at: Utc
    stories: int = 0
    buckets: dict[int, int] = Field(default_factory=dict)


class TrendPoint(Model):
    """What one stretch of time says of one target; weights are sums of relevance x probability over stories."""

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


class AlertEvidence(Model):
    """One story that drove an alert, by the article and sentence that speak of the target."""

    story: str
    title: str
    url: str
    source: str
    seen_at: Utc
    text: str
    start: int
    end: int
    negative: Probability


AlertStatus = Literal["firing", "escalated", "resolved"]
Severity = Literal["warning", "high", "critical"]


class Alert(Model):
    """One change of an episode; the same id throughout, `at` tells the records of one episode apart."""

    v: int = 1
    id: str
    target: str
    name: str
    groups: tuple[str, ...] = ()
    rule: str = "default"
    tier: Literal["notice", "page"] = "notice"
    status: AlertStatus
    severity: Severity
    opened_at: Utc
    at: Utc
    window_s: int
    stories: int
    sources: int
    expected: float
    surprise: float
    threshold: float
    score: float = 0.0
    baseline_score: float = 0.0
    blind: bool = False
    bundle: str = ""
    summary: str
    would_not_fire: str
    evidence: tuple[AlertEvidence, ...] = ()


CommandKind = Literal[
    "acknowledge", "assign", "snooze", "comment", "false_alarm", "watchlist_set", "watchlist_remove", "rule_set"
]


class Command(Model):
    """What a person decided."""

    v: int = 1
    kind: CommandKind
    alert: str | None = None
    target: str | None = None
    by: str
    at: Utc
    comment: str = ""
    until: Utc | None = None
    value: dict[str, Any] = Field(default_factory=dict)
    """Of `watchlist_set`: the entry, as a line of the watchlist file has it."""


class Feed(Model):
    """A source that is polled."""

    v: int = 1
    id: str = Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    url: str
    format: Literal["auto", "rss", "atom", "rdf", "json", "sitemap"] = "auto"
    every_s: int = Field(default=300, ge=10, le=86_400)
    enabled: bool = True
    note: str = ""


class DeadLetter(Model):
    """A record that cannot be processed, kept with the reason; `record` is as read, text or base64."""

    v: int = 1
    stage: str
    topic: str
    partition: int
    offset: int
    key: str | None = None
    error: str
    at: Utc
    record: str
    encoding: Literal["text", "base64"] = "text"
    cut: bool = False
    """`record` is only the beginning of what was read: all of it would have been too large."""
    receiver: str | None = None
    """Of a notification that was given up: whom it was owed to, as notify names them."""


class Span(Model):
    """A stretch of a text in code points, end exclusive."""

    start: int = Field(ge=0)
    end: int = Field(gt=0)


class ScoreRequest(Model):
    """One text to score, with the spans whose sentiment is asked for."""

    id: str | int
    text: str
    targets: tuple[Span, ...] | None = None


class ScoreMention(Model):
    """A mention as `score` gives it."""

    start: int
    end: int
    text: str
    type: MentionType
    entity: str
    sentiment: Sentiment


class ScoreTarget(Model):
    """A span that was asked for and the sentiment toward it."""

    start: int
    end: int
    sentiment: Sentiment


class ScoreResult(Model):
    """What the models say of one text; offsets are into it."""

    id: str | int
    sentiment: Sentiment
    sentences: tuple[SentenceAnalysis, ...]
    mentions: tuple[ScoreMention, ...]
    targets: tuple[ScoreTarget, ...]
    topics: tuple[TopicScore, ...]


ArticleRecord = Annotated[Article | Tick | Watch, Field(discriminator="kind")]
SignalOrMark = Annotated[Signal | Mark, Field(discriminator="kind")]

ARTICLES: TypeAdapter[Article | Tick | Watch] = TypeAdapter(ArticleRecord)
SIGNALS: TypeAdapter[Signal | Mark] = TypeAdapter(SignalOrMark)

_R = TypeVar("_R")


def read_record(reader: TypeAdapter[_R], raw: bytes, where: str) -> _R:
    """Parse one record.

    Raises:
        SchemaError: naming the field, its value and `where` (topic, partition and offset, or file and line).
    """
    try:
        return reader.validator.validate_json(raw)  # type: ignore[no-any-return]
    except ValidationError as error:
        raise schema_error(error, where) from None


def schema_error(error: ValidationError, where: str) -> SchemaError:
    """The first fault of a validation error, as a person reads it; the count of the others is told."""
    first, *others = error.errors(include_url=False, include_context=False)
    field = ".".join(str(part) for part in first["loc"]) or "record"
    more = f" (and {len(others)} more)" if others else ""
    return SchemaError(f"{field}: {first['msg']}{more}", value=first.get("input"), where=where)


def to_json(value: object) -> bytes:
    """JSON of anything made of models, datetimes and plain values, for the command line and state."""
    return orjson.dumps(value, default=_plain, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    raise TypeError(f"{type(value).__name__} has no JSON form")
