"""Records of the topic `signals`: signals and marks."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter

from riskwire.records.codec import Probability, Record, Utc
from riskwire.records.risk import EventScore, Level
from riskwire.records.sentiment import Sentiment

PARTY_TARGET: Final = "entity:"
"""Start of the id of a target that is a party; those of groups and topics start with `group:` and `topic:`."""


class Evidence(Record):
    """The sentence that mentions a target, and the offsets of the mention in `text`."""

    text: str
    start: int
    end: int


class TitleReading(Record):
    """What the title of an article says of a target, where a sentence of the text decides the level.

    Attributes:
        events: as in `Signal`.
        evidence: the title, with the mention in it.
    """

    level: Level
    events: tuple[EventScore, ...] | None = None
    evidence: Evidence


class Signal(Record):
    """What one article says of one target: sentiment, level and event types.

    The level is that of the worst mention of the target; see `riskwire.worst_mention`. Topics and the market get that
    of the worst mention of the article.

    Attributes:
        level: None if the bundle does not predict it, or the article mentions nothing. So is `adverse`.
        adverse: `level.mild + level.material`.
        events: at most `MAX_EVENTS` event types, the most probable first; None if the bundle does not predict them.
        adverse_from: the `adverse` from which the bundle counts a mention as adverse; None if it does not predict
            levels.
        relevance: how much the article is about the target. 1: the subject of the title. From 0.5: a subject of the
            article. Below: named in passing, as a place, in a list, deep in the text, or in a report of no event.
        parent: of an entity, the target of the company that it belonged to on the day of the article; empty for none.
        confirmed: of an entity, whether title and lead sentence of the article both say something adverse of it.
        in_title: of an entity, whether the title names it, not only as commenting on others; True if there is no title,
            and in records before 0.2. In history, whether the title is known to decide the level.
        title_reading: of an entity that is `in_title`, what the title says of it, if a sentence of the text decides the
            level; otherwise None.
        weight: of an entity, the weight of its watchlist entry; of a group, that of its heaviest member; else 1.
        member, member_name: of a group, a topic or the market, the party whose mention decided; empty if none did.
    """

    v: int = 1
    kind: Literal["signal"] = "signal"
    target: str
    name: str
    groups: tuple[str, ...] = ()
    article: str
    version: int
    story: str
    source: str
    publisher: str = ""
    """The news publisher, such as "Reuters" or the host of the page; empty in records of riskwire 0.1."""
    title: str
    url: str
    published_at: Utc
    seen_at: Utc
    backfill: bool = False
    history: bool = False
    """Whether the article was read before its target was watched. Such a signal is always backfill too. It trains the
    baseline like a signal of a target that was watched then."""
    was_backfill: bool = False
    """For history, whether the article was backfill when it was seen. It then does not count in the amount of news."""
    sentiment: Sentiment
    level: Level | None = None
    adverse: Probability | None = None
    events: tuple[EventScore, ...] | None = None
    adverse_from: Probability | None = None
    relevance: Probability
    evidence: Evidence
    bundle: str = ""
    member: str = ""
    member_name: str = ""
    confirmed: bool = False
    in_title: bool = True
    title_reading: TitleReading | None = None
    parent: str = ""
    weight: float = 1.0

    def as_in_title(self) -> Signal:
        """Returns the signal with level, event types and evidence of the title, if the title says something of it."""
        reading = self.title_reading
        if reading is None:
            return self
        level = reading.level
        return self.model_copy(
            update={
                "level": level,
                "adverse": level.adverse,
                "events": reading.events,
                "evidence": reading.evidence,
                "title_reading": None,
            }
        )

    @property
    def source_key(self) -> str:
        """Identifies the publisher, without case, to count independent sources; without a publisher, the feed."""
        return (self.publisher or self.source).casefold()


class Mark(Record):
    """The time up to which infer has read partition `from` of `articles`. It is on every partition of `signals`.

    Attributes:
        stories: articles analysed since the last mark of this partition.
        buckets: the same number by bucket in which each article was seen (start in seconds since 1970). So the amount
            of news that an alert task knows does not depend on the size of batches.
    """

    v: int = 1
    kind: Literal["mark"] = "mark"
    from_: int = Field(alias="from", ge=0)
    seen_at: Utc
    stories: int = 0
    buckets: dict[int, int] = Field(default_factory=dict)


SignalOrMark = Annotated[Signal | Mark, Field(discriminator="kind")]
SIGNALS: TypeAdapter[Signal | Mark] = TypeAdapter(SignalOrMark)
