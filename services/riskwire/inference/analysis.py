"""From a reading and its mentions to what an article says as a whole and of each of its targets. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from riskwire.inference.linking import LinkedMention
from riskwire.inference.model.probabilities import Distribution, mean
from riskwire.inference.model.reading import Reading
from riskwire.inference.topics import topics_of
from riskwire.inference.weights import SPEAKER, clarity_weights, relevance, sentence_weights
from riskwire.records import TopicScore

MARKET = "market"
_EVIDENCE = 600
"""Most characters of an evidence's text."""
_NOT_SLUG = re.compile(r"[^a-z0-9]+")
_NEUTRAL: Distribution = (0.0, 1.0, 0.0)


@lru_cache(maxsize=1_024)
def topic_target(label: str) -> str:
    """The target of a topic: `topic:m-a-investments` for "M&A | Investments"."""
    return f"topic:{_NOT_SLUG.sub('-', label.casefold()).strip('-')}"


def group_target(group: str) -> str:
    """The target of a watchlist group."""
    return f"group:{group}"


class Overall(NamedTuple):
    """What is said of a document as a whole."""

    sentiment: Distribution
    topics: tuple[TopicScore, ...]


def overall(readings: Sequence[Reading], labels: Sequence[str], topic_threshold: float) -> list[Overall]:
    """Of each document its topics, and as its sentiment the mean of its sentences', weighted as in `weights`; that of
    a document without a sentence is neutral."""
    topics = topics_of(readings, labels, topic_threshold)
    return [Overall(_sentiment(reading), several) for reading, several in zip(readings, topics, strict=True)]


def _sentiment(reading: Reading) -> Distribution:
    if not reading.sentences:
        return _NEUTRAL
    weights = sentence_weights(reading.sentences)
    return _mean([(w, one.reading.sentiment) for w, one in zip(weights, reading.sentences, strict=True)])


class Passage(NamedTuple):
    """The sentence that speaks of a target, and the span in it (offsets into `text`)."""

    text: str
    start: int
    end: int


class Said(NamedTuple):
    """What an article says of one target."""

    target: str
    name: str
    groups: tuple[str, ...]
    sentiment: Distribution
    relevance: float
    evidence: Passage


def said_of(reading: Reading, mentions: Sequence[LinkedMention], whole: Overall, *, watched_only: bool) -> list[Said]:
    """What it says of each target it speaks of: entities in order of mention, watchlist groups, topics, and `market`,
    whose sentiment is the whole article's."""
    entities = list(_entities(reading, [one for one in mentions if one.followed and (one.watched or not watched_only)]))
    sentence = _most_telling(reading, whole.sentiment)
    return [
        *entities,
        *_groups(entities),
        *[Said(topic_target(one.label), one.label, (), whole.sentiment, one.score, sentence) for one in whole.topics],
        Said(MARKET, "Market", (), whole.sentiment, 1.0, sentence),
    ]


def _entities(reading: Reading, mentions: Sequence[LinkedMention]) -> Iterable[Said]:
    weights = sentence_weights(reading.sentences)
    by_entity: dict[str, list[LinkedMention]] = {}
    for mention in mentions:
        by_entity.setdefault(mention.entity, []).append(mention)
    for entity, several in by_entity.items():
        if len(several) == 1:
            yield _said_once(reading, several[0], weights[several[0].sentence])
            continue
        by_sentence: dict[int, list[LinkedMention]] = {}
        for mention in several:
            by_sentence.setdefault(mention.sentence, []).append(mention)
        parts = []
        for at, there in by_sentence.items():
            weight = weights[at] * (SPEAKER if all(one.speaker for one in there) else 1.0)
            parts.append((weight, _mean([(1.0, one.sentiment) for one in there])))
        sentiment = _mean(parts)
        telling = _most_telling_mention(several, sentiment)
        watched = several[0].watched
        yield Said(
            f"entity:{entity}",
            watched.name if watched else max([one.name for one in several], key=len),
            (watched.group,) if watched and watched.group else (),
            sentiment,
            relevance([weight for weight, _ in parts]),
            _evidence(reading, telling.sentence, telling.start, telling.end),
        )


def _said_once(reading: Reading, mention: LinkedMention, weight: float) -> Said:
    """What an article says of an entity that it mentions once, as most are."""
    watched = mention.watched
    return Said(
        f"entity:{mention.entity}",
        watched.name if watched else mention.name,
        (watched.group,) if watched and watched.group else (),
        mention.sentiment,
        relevance((weight * SPEAKER if mention.speaker else weight,)),
        _evidence(reading, mention.sentence, mention.start, mention.end),
    )


def _mean(parts: Sequence[tuple[float, Distribution]]) -> Distribution:
    """The mean of distributions as they are read, which are rounded: of one it is that one."""
    return parts[0][1] if len(parts) == 1 else mean(parts)


def _groups(entities: Sequence[Said]) -> Iterable[Said]:
    """A group is as badly off as the member of which the article says the worst, by relevance x negative."""
    by_group: dict[str, list[Said]] = {}
    for one in entities:
        for group in one.groups:
            by_group.setdefault(group, []).append(one)
    for group, members in by_group.items():
        worst = max(members, key=lambda one: one.relevance * one.sentiment[0])
        yield Said(group_target(group), group, (group,), worst.sentiment, worst.relevance, worst.evidence)


def _likeliest(sentiment: Distribution) -> int:
    return sentiment.index(max(sentiment))


def _most_telling_mention(mentions: Sequence[LinkedMention], sentiment: Distribution) -> LinkedMention:
    """The mention of which is said most clearly what is said of its entity; of equals the first."""
    label = _likeliest(sentiment)
    return max(mentions, key=lambda one: (not one.speaker, one.sentiment[label], -one.start))


def _most_telling(reading: Reading, sentiment: Distribution) -> Passage:
    """The sentence that says most clearly what the whole says; the earlier counts more."""
    label = _likeliest(sentiment)
    weights = clarity_weights(reading.sentences)
    clarity = [
        round(weight * one.reading.sentiment[label], 6) for weight, one in zip(weights, reading.sentences, strict=True)
    ]
    at = clarity.index(max(clarity))
    place = reading.sentences[at].place
    return _evidence(reading, at, place.start, place.end)


def _evidence(reading: Reading, sentence: int, start: int, end: int) -> Passage:
    """The sentence, cut to a window around the span where it is too long; the span's offsets are into the text."""
    place = reading.sentences[sentence].place
    first, last = place.start, place.end
    if last - first > _EVIDENCE:
        first = max(first, min(start - _EVIDENCE // 3, last - _EVIDENCE))
        last = min(last, first + _EVIDENCE)
    text = reading.document.content[first:last]
    return Passage(text, start - first, min(end, last) - first)
