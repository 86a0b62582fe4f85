"""Keeping who is mentioned in each article, for a target that is only watched later.

A row sums up one name in one article: all mentions of one text that resolve to one entity. So the rows of a name, of
an entity or of both together give the sentiment toward it as inference weighs it (`riskwire.weights`), but for what is
not in the analysis: whether it was named as one who only comments on others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert

from riskwire.entities.names import joined, name_key
from riskwire.records import Analysis, Mention
from riskwire.store import tables
from riskwire.store.rows import to_ms
from riskwire.store.upsert import chunks
from riskwire.weights import relevance, sentence_weight


def write_mentions(connection: Connection, analyses: Iterable[Analysis], most: int) -> None:
    """Put the mentions of these versions in the place of what was kept of their articles; `most` of each article."""
    rows: list[dict[str, Any]] = []
    articles: list[str] = []
    for analysis in analyses:
        articles.append(analysis.article.id)
        rows += mention_rows(analysis, most)
    for chunk in chunks(articles):
        connection.execute(delete(tables.mentions).where(tables.mentions.c.article.in_(chunk)))
    if rows:
        connection.execute(insert(tables.mentions), rows)


def mention_rows(analysis: Analysis, most: int) -> Iterator[dict[str, Any]]:
    """The rows of `mentions` of an article, the weightiest first, at most `most`."""
    weightiest = sorted(_rows(analysis), key=lambda row: (-row["relevance"], row["sentence"], row["key"]))
    return ({"n": n, **row} for n, row in enumerate(weightiest[:most]))


def _rows(analysis: Analysis) -> Iterable[dict[str, Any]]:
    title = len(analysis.article.title)
    titled = bool(analysis.sentences) and analysis.sentences[0].end <= title
    names: dict[tuple[str, str], list[Mention]] = {}
    for mention in analysis.mentions:
        key = joined(name_key(mention.text))
        if key and mention.entity:
            names.setdefault((mention.entity, key), []).append(mention)
    for (entity, key), mentions in names.items():
        by_sentence: dict[int, list[Mention]] = {}
        for mention in mentions:
            by_sentence.setdefault(mention.sentence, []).append(mention)
        weights = {at: sentence_weight(at, titled=titled) for at in by_sentence}
        total = sum(weights.values())
        shares = [
            sum(weights[at] * _mean(there, kind) for at, there in by_sentence.items()) / total
            for kind in ("negative", "neutral", "positive")
        ]
        first = min(mentions, key=lambda one: one.start)
        in_title = first.end <= title
        yield {
            "article": analysis.article.id,
            "entity": entity,
            "key": key,
            "text": first.text,
            "sentence": first.sentence,
            "start": first.start if in_title else -1,
            "end": first.end if in_title else -1,
            "weight": total,
            "relevance": relevance(weights.values()),
            "negative": shares[0],
            "neutral": shares[1],
            "positive": shares[2],
            "seen_ms": to_ms(analysis.article.seen_at),
        }


def _mean(mentions: Sequence[Mention], kind: str) -> float:
    return float(sum(getattr(one.sentiment, kind) for one in mentions)) / len(mentions)
