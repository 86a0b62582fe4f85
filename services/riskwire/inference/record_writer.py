"""Writes the records of an article: its analysis and its signals. Pure.

Every value was made or validated by this process. So the records are encoded from plain fields, without building and
validating record objects, which took a third of the time of an article.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from riskwire.bus import Outgoing
from riskwire.inference.analysis import DocumentSummary, Excerpt, ReadingOfTitle, TargetSentiment
from riskwire.inference.linking import LinkedMention
from riskwire.inference.model.prediction import DocumentPrediction
from riskwire.inference.model.probabilities import Distribution, sentiment_of
from riskwire.pipeline import Topic
from riskwire.records import Analysis, Article, ArticleRef, Level, Signal

RecordFields = dict[str, object]
"""The fields of a record, or of a part of a record, in order."""

_REFERENCE_FIELDS = tuple(ArticleRef.model_fields)


def write_analysis(
    article: Article,
    prediction: DocumentPrediction,
    mentions: Sequence[LinkedMention],
    summary: DocumentSummary,
    bundle: str,
    story: str,
    read_with: int | None,
    adverse_from: float | None = None,
) -> Outgoing:
    """Returns the analysis record of an article that the model has read.

    Offsets of sentences and mentions are into `title + "\\n" + text`. The score is positive minus negative.

    Args:
        prediction: what the model predicts for each sentence, and how many sentences it skipped.
        mentions: the mentions, linked to entities.
        summary: sentiment and topics of the article.
        bundle: name and version of the model bundle.
        story: the fingerprint of the article.
        read_with: the offset in `commands` of the newest watchlist change before the article, or None without one.
        adverse_from: the probability of a mild or material level from which the bundle counts a mention as adverse;
            None if it does not predict levels.
    """
    sentiment = sentiment_of(summary.sentiment)
    return _outgoing_analysis(
        article,
        {
            "bundle": bundle,
            "status": "ok",
            "sentiment": sentiment,
            "score": sentiment.score,
            "topics": summary.topics,
            "sentences": [
                {
                    "start": sentence.span.start,
                    "end": sentence.span.end,
                    "sentiment": _sentiment_fields(sentence.prediction.sentiment),
                    "events": sentence.prediction.events_of_no_party,
                }
                for sentence in prediction.sentences
            ],
            "skipped_sentences": prediction.skipped,
            "mentions": [
                {
                    "start": mention.start,
                    "end": mention.end,
                    "text": mention.text,
                    "type": mention.type,
                    "sentence": mention.sentence,
                    "entity": mention.entity,
                    "name": mention.name,
                    "sentiment": _sentiment_fields(mention.sentiment),
                    "level": mention.level,
                    "adverse": _adverse(mention.level),
                    "events": mention.events,
                    "parent": mention.parent,
                }
                for mention in mentions
            ],
            "story": story,
            "adverse_from": adverse_from,
            "read_with": read_with,
        },
    )


def write_unread_analysis(
    article: Article, status: Literal["unsupported", "empty"], bundle: str, read_with: int | None
) -> Outgoing:
    """Returns the analysis record of an article that the model has not read, because of its language or lack of text.

    Args:
        status: `unsupported` because of its language, `empty` because of its lack of text.
        bundle: name and version of the model bundle.
        read_with: the offset in `commands` of the newest watchlist change before the article, or None without one.
    """
    return _outgoing_analysis(
        article,
        {
            "bundle": bundle,
            "status": status,
            "sentiment": None,
            "score": None,
            "topics": (),
            "sentences": (),
            "skipped_sentences": 0,
            "mentions": (),
            "story": None,
            "adverse_from": None,
            "read_with": read_with,
        },
    )


def _outgoing_analysis(article: Article, fields: RecordFields) -> Outgoing:
    """Returns an analysis of an article as a record to publish in the topic `analyses`; its key is the article's id.

    Args:
        fields: the fields of the analysis besides the format version (`v`) and the reference to its article.
    """
    values = article.__dict__
    reference = {name: values[name] for name in _REFERENCE_FIELDS}
    return Outgoing(Topic.ANALYSES, article.id, Analysis.encode_fields({"v": 1, "article": reference, **fields}))


def write_signals(
    article: Article, targets: Sequence[TargetSentiment], bundle: str, story: str, adverse_from: float | None = None
) -> list[Outgoing]:
    """Returns one signal record for each target of an article, such as an entity, its group or the market.

    The key of a record is its target. `history` and `was_backfill` are False, because only signals that are written
    later, about the past of a newly watched target, are history.

    Args:
        targets: the targets, each with sentiment, level and event types, its relevance, and the sentence that shows it.
        bundle: name and version of the model bundle.
        story: the fingerprint of the article, equal or similar for reprints.
        adverse_from: the probability of a mild or material level from which the bundle counts a mention as adverse;
            None if it does not predict levels.
    """
    return [
        Outgoing(
            Topic.SIGNALS,
            target.target,
            Signal.encode_fields(
                {
                    "v": 1,
                    "kind": "signal",
                    "target": target.target,
                    "name": target.name,
                    "groups": target.groups,
                    "article": article.id,
                    "version": article.version,
                    "story": story,
                    "source": article.source,
                    "publisher": article.publisher,
                    "title": article.title,
                    "url": article.url,
                    "published_at": article.published_at,
                    "seen_at": article.seen_at,
                    "backfill": article.backfill,
                    "history": False,
                    "was_backfill": False,
                    "sentiment": _sentiment_fields(target.sentiment),
                    "level": target.level,
                    "adverse": _adverse(target.level),
                    "events": target.events,
                    "adverse_from": adverse_from,
                    "relevance": target.relevance,
                    "evidence": _evidence_fields(target.evidence),
                    "bundle": bundle,
                    "member": target.member[0] if target.member else "",
                    "member_name": target.member[1] if target.member else "",
                    "confirmed": target.confirmed,
                    "in_title": target.in_title,
                    "title_reading": _title_fields(target.title_reading),
                    "parent": target.parent,
                    "weight": target.weight,
                }
            ),
        )
        for target in targets
    ]


def _sentiment_fields(sentiment: Distribution) -> RecordFields:
    negative, neutral, positive = sentiment
    return {"negative": negative, "neutral": neutral, "positive": positive}


def _evidence_fields(excerpt: Excerpt) -> RecordFields:
    return {"text": excerpt.text, "start": excerpt.start, "end": excerpt.end}


def _title_fields(reading: ReadingOfTitle | None) -> RecordFields | None:
    if reading is None:
        return None
    return {"level": reading.level, "events": reading.events, "evidence": _evidence_fields(reading.evidence)}


def _adverse(level: Level | None) -> float | None:
    return None if level is None else level.adverse
