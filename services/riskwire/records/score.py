"""Requests and results of `riskwire score` and of `POST /api/v1/analyse`."""

from __future__ import annotations

from pydantic import Field

from riskwire.records.analysis import MentionType, SentenceAnalysis, TopicScore
from riskwire.records.codec import Probability, Record
from riskwire.records.risk import EventScore, Level
from riskwire.records.sentiment import Sentiment


class TargetSpan(Record):
    """A span of a text in code points, end exclusive."""

    start: int = Field(ge=0)
    end: int = Field(gt=0)


class ScoreRequest(Record):
    """A text to score, with the spans whose sentiment, level and event types are requested."""

    id: str | int
    text: str
    targets: tuple[TargetSpan, ...] | None = None


class ScoreMention(Record):
    """A mention in a scored text. `level`, `adverse` and `events` are as in `Mention`."""

    start: int
    end: int
    text: str
    type: MentionType
    entity: str
    sentiment: Sentiment
    level: Level | None = None
    adverse: Probability | None = None
    events: tuple[EventScore, ...] | None = None


class ScoreTarget(Record):
    """A requested span, and what the text says of it. `level`, `adverse` and `events` are as in `Mention`."""

    start: int
    end: int
    sentiment: Sentiment
    level: Level | None = None
    adverse: Probability | None = None
    events: tuple[EventScore, ...] | None = None


class ScoreResult(Record):
    """The results of the models for one text. Offsets are into the text."""

    id: str | int
    sentiment: Sentiment
    sentences: tuple[SentenceAnalysis, ...]
    mentions: tuple[ScoreMention, ...]
    targets: tuple[ScoreTarget, ...]
    topics: tuple[TopicScore, ...]
