"""Writes the names that each article mentions, for the history of targets that are watched later.

A row summarises one name in one article: all mentions of equal normalised text that resolve to the same entity. The
rows of a name or of an entity together give the sentiment toward it as inference weighs it (`riskwire.weights`). They
cannot respect whether the name only comments on others, because the analysis does not contain that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert

from riskwire.entities.names import join_key, name_key
from riskwire.records import Analysis, Mention, to_ms
from riskwire.store import tables
from riskwire.store.upsert import chunks
from riskwire.weights import relevance, sentence_weight


def replace_mentions(connection: Connection, analyses: Iterable[Analysis], limit: int) -> None:
    """Replaces the mentions of the analysed articles, at most `limit` names per article."""
    rows: list[dict[str, Any]] = []
    articles: list[str] = []
    for analysis in analyses:
        articles.append(analysis.article.id)
        rows += mention_rows(analysis, limit)
    for chunk in chunks(articles):
        connection.execute(delete(tables.mentions).where(tables.mentions.c.article.in_(chunk)))
    if rows:
        connection.execute(insert(tables.mentions), rows)


def mention_rows(analysis: Analysis, limit: int) -> Iterator[dict[str, Any]]:
    """Yields at most `limit` rows of `mentions` of an article, by descending relevance."""
    by_relevance = sorted(_rows(analysis), key=lambda row: (-row["relevance"], row["sentence"], row["key"]))
    return ({"n": n, **row} for n, row in enumerate(by_relevance[:limit]))


def _rows(analysis: Analysis) -> Iterable[dict[str, Any]]:
    title_length = len(analysis.article.title)
    titled = bool(analysis.sentences) and analysis.sentences[0].end <= title_length
    names: dict[tuple[str, str], list[Mention]] = {}
    for mention in analysis.mentions:
        key = join_key(name_key(mention.text))
        if key and mention.entity:
            names.setdefault((mention.entity, key), []).append(mention)
    for (entity, key), mentions in names.items():
        by_sentence: dict[int, list[Mention]] = {}
        for mention in mentions:
            by_sentence.setdefault(mention.sentence, []).append(mention)
        weights = {sentence: sentence_weight(sentence, titled=titled) for sentence in by_sentence}
        total = sum(weights.values())
        shares = [
            sum(weights[sentence] * _mean(group, kind) for sentence, group in by_sentence.items()) / total
            for kind in ("negative", "neutral", "positive")
        ]
        first = min(mentions, key=lambda mention: mention.start)
        in_title = first.end <= title_length
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
    return float(sum(getattr(mention.sentiment, kind) for mention in mentions)) / len(mentions)
