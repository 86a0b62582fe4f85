"""Records of the topic `analyses`."""

from __future__ import annotations

from typing import Literal

from riskwire.records.codec import Probability, Record, Utc
from riskwire.records.sentiment import Sentiment


class ArticleRef(Record):
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


class TopicScore(Record):
    """One topic label and its calibrated probability."""

    label: str
    score: Probability


class SentenceAnalysis(Record):
    """One sentence: offsets into `title + "\\n" + text` (for `score`: into the text), and its sentiment."""

    start: int
    end: int
    sentiment: Sentiment


MentionType = Literal["PER", "ORG", "LOC", "MISC", "INSTRUMENT"]


class Mention(Record):
    """A span naming something, what it resolves to, and the sentiment toward it."""

    start: int
    end: int
    text: str
    type: MentionType
    sentence: int
    entity: str
    name: str
    sentiment: Sentiment


class Analysis(Record):
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
    """The newest change of the watchlist before the article in the log (`WatchlistChange.command`), or None."""
