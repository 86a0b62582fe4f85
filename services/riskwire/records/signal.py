"""Records of the topic `signals`: signals and marks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from riskwire.records.codec import Probability, Record, Utc
from riskwire.records.sentiment import Sentiment


class Evidence(Record):
    """The sentence that speaks of a target, and the span in it (offsets into `text`)."""

    text: str
    start: int
    end: int


class Signal(Record):
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


class Mark(Record):
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


SignalOrMark = Annotated[Signal | Mark, Field(discriminator="kind")]
SIGNALS: TypeAdapter[Signal | Mark] = TypeAdapter(SignalOrMark)
