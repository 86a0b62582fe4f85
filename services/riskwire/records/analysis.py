"""Records of the topic `analyses`."""

from __future__ import annotations

from typing import Literal

from riskwire.records.codec import Probability, Record, Utc
from riskwire.records.sentiment import Sentiment


class ArticleRef(Record):
    """The article of an analysis, without its text."""

    id: str
    version: int
    url: str
    source: str
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
    """The sentiment of one sentence, with its offsets into `title + "\\n" + text` (in `ScoreResult`: into the text)."""

    start: int
    end: int
    sentiment: Sentiment


MentionType = Literal["PER", "ORG", "LOC", "MISC", "INSTRUMENT"]


class Mention(Record):
    """A span that names an entity, the entity, and the sentiment toward it."""

    start: int
    end: int
    text: str
    type: MentionType
    sentence: int
    entity: str
    name: str
    sentiment: Sentiment


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
    read_with: int | None = None
    """`WatchlistChange.command` of the last change of the watchlist before the article on its partition, or None."""
