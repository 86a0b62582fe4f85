"""The labels of the six heads, in the order of the logits, and the entity tags of word pieces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from riskwire import records

SENTIMENTS = ("negative", "neutral", "positive")
ENTITY_TYPES = ("PER", "ORG", "LOC", "MISC")
ENTITY_TAGS = ("O", *(f"{prefix}-{kind}" for kind in ENTITY_TYPES for prefix in "BI"))
#: In the order of the data card of Twitter Financial News Topic.
TOPICS = (
    "Analyst Update",
    "Fed | Central Banks",
    "Company | Product News",
    "Treasuries | Corporate Debt",
    "Dividend",
    "Earnings",
    "Energy | Oil",
    "Financials",
    "Currencies",
    "General News | Opinion",
    "Gold | Metals | Materials",
    "IPO",
    "Legal | Regulation",
    "M&A | Investments",
    "Macro",
    "Markets",
    "Politics",
    "Personnel Change",
    "Stock Commentary",
    "Stock Movement",
)
#: What a text says of a party, from the view of someone exposed to it (the guide of the risk labels).
LEVELS: tuple[str, ...] = tuple(records.Level.model_fields)
#: Levels that count as adverse.
ADVERSE_LEVELS = ("mild", "material")
#: Kinds of events, in the order of the guide's table, read row by row.
EVENT_TYPES: tuple[str, ...] = records.EVENT_TYPES
#: Label index on which no loss is computed; the default ``ignore_index`` of torch's cross entropy.
IGNORED = -100

HEADS: dict[str, tuple[str, ...]] = {
    "sentiment": SENTIMENTS,
    "entities": ENTITY_TAGS,
    "target_sentiment": SENTIMENTS,
    "topics": TOPICS,
    "level": LEVELS,
    "events": EVENT_TYPES,
}
#: Heads whose outputs have one row of logits for each word piece, [batch, tokens, labels].
TOKEN_HEADS = ("entities", "target_sentiment", "level", "events")
#: Heads that read a whole sentence and choose one label.
SENTENCE_HEADS = ("sentiment", "topics")


@dataclass(frozen=True, slots=True)
class LabelledSpan:
    """A range of characters with a label. ``end`` is exclusive."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class MentionReading:
    """Probabilities that a teacher gives a mention, in the order of the labels; those of events are independent.

    A head that a recipe masks has none (an empty tuple).
    """

    target_sentiment: tuple[float, ...]
    level: tuple[float, ...]
    events: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SentenceReading:
    """Probabilities that a teacher gives a sentence, as `MentionReading` has those of a mention."""

    sentiment: tuple[float, ...]
    topics: tuple[float, ...]
    events: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class LabelledTarget:
    """A mention of a party, and what is known of it. ``end`` is exclusive; None means that a label is not known.

    Attributes:
        sentiment: sentiment toward the party, one of `SENTIMENTS`.
        level: one of `LEVELS`.
        events: what happened to the party, of `EVENT_TYPES`; empty if nothing did.
        teacher: what a teacher model says of the mention.
    """

    start: int
    end: int
    sentiment: str | None = None
    level: str | None = None
    events: tuple[str, ...] | None = None
    teacher: MentionReading | None = None


def spans_from_tags(tags: Sequence[str]) -> list[tuple[int, int, str]]:
    """Returns the entities of a BIO sequence as (first, last + 1, type).

    An I- tag after O or after another type starts an entity, as in conlleval.
    """
    spans: list[tuple[int, int, str]] = []
    start, kind = 0, ""
    for position, tag in enumerate([*tags, "O"]):
        prefix, _, tag_kind = tag.partition("-")
        if kind and (prefix != "I" or tag_kind != kind):
            spans.append((start, position, kind))
            kind = ""
        if prefix == "B" or (prefix == "I" and not kind):
            start, kind = position, tag_kind
    return spans


def tag_pieces(
    offsets: Sequence[tuple[int, int]],
    entities: Iterable[LabelledSpan],
    unknown: Iterable[tuple[int, int]] = (),
) -> list[int]:
    """Returns the tag index of each word piece: B- at the start of an entity, I- inside it, else O.

    The index is `IGNORED` inside ``unknown`` ranges and for special tokens.

    Args:
        offsets: character offsets of the word pieces; (0, 0) for a special token.
        entities: spans labelled with entity types.
        unknown: character ranges of which it is not known whether they are entities.
    """
    tags = [IGNORED if end <= start else 0 for start, end in offsets]
    for span in entities:
        started = False
        for position, (start, end) in enumerate(offsets):
            if end > start and start < span.end and end > span.start:
                tags[position] = ENTITY_TAGS.index(f"{'I' if started else 'B'}-{span.label}")
                started = True
    for low, high in unknown:
        for position, (start, end) in enumerate(offsets):
            if start < high and end > low:
                tags[position] = IGNORED
    return tags


def pieces_inside(offsets: Sequence[tuple[int, int]], start: int, end: int) -> list[int]:
    """Returns the positions of the word pieces that overlap a range of characters; empty if it was truncated."""
    return [position for position, (first, last) in enumerate(offsets) if last > first and first < end and last > start]
