"""What has been told: a story as one target sees it, and the finding of the one that an article tells again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any

from riskwire.records import AlertEvidence, Signal
from riskwire.story import SHARED_BANDS, bands, same_story

MILLION = 1_000_000
MAX_ARTICLES = 200
"""Article ids kept of one story; reprints beyond are counted but not remembered."""
MAX_SOURCES = 50


@dataclass(slots=True)
class Story:
    """One story as one target's window sees it; weights in millionths, times in ms."""

    fingerprint: str
    first_ms: int
    negative_ms: int | None
    weights: tuple[int, int, int]
    articles: set[str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)
    evidence: AlertEvidence | None = None
    known: bool = False
    """Learned from history: it is remembered, and neither counted nor learned here."""
    part: int = 0
    """In which part of its slot it is kept."""

    @property
    def at_ms(self) -> int:
        """The time from which it counts."""
        return self.first_ms if self.negative_ms is None else self.negative_ms

    @property
    def balance(self) -> int:
        """positive - negative, of the article that decided, in millionths: a sum of them is the same in any order."""
        return self.weights[2] - self.weights[0]

    def encoded(self) -> list[Any]:
        """Plain JSON values, for the state."""
        return [
            self.fingerprint,
            self.first_ms,
            self.negative_ms,
            self.weights,
            sorted(self.articles),
            sorted(self.sources),
            None if self.evidence is None else self.evidence.model_dump(mode="json"),
            self.known,
        ]

    @classmethod
    def decoded(cls, plain: list[Any]) -> Story:
        """What `encoded` gave."""
        fingerprint, first_ms, negative_ms, (negative, neutral, positive), articles, sources, evidence, *known = plain
        return cls(
            fingerprint=fingerprint,
            first_ms=first_ms,
            negative_ms=negative_ms,
            weights=(negative, neutral, positive),
            articles=set(articles),
            sources=set(sources),
            evidence=None if evidence is None else AlertEvidence.model_validate(evidence),
            known=bool(known and known[0]),
        )


class Told:
    """The stories of one target, by the articles that tell them and by what they are like."""

    def __init__(self) -> None:
        self._by_article: dict[str, Story] = {}
        self._by_band: dict[str, list[Story]] = {}

    def find(self, article: str, fingerprint: str) -> Story | None:
        """The story that an article has told before, or else the earliest that is told alike."""
        return self._by_article.get(article) or self._alike(fingerprint)

    def add(self, story: Story) -> None:
        """Let a story be found."""
        for article in story.articles:
            self._by_article[article] = story
        by_band = self._by_band
        for _, keys in _bands(story.fingerprint):
            for band in keys:
                if band in by_band:
                    by_band[band].append(story)
                else:
                    by_band[band] = [story]

    def join(self, story: Story, article: str) -> bool:
        """Let a further article tell a story; whether there was room to remember it."""
        if len(story.articles) >= MAX_ARTICLES:
            return False
        story.articles.add(article)
        self._by_article[article] = story
        return True

    def remove(self, story: Story) -> None:
        """Let a story be found no more."""
        for article in story.articles:
            self._by_article.pop(article, None)
        for _, keys in _bands(story.fingerprint):
            for band in keys:
                others = [other for other in self._by_band.get(band, ()) if other is not story]
                if others:
                    self._by_band[band] = others
                else:
                    self._by_band.pop(band, None)

    def _alike(self, fingerprint: str) -> Story | None:
        """The earliest story told alike; ties by fingerprint, so that the order of arrival does not matter."""
        found: list[Story] = []
        for enough, keys in _bands(fingerprint):
            near = [story for stories in map(self._by_band.get, keys) if stories for story in stories]
            if near:
                found += [story for story in near if story.fingerprint == fingerprint]
            if len(near) >= enough:
                shared = Counter(map(id, near))
                found += [
                    story
                    for story in {id(story): story for story in near}.values()
                    if shared[id(story)] >= enough and same_story(story.fingerprint, fingerprint)
                ]
        return min(found, key=lambda story: (story.first_ms, story.fingerprint), default=None)


def weights_of(signal: Signal) -> tuple[int, int, int]:
    """Negative, neutral and positive, in millionths."""
    sentiment = signal.sentiment
    return (
        round(sentiment.negative * MILLION),
        round(sentiment.neutral * MILLION),
        round(sentiment.positive * MILLION),
    )


def evidence_of(signal: Signal) -> AlertEvidence:
    """The article and sentence of a signal, as an alert shows it."""
    return AlertEvidence.trusted(
        story=signal.story,
        title=signal.title,
        url=signal.url,
        source=signal.source,
        seen_at=signal.seen_at,
        text=signal.evidence.text,
        start=signal.evidence.start,
        end=signal.evidence.end,
        negative=signal.sentiment.negative,
    )


@lru_cache(maxsize=5_000)
def _bands(fingerprint: str) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """The keys of each kind, and how many of them two fingerprints of one story share at least. Kept, since the targets
    of an article ask one after another, and each twice."""
    kinds = groupby(bands(fingerprint), key=itemgetter(0))
    return tuple((SHARED_BANDS[kind], tuple(keys)) for kind, keys in kinds)
