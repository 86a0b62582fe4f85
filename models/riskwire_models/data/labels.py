"""The label sets of the four heads, in the order of the logits, and tagging over word pieces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SENTIMENTS = ("negative", "neutral", "positive")
ENTITY_TYPES = ("PER", "ORG", "LOC", "MISC")
ENTITY_TAGS = ("O", *(f"{prefix}-{kind}" for kind in ENTITY_TYPES for prefix in "BI"))
#: The order of the Twitter Financial News Topic card.
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
#: A target no loss is taken on.
IGNORED = -100

HEADS: dict[str, tuple[str, ...]] = {
    "sentiment": SENTIMENTS,
    "entities": ENTITY_TAGS,
    "target_sentiment": SENTIMENTS,
    "topics": TOPICS,
}


@dataclass(frozen=True, slots=True)
class Span:
    """A labelled stretch of characters, ``end`` exclusive."""

    start: int
    end: int
    label: str


def spans_of_tags(tags: Sequence[str]) -> list[tuple[int, int, str]]:
    """Entities of a BIO sequence as (first, last + 1, type).

    An I- that follows O or another type opens an entity, as conlleval reads it.
    """
    found: list[tuple[int, int, str]] = []
    start, kind = 0, ""
    for at, tag in enumerate([*tags, "O"]):
        prefix, _, here = tag.partition("-")
        if kind and (prefix != "I" or here != kind):
            found.append((start, at, kind))
            kind = ""
        if prefix == "B" or (prefix == "I" and not kind):
            start, kind = at, here
    return found


def tag_pieces(
    offsets: Sequence[tuple[int, int]],
    entities: Iterable[Span],
    unknown: Iterable[tuple[int, int]] = (),
) -> list[int]:
    """Tag index of every word piece: B- where an entity starts, I- inside, `IGNORED` where the truth is unknown.

    ``offsets`` are character offsets of the pieces; (0, 0) marks a special token, which is always ignored.
    """
    tags = [IGNORED if end <= start else 0 for start, end in offsets]
    for span in entities:
        opened = False
        for at, (start, end) in enumerate(offsets):
            if end > start and start < span.end and end > span.start:
                tags[at] = ENTITY_TAGS.index(f"{'I' if opened else 'B'}-{span.label}")
                opened = True
    for low, high in unknown:
        for at, (start, end) in enumerate(offsets):
            if start < high and end > low:
                tags[at] = IGNORED
    return tags


def pieces_inside(offsets: Sequence[tuple[int, int]], span: Span) -> list[int]:
    """Positions of the word pieces that overlap a span (empty when it was cut off)."""
    return [at for at, (start, end) in enumerate(offsets) if end > start and start < span.end and end > span.start]
