"""Derives the sentiment of a document, and what it says of each of its targets, from predictions. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from riskwire.inference.linking import LinkedMention
from riskwire.inference.model.prediction import DocumentPrediction
from riskwire.inference.model.probabilities import Distribution, mean
from riskwire.inference.relevance import relevance_by_entity
from riskwire.inference.topics import topics_of
from riskwire.records import ADVERSE_FROM, EventScore, Level, TopicScore
from riskwire.weights import SPEAKER_FACTOR, evidence_weights, sentence_weights
from riskwire.worst_mention import MentionRisk, PartyRisk, strongest_events, worst_mention

MARKET = "market"
_MAX_EXCERPT = 600
"""Characters of an excerpt."""
_NOT_SLUG = re.compile(r"[^a-z0-9]+")
_NEUTRAL: Distribution = (0.0, 1.0, 0.0)


@lru_cache(maxsize=1_024)
def topic_target(label: str) -> str:
    """Returns the target of a topic: `topic:m-a-investments` for "M&A | Investments"."""
    return f"topic:{_NOT_SLUG.sub('-', label.casefold()).strip('-')}"


def group_target(group: str) -> str:
    """Returns the target of a watchlist group."""
    return f"group:{group}"


class DocumentSummary(NamedTuple):
    """Sentiment and topics of an entire document."""

    sentiment: Distribution
    topics: tuple[TopicScore, ...]


def summarise(
    predictions: Sequence[DocumentPrediction], labels: Sequence[str], topic_threshold: float
) -> list[DocumentSummary]:
    """Returns the sentiment and the topics of each document.

    The sentiment is the mean over the sentences, weighted as in `riskwire.weights`, or neutral without a sentence.

    Args:
        predictions: the predictions of the documents.
        labels: the topic labels of the bundle.
        topic_threshold: the lowest probability of a topic.
    """
    topics = topics_of(predictions, labels, topic_threshold)
    return [
        DocumentSummary(_sentiment(prediction), document_topics)
        for prediction, document_topics in zip(predictions, topics, strict=True)
    ]


def _sentiment(prediction: DocumentPrediction) -> Distribution:
    """Returns the sentiment of a document: the mean over its sentences by weight; neutral for one without sentences."""
    if not prediction.sentences:
        return _NEUTRAL
    weights = sentence_weights(len(prediction.sentences), titled=prediction.titled)
    sentiments = [sentence.prediction.sentiment for sentence in prediction.sentences]
    return _mean([*zip(weights, sentiments, strict=True)])


class Excerpt(NamedTuple):
    """The sentence that mentions a target, and the span of the mention in it (offsets into `text`)."""

    text: str
    start: int
    end: int


class ReadingOfTitle(NamedTuple):
    """What a title says of an entity: its level, event types, and the title as an excerpt."""

    level: Level
    events: tuple[EventScore, ...] | None
    evidence: Excerpt


class TargetSentiment(NamedTuple):
    """What an article says of one target, from which a signal is made.

    Attributes:
        level: how bad it is for the target; None if the bundle does not predict levels or the article has no mention.
        events: what happened to the target, the most probable event type first; None if the bundle does not predict
            them.
        parent: of an entity, the target of the company that it belonged to on that day; empty if to none.
        confirmed: of an entity, whether title and lead sentence both say something adverse of it.
        in_title: of an entity, whether the title names it, not only as commenting on others; True without a title.
        title_reading: of such an entity, what the title says of it, if a sentence of the text decides the level.
        member: of a group, a topic or the market, target and name of the party whose mention decided; None if none did.
        weight: how large the exposure to the target is, by the watchlist; 1 of what is not on it.
    """

    target: str
    name: str
    groups: tuple[str, ...]
    sentiment: Distribution
    level: Level | None
    events: tuple[EventScore, ...] | None
    relevance: float
    evidence: Excerpt
    member: tuple[str, str] | None = None
    confirmed: bool = False
    in_title: bool = True
    title_reading: ReadingOfTitle | None = None
    parent: str = ""
    weight: float = 1.0


def target_sentiments(
    prediction: DocumentPrediction,
    mentions: Sequence[LinkedMention],
    summary: DocumentSummary,
    *,
    watched_only: bool,
    adverse_from: float | None = None,
    group_weights: Mapping[str, float] | None = None,
) -> list[TargetSentiment]:
    """Returns what an article says of each of its targets.

    The targets are: entities in order of mention, watchlist groups, topics, and `market`. Topics and `market` get the
    sentiment of the entire article, the level of its worst mention, and also the event types of sentences that belong
    to no named party. The relevance of a topic is its probability, that of `market` is 1.

    Args:
        prediction: the predictions for the sentences; there is at least one.
        summary: sentiment and topics of the entire article.
        mentions: the mentions of the document, linked to entities.
        watched_only: leave out entities that are not on the watchlist. Mentions that are not `followed`, such as an
            unwatched person or a name in the dateline, are left out anyway.
        adverse_from: the probability of a mild or material level from which a mention counts as adverse.
        group_weights: the weight of each watchlist group.
    """
    followed = [mention for mention in mentions if mention.followed and (mention.watched or not watched_only)]
    entities = list(_entity_sentiments(prediction, followed, adverse_from))
    sentiment = summary.sentiment
    risk = _risk_of_article(prediction, mentions, adverse_from)
    if risk.decisive is None:
        evidence, member = _clearest_sentence(prediction, sentiment), None
    else:
        decisive = mentions[risk.decisive]
        evidence, member = _sentence_excerpt(prediction, decisive.sentence), _member_of(decisive)
    return [
        *entities,
        *_group_sentiments(entities, group_weights or {}),
        *[
            TargetSentiment(
                topic_target(topic.label),
                topic.label,
                (),
                sentiment,
                risk.level,
                risk.events,
                topic.score,
                evidence,
                member,
            )
            for topic in summary.topics
        ],
        TargetSentiment(MARKET, "Market", (), sentiment, risk.level, risk.events, 1.0, evidence, member),
    ]


def _member_of(mention: LinkedMention) -> tuple[str, str]:
    """Returns target and name of the party that is mentioned."""
    return f"entity:{mention.entity}", mention.watched.name if mention.watched else mention.name


def _risk_of_article(
    prediction: DocumentPrediction, mentions: Sequence[LinkedMention], adverse_from: float | None
) -> PartyRisk:
    """Returns the level of the worst mention of an article, and its event types with those that belong to no party."""
    risk = worst_mention([_risk_of(mention) for mention in mentions], adverse_from)
    of_no_party = [sentence.prediction.events_of_no_party for sentence in prediction.sentences]
    return risk._replace(events=strongest_events([risk.events, *of_no_party]))


def _risk_of(mention: LinkedMention) -> MentionRisk:
    return MentionRisk(mention.level, mention.events, mention.speaker)


def _entity_sentiments(
    prediction: DocumentPrediction, mentions: Sequence[LinkedMention], adverse_from: float | None
) -> Iterable[TargetSentiment]:
    """Yields what an article says of each entity, in the order of their first mentions.

    The sentiment is the mean over the sentences that mention the entity, by the weight of each sentence. Level and
    event types are those of its worst mention (`riskwire.worst_mention`), which the excerpt shows. Without levels, the
    excerpt shows the mention with the clearest sentiment. A mention as a speaker about others has less weight. The
    relevance is that of `riskwire.inference.relevance`. The name is that of the watchlist entry, otherwise the
    longest one.

    Args:
        adverse_from: the probability of a mild or material level from which a mention counts as adverse.
    """
    weights = sentence_weights(len(prediction.sentences), titled=prediction.titled)
    relevance = relevance_by_entity(prediction, mentions)
    by_entity: dict[str, list[LinkedMention]] = {}
    for mention in mentions:
        by_entity.setdefault(mention.entity, []).append(mention)
    for entity_mentions in by_entity.values():
        if len(entity_mentions) == 1:  # as for most entities; this way costs less
            mention = entity_mentions[0]
            sentiment, level, events = mention.sentiment, mention.level, mention.events
            confirmed, title_reading = False, None
            in_title = mention.sentence == 0 and not mention.speaker
        else:
            sentiment = _mean(_sentiment_by_sentence(entity_mentions, weights))
            level, events, decisive = worst_mention([_risk_of(mention) for mention in entity_mentions], adverse_from)
            mention = _clearest_mention(entity_mentions, sentiment) if decisive is None else entity_mentions[decisive]
            confirmed = prediction.titled and _is_confirmed(entity_mentions, adverse_from)
            of_title = [mention for mention in entity_mentions if mention.sentence == 0 and not mention.speaker]
            in_title, text_decides = bool(of_title), prediction.titled and mention.sentence > 0
            title_reading = _reading_of_title(prediction, of_title, adverse_from) if text_decides else None
        watched = entity_mentions[0].watched
        yield TargetSentiment(
            f"entity:{mention.entity}",
            watched.name if watched else max([mention.name for mention in entity_mentions], key=len),
            (watched.group,) if watched and watched.group else (),
            sentiment,
            level,
            events,
            relevance[mention.entity],
            _excerpt(prediction, mention.sentence, mention.start, mention.end),
            confirmed=confirmed,
            in_title=in_title or not prediction.titled,
            title_reading=title_reading,
            parent=f"entity:{mention.parent}" if mention.parent else "",
            weight=watched.weight if watched else 1.0,
        )


def _is_confirmed(mentions: Sequence[LinkedMention], adverse_from: float | None) -> bool:
    """Returns whether title and lead sentence both have an adverse mention of an entity, not as a speaker on others.

    Args:
        mentions: all mentions of the entity in a document with a title.
    """
    threshold = ADVERSE_FROM if adverse_from is None else adverse_from
    adverse = {
        mention.sentence
        for mention in mentions
        if mention.level is not None and not mention.speaker and mention.level.adverse >= threshold
    }
    return adverse >= {0, 1}


def _reading_of_title(
    prediction: DocumentPrediction, mentions: Sequence[LinkedMention], adverse_from: float | None
) -> ReadingOfTitle | None:
    """Returns what the title says of an entity; None if the title does not name it, or without levels.

    Args:
        mentions: the mentions of the entity in the title of a document, without those as a speaker.
    """
    level, events, decisive = worst_mention([_risk_of(mention) for mention in mentions], adverse_from)
    if level is None or decisive is None:
        return None
    return ReadingOfTitle(level, events, _excerpt(prediction, 0, mentions[decisive].start, mentions[decisive].end))


def _sentiment_by_sentence(
    mentions: Sequence[LinkedMention], weights: Sequence[float]
) -> list[tuple[float, Distribution]]:
    """Returns (weight, mean sentiment of its mentions) for each sentence that mentions an entity.

    A sentence that mentions it only as a speaker, who rates or comments on others, has `SPEAKER_FACTOR` of its weight.

    Args:
        mentions: all mentions of one entity in a document.
        weights: the weight of each sentence of the document.
    """
    by_sentence: dict[int, list[LinkedMention]] = {}
    for mention in mentions:
        by_sentence.setdefault(mention.sentence, []).append(mention)
    return [
        (
            weights[sentence] * (SPEAKER_FACTOR if all(mention.speaker for mention in sentence_mentions) else 1.0),
            _mean([(1.0, mention.sentiment) for mention in sentence_mentions]),
        )
        for sentence, sentence_mentions in by_sentence.items()
    ]


def _mean(parts: Sequence[tuple[float, Distribution]]) -> Distribution:
    """Returns the weighted mean of rounded distributions; a single one is returned as it is."""
    return parts[0][1] if len(parts) == 1 else mean(parts)


def _group_sentiments(entities: Sequence[TargetSentiment], weights: Mapping[str, float]) -> Iterable[TargetSentiment]:
    """Yields for each watchlist group what the article says of its worst member, with relevance and evidence.

    The worst one has the highest relevance x probability of an adverse level; of equals the first. Without levels, the
    probability of negative takes its place.
    """
    by_group: dict[str, list[TargetSentiment]] = {}
    for entity in entities:
        for group in entity.groups:
            by_group.setdefault(group, []).append(entity)
    for group, members in by_group.items():
        worst = max(members, key=_badness)
        member = (worst.target, worst.name)
        yield worst._replace(
            target=group_target(group),
            name=group,
            groups=(group,),
            member=member,
            in_title=True,
            title_reading=None,
            parent="",
            weight=weights.get(group, 1.0),
        )


def _badness(entity: TargetSentiment) -> float:
    adverse = entity.sentiment[0] if entity.level is None else entity.level.adverse
    return entity.relevance * adverse


def _most_probable(sentiment: Distribution) -> int:
    return sentiment.index(max(sentiment))


def _clearest_mention(mentions: Sequence[LinkedMention], sentiment: Distribution) -> LinkedMention:
    """Returns the mention with the highest probability of the entity's most probable sentiment; of equals the first.

    A mention as a speaker about others is chosen only if all are such.
    """
    label = _most_probable(sentiment)
    return max(mentions, key=lambda mention: (not mention.speaker, mention.sentiment[label], -mention.start))


def _clearest_sentence(prediction: DocumentPrediction, sentiment: Distribution) -> Excerpt:
    """Returns the sentence that shows the document's most probable sentiment best, as an excerpt that it fills.

    It has the highest product of the probability of that sentiment and a weight, which is larger for earlier sentences.
    """
    label = _most_probable(sentiment)
    weights = evidence_weights(len(prediction.sentences), titled=prediction.titled)
    clarity = [
        round(weight * sentence.prediction.sentiment[label], 6)
        for weight, sentence in zip(weights, prediction.sentences, strict=True)
    ]
    return _sentence_excerpt(prediction, clarity.index(max(clarity)))


def _sentence_excerpt(prediction: DocumentPrediction, sentence: int) -> Excerpt:
    """Returns a sentence, by its index, as an excerpt that it fills."""
    span = prediction.sentences[sentence].span
    return _excerpt(prediction, sentence, span.start, span.end)


def _excerpt(prediction: DocumentPrediction, sentence: int, start: int, end: int) -> Excerpt:
    """Returns a sentence and a span as offsets into it. A sentence that is too long is cut around the span.

    The excerpt has at most `_MAX_EXCERPT` characters; a span that does not fit ends with it.

    Args:
        sentence: the index of the sentence.
        start: the start of the span in the document.
        end: the end of the span in the document.
    """
    span = prediction.sentences[sentence].span
    first, last = span.start, span.end
    if last - first > _MAX_EXCERPT:
        first = max(first, min(start - _MAX_EXCERPT // 3, last - _MAX_EXCERPT))
        last = min(last, first + _MAX_EXCERPT)
    text = prediction.document.content[first:last]
    return Excerpt(text, start - first, min(end, last) - first)
