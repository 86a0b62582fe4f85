"""From a reading and its mentions to what is published: the analysis of an article and its signals. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from riskwire.inference.linking import LinkedMention
from riskwire.inference.probabilities import Distribution, mean, rounded, sentiment_of
from riskwire.inference.reading import Reading
from riskwire.inference.weights import SPEAKER, relevance, sentence_weights
from riskwire.schemas import (
    Analysis,
    Article,
    ArticleRef,
    Evidence,
    Mention,
    SentenceAnalysis,
    Signal,
    TopicScore,
)

MARKET = "market"
_EVIDENCE = 600
"""Most characters of an evidence's text."""
_TOPIC_SENTENCES = 3
"""Topics are read from the title and the first sentences; what follows wanders off."""
_NOT_SLUG = re.compile(r"[^a-z0-9]+")
_NEUTRAL: Distribution = (0.0, 1.0, 0.0)


@lru_cache(maxsize=1_024)
def topic_target(label: str) -> str:
    """The target of a topic: `topic:m-a-investments` for "M&A | Investments"."""
    return f"topic:{_NOT_SLUG.sub('-', label.casefold()).strip('-')}"


def group_target(group: str) -> str:
    """The target of a watchlist group."""
    return f"group:{group}"


@dataclass(frozen=True, slots=True)
class Overall:
    """What is said of a document as a whole."""

    sentiment: Distribution
    topics: tuple[TopicScore, ...]


def overall(reading: Reading, labels: Sequence[str], topic_threshold: float) -> Overall:
    """Sentiment: the mean of the sentences', weighted as in `weights`; of a document without a sentence neutral.
    Topics: the mean over the title and the first sentences, equally weighted; the likeliest first."""
    if not reading.sentences:
        return Overall(_NEUTRAL, ())
    weights = sentence_weights(reading.sentences)
    sentiment = _mean([(w, one.reading.sentiment) for w, one in zip(weights, reading.sentences, strict=True)])
    first = [one.reading.topics for one in reading.sentences[:_TOPIC_SENTENCES] if one.reading.topics]
    topics: list[TopicScore] = []
    if first and labels:
        shares = rounded([sum(column) for column in zip(*first, strict=True)])
        topics = [
            TopicScore.trusted(label=label, score=share)
            for label, share in zip(labels, shares, strict=True)
            if share >= topic_threshold
        ]
    return Overall(sentiment, tuple(sorted(topics, key=lambda one: (-one.score, one.label))))


def reference(article: Article) -> ArticleRef:
    """An article as its analysis names it."""
    known = article.__dict__
    return ArticleRef.trusted(**{name: known[name] for name in ArticleRef.model_fields})


def analysis_of(
    article: Article, reading: Reading, mentions: Sequence[LinkedMention], whole: Overall, bundle: str, story: str
) -> Analysis:
    """The record of an article that was read."""
    sentiment = sentiment_of(whole.sentiment)
    return Analysis.trusted(
        article=reference(article),
        bundle=bundle,
        status="ok",
        sentiment=sentiment,
        score=sentiment.score,
        topics=whole.topics,
        sentences=tuple(
            SentenceAnalysis.trusted(start=one.start, end=one.end, sentiment=sentiment_of(one.reading.sentiment))
            for one in reading.sentences
        ),
        skipped_sentences=reading.skipped,
        mentions=tuple(
            Mention.trusted(
                start=one.start,
                end=one.end,
                text=one.text,
                type=one.type,
                sentence=one.sentence,
                entity=one.entity,
                name=one.name,
                sentiment=sentiment_of(one.sentiment),
            )
            for one in mentions
        ),
        story=story,
    )


@dataclass(frozen=True, slots=True)
class _Said:
    """What an article says of one target."""

    target: str
    name: str
    groups: tuple[str, ...]
    sentiment: Distribution
    relevance: float
    evidence: Evidence


def signals_of(
    article: Article,
    reading: Reading,
    mentions: Sequence[LinkedMention],
    whole: Overall,
    bundle: str,
    story: str,
    *,
    watched_only: bool,
) -> list[Signal]:
    """One signal for each target the article speaks of: entities in order of mention, watchlist groups, topics, and
    `market`, whose sentiment is the whole article's."""
    entities = list(_entities(reading, [one for one in mentions if one.followed and (one.watched or not watched_only)]))
    sentence = _most_telling(reading, whole.sentiment)
    said = [
        *entities,
        *_groups(entities),
        *(_Said(topic_target(one.label), one.label, (), whole.sentiment, one.score, sentence) for one in whole.topics),
        _Said(MARKET, "Market", (), whole.sentiment, 1.0, sentence),
    ]
    return [
        Signal.trusted(
            target=one.target,
            name=one.name,
            groups=one.groups,
            article=article.id,
            version=article.version,
            story=story,
            source=article.source,
            title=article.title,
            url=article.url,
            published_at=article.published_at,
            seen_at=article.seen_at,
            backfill=article.backfill,
            sentiment=sentiment_of(one.sentiment),
            relevance=one.relevance,
            evidence=one.evidence,
            bundle=bundle,
        )
        for one in said
    ]


def _entities(reading: Reading, mentions: Sequence[LinkedMention]) -> Iterable[_Said]:
    weights = sentence_weights(reading.sentences)
    by_entity: dict[str, list[LinkedMention]] = {}
    for mention in mentions:
        by_entity.setdefault(mention.entity, []).append(mention)
    for entity, several in by_entity.items():
        by_sentence: dict[int, list[LinkedMention]] = {}
        for mention in several:
            by_sentence.setdefault(mention.sentence, []).append(mention)
        parts = []
        for at, there in by_sentence.items():
            weight = weights[at] * (SPEAKER if all(one.speaker for one in there) else 1.0)
            parts.append((weight, _mean([(1.0, one.sentiment) for one in there])))
        sentiment = _mean(parts)
        label = _likeliest(sentiment)
        telling = max(several, key=lambda one: (not one.speaker, one.sentiment[label], -one.start))
        watched = several[0].watched
        yield _Said(
            f"entity:{entity}",
            watched.name if watched else max((one.name for one in several), key=len),
            (watched.group,) if watched and watched.group else (),
            sentiment,
            relevance(weight for weight, _ in parts),
            _evidence(reading, telling.sentence, telling.start, telling.end),
        )


def _mean(parts: Sequence[tuple[float, Distribution]]) -> Distribution:
    """The mean of distributions as they are read, which are rounded: of one it is that one."""
    return parts[0][1] if len(parts) == 1 else mean(parts)


def _groups(entities: Sequence[_Said]) -> Iterable[_Said]:
    """A group is as badly off as the member of which the article says the worst, by relevance x negative."""
    by_group: dict[str, list[_Said]] = {}
    for one in entities:
        for group in one.groups:
            by_group.setdefault(group, []).append(one)
    for group, members in by_group.items():
        worst = max(members, key=lambda one: one.relevance * one.sentiment[0])
        yield _Said(group_target(group), group, (group,), worst.sentiment, worst.relevance, worst.evidence)


def _likeliest(sentiment: Distribution) -> int:
    return max(range(len(sentiment)), key=lambda at: sentiment[at])


def _most_telling(reading: Reading, sentiment: Distribution) -> Evidence:
    """The sentence that says most clearly what the whole says; the earlier counts more."""
    label = _likeliest(sentiment)
    weights = sentence_weights(reading.sentences)

    def clarity(at: int) -> tuple[float, int]:
        return round(weights[at] ** 0.5 * reading.sentences[at].reading.sentiment[label], 6), -at

    at = max(range(len(weights)), key=clarity)
    sentence = reading.sentences[at]
    return _evidence(reading, at, sentence.start, sentence.end)


def _evidence(reading: Reading, sentence: int, start: int, end: int) -> Evidence:
    """The sentence, cut to a window around the span where it is too long; the span's offsets are into the text."""
    place = reading.sentences[sentence]
    first, last = place.start, place.end
    if last - first > _EVIDENCE:
        first = max(first, min(start - _EVIDENCE // 3, last - _EVIDENCE))
        last = min(last, first + _EVIDENCE)
    text = reading.document.content[first:last]
    return Evidence.trusted(text=text, start=start - first, end=min(end, last) - first)
