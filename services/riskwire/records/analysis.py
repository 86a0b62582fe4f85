"""Records of the topic `analyses`."""

from __future__ import annotations

from typing import Literal

from riskwire.records.codec import Probability, Record, Utc
from riskwire.records.risk import EventScore, Level
from riskwire.records.sentiment import Sentiment


class ArticleRef(Record):
    """The article of an analysis, without its text."""

    id: str
    version: int
    url: str
    source: str
    publisher: str = ""
    """The news publisher, such as "Reuters" or the host of the page; empty in records of riskwire 0.1."""
    title: str
    language: str | None = None
    published_at: Utc
    seen_at: Utc
    backfill: bool = False


class TopicScore(Record):
    """One topic label and its calibrated probability."""

    label: str
    score: Probability


class SentenceAnalysis(Record):
    """The sentiment of one sentence, with its offsets into `title + "\\n" + text` (in `ScoreResult`: into the text).

    Attributes:
        events: the event types of the sentence that belong to no named party, the most probable first; None if the
            bundle does not predict them.
    """

    start: int
    end: int
    sentiment: Sentiment
    events: tuple[EventScore, ...] | None = None


MentionType = Literal["PER", "ORG", "LOC", "MISC", "INSTRUMENT"]


class Mention(Record):
    """A span that names an entity, the entity, and what the text says of it.

    Attributes:
        level: how bad it is for the entity; None if the bundle does not predict it. So is `adverse`.
        adverse: the probability that it is adverse: `level.mild + level.material`.
        events: what happened to the entity, at most `MAX_EVENTS` event types, the most probable first; None if the
            bundle does not predict them.
        parent: the id of the company that the entity belonged to on the day of the article; empty if to none.
    """

    start: int
    end: int
    text: str
    type: MentionType
    sentence: int
    entity: str
    name: str
    sentiment: Sentiment
    level: Level | None = None
    adverse: Probability | None = None
    events: tuple[EventScore, ...] | None = None
    parent: str = ""


class Analysis(Record):
    """The results of the models for one article."""

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
    adverse_from: Probability | None = None
    """The `adverse` from which the bundle counts a mention as adverse; None if it does not predict levels."""
    read_with: int | None = None
    """`WatchlistChange.command` of the last change of the watchlist before the article on its partition, or None."""
