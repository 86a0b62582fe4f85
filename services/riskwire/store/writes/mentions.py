"""Writes the names that each article mentions, for the history of targets that are watched later.

A row summarises one name in one article: all mentions of equal normalised text that resolve to the same entity. The
rows of a name or of an entity together give the sentiment toward it as inference weighs it (`riskwire.weights`). They
cannot respect whether the name only comments on others, because the analysis does not contain that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, delete

from riskwire.entities.names import join_key, name_key
from riskwire.records import Analysis, Mention, to_ms
from riskwire.store import tables
from riskwire.store.database.postgresql.partitions import make_partitions
from riskwire.store.risk_columns import risk_values
from riskwire.store.upsert import chunks, insert_new
from riskwire.weights import relevance, sentence_weight
from riskwire.worst_mention import MentionRisk, worst_mention


def replace_mentions(connection: Connection, analyses: Iterable[Analysis], limit: int) -> None:
    """Replaces the rows of the analysed articles in the table `mentions`.

    Args:
        limit: the most names stored for one article.
    """
    rows: list[dict[str, Any]] = []
    articles: list[str] = []
    for analysis in analyses:
        articles.append(analysis.article.id)
        rows += mention_rows(analysis, limit)
    for chunk in chunks(articles):
        connection.execute(delete(tables.mentions).where(tables.mentions.c.article.in_(chunk)))
    if rows:
        make_partitions(connection, tables.mentions, [row["seen_ms"] for row in rows])
        insert_new(connection, tables.mentions, rows)


def mention_rows(analysis: Analysis, limit: int) -> Iterator[dict[str, Any]]:
    """Yields at most `limit` rows of the table `mentions` for one article, by descending relevance; `n` is the rank.

    The first rank is 0. Of equal relevance, names of earlier sentences come first, then names in alphabetical order.
    """
    by_relevance = sorted(_unranked_rows(analysis), key=lambda row: (-row["relevance"], row["sentence"], row["key"]))
    return ({"n": n, **row} for n, row in enumerate(by_relevance[:limit]))


def _unranked_rows(analysis: Analysis) -> Iterable[dict[str, Any]]:
    """Yields a row of the table `mentions` for each name in an article, with the sentiment toward the name.

    A name is an entity and a normalised text, its key; mentions that resolve to no entity are left out. "negative",
    "neutral" and "positive" are means over the sentences that mention it, weighted by `sentence_weight`, and sum to 1.
    "weight" is the sum of these weights, "relevance" is 1 - Π (1 - weight). "text", "sentence", "start" and "end" are
    of the first mention; the last two count characters, and are -1 if it is not in the title, which alone the store
    has. Level and event types are those of the worst mention of the name.
    """
    title_length = len(analysis.article.title)
    has_title = bool(analysis.sentences) and analysis.sentences[0].end <= title_length
    names: dict[tuple[str, str], list[Mention]] = {}
    for mention in analysis.mentions:
        key = join_key(name_key(mention.text))
        if key and mention.entity:
            names.setdefault((mention.entity, key), []).append(mention)
    for (entity, key), mentions in names.items():
        by_sentence: dict[int, list[Mention]] = {}
        for mention in mentions:
            by_sentence.setdefault(mention.sentence, []).append(mention)
        weights = {sentence: sentence_weight(sentence, titled=has_title) for sentence in by_sentence}
        total = sum(weights.values())
        shares = [
            sum(weights[sentence] * _mean(of_sentence, label) for sentence, of_sentence in by_sentence.items()) / total
            for label in ("negative", "neutral", "positive")
        ]
        risk = worst_mention(
            [MentionRisk(mention.level, mention.events) for mention in mentions], analysis.adverse_from
        )
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
            **risk_values(risk.level, risk.events),
            "seen_ms": to_ms(analysis.article.seen_at),
        }


def _mean(mentions: Sequence[Mention], kind: str) -> float:
    return float(sum(getattr(mention.sentiment, kind) for mention in mentions)) / len(mentions)
