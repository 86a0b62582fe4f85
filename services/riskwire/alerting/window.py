"""The recent stories of one target: each counted once, however many articles tell it.

A story stands in the slot of the time from which it counts: when it turned negative, else when it was first seen. For
the horizon (the longest window) it is judged; then it is learned by the baseline, and only remembered, so that a
reprint or a later version that comes days after is not news again.

As state a slot is cut in parts: no record grows with the slot, and of many stories only those beside one that changed
are written anew. Which part a story is in, and the order they are restored in, changes nothing that comes out.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, groupby
from operator import itemgetter
from typing import Any

import orjson

from riskwire.schemas import AlertEvidence, Signal
from riskwire.story import SHARED_BANDS, bands, same_story

MILLION = 1_000_000
MAX_ARTICLES = 200
"""Article ids kept of one story; reprints beyond are counted but not remembered."""
MAX_SOURCES = 50
PART = 64
"""Stories of one part of a slot: with all the articles and sources they may have, some 800 kB."""


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


@dataclass(frozen=True, slots=True)
class Change:
    """What a signal changed: whether it brought a new article, a new story, and a story that now is negative."""

    article: bool
    story: bool
    negative: bool


@dataclass(frozen=True, slots=True)
class Left:
    """A slot that has left the horizon, for the baseline to learn."""

    at_ms: int
    stories: int
    negative: int
    score: float


class Window:
    """The stories of one target, found by article, by fingerprint and by time."""

    def __init__(
        self, *, slot_ms: int, horizon_ms: int, remember_ms: int, evidence_per_slot: int, most_stories: int
    ) -> None:
        self._slot_ms = slot_ms
        self._horizon_ms = horizon_ms
        self._remember_ms = max(remember_ms, horizon_ms)
        self._evidence_per_slot = evidence_per_slot
        self._most_stories = most_stories
        self._slots: dict[int, dict[int, list[Story]]] = {}
        self._held = 0
        self._negative_slots: dict[int, list[Story]] = {}
        self._learned_until = 0
        self._by_article: dict[str, Story] = {}
        self._by_band: dict[str, list[Story]] = {}
        self._times: list[int] = []
        self._negative_times: list[int] = []
        self.dirty: set[tuple[int, int]] = set()
        """Slots and parts whose state has changed."""

    def __len__(self) -> int:
        return self._held

    def add(self, signal: Signal, at_ms: int, negative_from: float) -> Change:
        """Take a signal into the window at `at_ms` (its time, or the start of the bucket it was put off to)."""
        negative = signal.sentiment.negative >= negative_from
        story = self._by_article.get(signal.article) or self._alike(signal.story)
        if story is None:
            story = Story(signal.story, at_ms, at_ms if negative else None, _weights(signal))
            story.articles.add(signal.article)
            story.sources.add(signal.source)
            story.evidence = _evidence(signal) if negative else None
            self._put(story)
            return Change(article=True, story=True, negative=negative)
        new_article = signal.article not in story.articles
        if new_article and len(story.articles) < MAX_ARTICLES:
            story.articles.add(signal.article)
            self._by_article[signal.article] = story
        if len(story.sources) < MAX_SOURCES:
            story.sources.add(signal.source)
        self._touch(story)
        turned = negative and story.negative_ms is None
        if turned:
            self._move(story, signal, at_ms)
        return Change(article=new_article, story=False, negative=turned)

    def remember(self, signal: Signal, seen_ms: int, now_ms: int, negative_from: float) -> bool:
        """Remember a story of the past, so that a reprint is no news; whether it was not known already."""
        story = self._by_article.get(signal.article) or self._alike(signal.story)
        if story is not None:
            if len(story.articles) < MAX_ARTICLES and signal.article not in story.articles:
                story.articles.add(signal.article)
                self._by_article[signal.article] = story
                self._touch(story)
            return False
        if seen_ms // self._slot_ms * self._slot_ms + self._slot_ms + self._remember_ms > now_ms:
            negative = signal.sentiment.negative >= negative_from
            story = Story(signal.story, seen_ms, seen_ms if negative else None, _weights(signal), known=True)
            story.articles.add(signal.article)
            self._put(story)
        return True

    def roll(self, now_ms: int) -> Iterator[Left]:
        """Let stories leave the horizon, slot by slot and in order, and forget those beyond what is remembered.

        A window that holds too many lets its oldest slots go early; they are learned all the same.
        """
        for slot in sorted(self._slots):
            leaves = slot + self._slot_ms + self._horizon_ms
            if leaves > now_ms:
                break
            if slot >= self._learned_until:
                yield self._left(slot, leaves)
                self._shadow(slot)
            if slot + self._slot_ms + self._remember_ms <= now_ms:
                self._forget(slot)
        self._learned_until = max(self._learned_until, (now_ms - self._horizon_ms) // self._slot_ms * self._slot_ms)
        self._uncount(now_ms - self._horizon_ms)
        while len(self) > self._most_stories and len(self._slots) > 1:
            slot = min(self._slots)
            if slot >= self._learned_until:
                yield self._left(slot, now_ms)
                self._learned_until = slot + self._slot_ms
                self._uncount(self._learned_until - 1)
            self._forget(slot)

    def count(self, since_ms: int) -> int:
        """Stories that count from after `since_ms` on."""
        return len(self._times) - bisect_right(self._times, since_ms)

    def negatives(self, since_ms: int) -> int:
        """Negative stories that count from after `since_ms` on."""
        return len(self._negative_times) - bisect_right(self._negative_times, since_ms)

    def stories(self, since_ms: int) -> Iterator[Story]:
        """The stories that count from after `since_ms` on, by slot."""
        first = since_ms // self._slot_ms * self._slot_ms
        for slot in sorted(slot for slot in self._slots if slot >= first):
            yield from (story for story in self._in(slot) if story.at_ms > since_ms and not story.known)

    def negative_stories(self, since_ms: int) -> Iterator[Story]:
        """Those of `stories` that are negative: few of many, and asked for whenever a target is judged."""
        first = since_ms // self._slot_ms * self._slot_ms
        for slot in sorted(slot for slot in self._negative_slots if slot >= first):
            yield from (story for story in self._negative_slots[slot] if story.at_ms > since_ms)

    def encoded(self, slot: int, part: int) -> bytes | None:
        """A part of a slot as state, None when it is gone."""
        stories = self._slots.get(slot, {}).get(part)
        return orjson.dumps([story.encoded() for story in stories]) if stories else None

    def load(self, slot: int, part: int, raw: bytes) -> None:
        """Take back what `encoded` gave; parts may come in any order, and be larger than they are made now."""
        for plain in orjson.loads(raw):
            self._put(Story.decoded(plain), part)
        self.dirty.discard((slot, part))

    def forget_all(self) -> list[tuple[int, int]]:
        """The slots and parts it has, for the state to let go of."""
        return sorted({*((slot, part) for slot, parts in self._slots.items() for part in parts), *self.dirty})

    def learned_until(self, ms: int) -> None:
        """After a restore: slots before this have been learned."""
        self._learned_until = ms

    @property
    def learned_ms(self) -> int:
        """Slots before this have been learned."""
        return self._learned_until

    def _alike(self, fingerprint: str) -> Story | None:
        """The earliest story told alike; ties by fingerprint, so that the order of arrival does not matter."""
        found: dict[int, Story] = {}
        for kind, keys in groupby(bands(fingerprint), key=itemgetter(0)):
            near = [story for key in keys for story in self._by_band.get(key, ())]
            shared, enough = Counter(map(id, near)), SHARED_BANDS[kind]
            found |= {
                id(story): story
                for story in near
                if story.fingerprint == fingerprint
                or (shared[id(story)] >= enough and same_story(story.fingerprint, fingerprint))
            }
        return min(found.values(), key=lambda story: (story.first_ms, story.fingerprint), default=None)

    def _slot_of(self, story: Story) -> int:
        return story.at_ms // self._slot_ms * self._slot_ms

    def _in(self, slot: int) -> Iterator[Story]:
        return chain.from_iterable(self._slots[slot].values())

    def _touch(self, story: Story) -> None:
        self.dirty.add((self._slot_of(story), story.part))

    def _put(self, story: Story, part: int | None = None) -> None:
        """Into its slot; into the last part of it, or a new one when that is full, unless told."""
        slot = self._slot_of(story)
        parts = self._slots.setdefault(slot, {})
        if part is None:
            part = max(parts, default=0)
            part += len(parts.get(part, ())) >= PART
        story.part = part
        parts.setdefault(part, []).append(story)
        self._held += 1
        self._touch(story)
        for article in story.articles:
            self._by_article[article] = story
        for band in bands(story.fingerprint):
            self._by_band.setdefault(band, []).append(story)
        if story.known:
            return
        insort(self._times, story.at_ms)
        if story.negative_ms is not None:
            insort(self._negative_times, story.negative_ms)
            self._negative_slots.setdefault(slot, []).append(story)
            self._bound_evidence(self._negative_slots[slot])

    def _move(self, story: Story, signal: Signal, at_ms: int) -> None:
        """A story turned negative: it counts from now, by the article that made it so."""
        self._take_out(story)
        story.known = False
        story.negative_ms = at_ms
        story.weights = _weights(signal)
        story.evidence = _evidence(signal)
        self._put(story)

    def _take_out(self, story: Story) -> None:
        """Of a story that did not count as negative."""
        slot = self._slot_of(story)
        self._touch(story)
        parts = self._slots[slot]
        parts[story.part] = [other for other in parts[story.part] if other is not story]
        self._held -= 1
        if not parts[story.part]:
            del parts[story.part]
        if not parts:
            del self._slots[slot]
        if not story.known:
            _discard(self._times, story.at_ms)
        self._unindex(story)

    def _unindex(self, story: Story) -> None:
        for article in story.articles:
            self._by_article.pop(article, None)
        for band in bands(story.fingerprint):
            others = [other for other in self._by_band.get(band, ()) if other is not story]
            if others:
                self._by_band[band] = others
            else:
                self._by_band.pop(band, None)

    def _left(self, slot: int, at_ms: int) -> Left:
        stories = [story for story in self._in(slot) if not story.known]
        negative = sum(story.negative_ms is not None for story in stories)
        return Left(at_ms, len(stories), negative, sum(story.balance for story in stories) / MILLION)

    def _uncount(self, until_ms: int) -> None:
        """Stories up to this time no longer count."""
        del self._times[: bisect_right(self._times, until_ms)]
        del self._negative_times[: bisect_right(self._negative_times, until_ms)]

    def _shadow(self, slot: int) -> None:
        for story in self._in(slot):
            story.evidence = None
            story.sources.clear()
            self._touch(story)

    def _forget(self, slot: int) -> None:
        for story in self._in(slot):
            self._unindex(story)
            self._touch(story)
            self._held -= 1
        del self._slots[slot]
        self._negative_slots.pop(slot, None)

    def _bound_evidence(self, stories: Iterable[Story]) -> None:
        """Keep the evidence of the most negative stories of a slot only."""
        kept = [story for story in stories if story.evidence is not None]
        if len(kept) > self._evidence_per_slot:
            kept.sort(key=lambda story: (-story.weights[0], story.at_ms, story.fingerprint))
            for story in kept[self._evidence_per_slot :]:
                story.evidence = None
                self._touch(story)


def _discard(times: list[int], value: int) -> None:
    at = bisect_right(times, value) - 1
    if at >= 0 and times[at] == value:
        del times[at]


def _weights(signal: Signal) -> tuple[int, int, int]:
    sentiment = signal.sentiment
    return (
        round(sentiment.negative * MILLION),
        round(sentiment.neutral * MILLION),
        round(sentiment.positive * MILLION),
    )


def _evidence(signal: Signal) -> AlertEvidence:
    return AlertEvidence(
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
