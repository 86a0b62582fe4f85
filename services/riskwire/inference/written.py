"""What infer publishes of an article, as it stands on the topics: its analysis and its signals. Pure.

Every value is one that this process made or has validated. So nothing is looked at again, and no record is built only
to be taken apart: that was a third of the time of an article.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from riskwire.bus import Outgoing
from riskwire.inference.analysis import Overall, Said
from riskwire.inference.linking import LinkedMention
from riskwire.inference.model.probabilities import Distribution, sentiment_of
from riskwire.inference.model.reading import Reading
from riskwire.pipeline import Topic
from riskwire.records import Analysis, Article, ArticleRef, Signal

Fields = dict[str, object]
"""Fields of a record or of a part of one, in order."""

_REFERENCE = tuple(ArticleRef.model_fields)


def analysis(
    article: Article,
    reading: Reading,
    mentions: Sequence[LinkedMention],
    whole: Overall,
    bundle: str,
    story: str,
    read_with: int | None,
) -> Outgoing:
    """The analysis of an article that was read, with the watchlist as of the command `read_with`."""
    sentiment = sentiment_of(whole.sentiment)
    return _analysis(
        article,
        {
            "bundle": bundle,
            "status": "ok",
            "sentiment": sentiment,
            "score": sentiment.score,
            "topics": whole.topics,
            "sentences": [
                {"start": one.place.start, "end": one.place.end, "sentiment": _shares(one.reading.sentiment)}
                for one in reading.sentences
            ],
            "skipped_sentences": reading.skipped,
            "mentions": [
                {
                    "start": one.start,
                    "end": one.end,
                    "text": one.text,
                    "type": one.type,
                    "sentence": one.sentence,
                    "entity": one.entity,
                    "name": one.name,
                    "sentiment": _shares(one.sentiment),
                }
                for one in mentions
            ],
            "story": story,
            "read_with": read_with,
        },
    )


def unread(article: Article, status: Literal["unsupported", "empty"], bundle: str, read_with: int | None) -> Outgoing:
    """The analysis of an article of which nothing was read."""
    return _analysis(
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
            "read_with": read_with,
        },
    )


def _analysis(article: Article, fields: Fields) -> Outgoing:
    known = article.__dict__
    reference = {name: known[name] for name in _REFERENCE}
    return Outgoing(Topic.ANALYSES, article.id, Analysis.written({"v": 1, "article": reference, **fields}))


def signals(article: Article, said: Sequence[Said], bundle: str, story: str) -> list[Outgoing]:
    """A signal for each target that an article speaks of."""
    return [
        Outgoing(
            Topic.SIGNALS,
            one.target,
            Signal.written(
                {
                    "v": 1,
                    "kind": "signal",
                    "target": one.target,
                    "name": one.name,
                    "groups": one.groups,
                    "article": article.id,
                    "version": article.version,
                    "story": story,
                    "source": article.source,
                    "title": article.title,
                    "url": article.url,
                    "published_at": article.published_at,
                    "seen_at": article.seen_at,
                    "backfill": article.backfill,
                    "history": False,
                    "was_backfill": False,
                    "sentiment": _shares(one.sentiment),
                    "relevance": one.relevance,
                    "evidence": {"text": one.evidence.text, "start": one.evidence.start, "end": one.evidence.end},
                    "bundle": bundle,
                }
            ),
        )
        for one in said
    ]


def _shares(sentiment: Distribution) -> Fields:
    negative, neutral, positive = sentiment
    return {"negative": negative, "neutral": neutral, "positive": positive}
