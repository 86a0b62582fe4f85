"""Requests and results of `riskwire score` and of `POST /api/v1/analyse`."""

from __future__ import annotations

from pydantic import Field

from riskwire.records.analysis import MentionType, SentenceAnalysis, TopicScore
from riskwire.records.codec import Record
from riskwire.records.sentiment import Sentiment


class TargetSpan(Record):
    """A span of a text in code points, end exclusive."""

    start: int = Field(ge=0)
    end: int = Field(gt=0)


class ScoreRequest(Record):
    """A text to score, with the spans whose sentiment is requested."""

    id: str | int
    text: str
    targets: tuple[TargetSpan, ...] | None = None


class ScoreMention(Record):
    """A mention in a scored text."""

    start: int
    end: int
    text: str
    type: MentionType
    entity: str
    sentiment: Sentiment


class ScoreTarget(Record):
    """A requested span and the sentiment toward it."""

    start: int
    end: int
    sentiment: Sentiment


class ScoreResult(Record):
    """The results of the models for one text. Offsets are into the text."""

    id: str | int
    sentiment: Sentiment
    sentences: tuple[SentenceAnalysis, ...]
    mentions: tuple[ScoreMention, ...]
    targets: tuple[ScoreTarget, ...]
    topics: tuple[TopicScore, ...]
