"""The recent stories of one target: each counted once, however many articles tell it.

A story stands in the slot of the time from which it counts: when it turned negative, else when it was first seen. For
the horizon (the longest window) it is judged; then it is learned by the baseline, and only remembered, so that a
reprint or a later version that comes days after is not news again.

As state a slot is cut in parts: no record grows with the slot, and of many stories only those beside one that changed
are written anew. Which part a story is in, and the order they are restored in, changes nothing that comes out.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import orjson

from riskwire.alerting.story_index import MAX_SOURCES, MILLION, Story, Told, evidence_of, weights_of
from riskwire.records import Signal

PART = 64
"""Stories of one part of a slot: with all the articles and sources they may have, some 800 kB."""


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
        self._due_ms = 0
        """Before this no slot leaves the horizon or what is remembered."""
        self._told = Told()
        self._times: list[int] = []
        self._negative_times: list[int] = []
        self.dirty: set[tuple[int, int]] = set()
        """Slots and parts whose state has changed."""

    def __len__(self) -> int:
        return self._held

    def add(self, signal: Signal, at_ms: int, negative_from: float) -> Change:
        """Take a signal into the window at `at_ms` (its time, or the start of the bucket it was put off to)."""
        negative = signal.sentiment.negative >= negative_from
        story = self._told.find(signal.article, signal.story)
        if story is None:
            story = Story(signal.story, at_ms, at_ms if negative else None, weights_of(signal))
            story.articles.add(signal.article)
            story.sources.add(signal.source)
            story.evidence = evidence_of(signal) if negative else None
            self._put(story)
            return Change(article=True, story=True, negative=negative)
        new_article = signal.article not in story.articles
        if new_article:
            self._told.join(story, signal.article)
        if len(story.sources) < MAX_SOURCES:
            story.sources.add(signal.source)
        self._touch(story)
        turned = negative and story.negative_ms is None
        if turned:
            self._move(story, signal, at_ms)
        return Change(article=new_article, story=False, negative=turned)

    def remember(self, signal: Signal, seen_ms: int, now_ms: int, negative_from: float) -> bool:
        """Remember a story of the past, so that a reprint is no news; whether it was not known already."""
        story = self._told.find(signal.article, signal.story)
        if story is not None:
            if signal.article not in story.articles and self._told.join(story, signal.article):
                self._touch(story)
            return False
        if seen_ms // self._slot_ms * self._slot_ms + self._slot_ms + self._remember_ms > now_ms:
            negative = signal.sentiment.negative >= negative_from
            story = Story(signal.story, seen_ms, seen_ms if negative else None, weights_of(signal), known=True)
            story.articles.add(signal.article)
            self._put(story)
        return True

    def roll(self, now_ms: int) -> Iterator[Left]:
        """Let stories leave the horizon, slot by slot and in order, and forget those beyond what is remembered.

        A window that holds too many lets its oldest slots go early; they are learned all the same.
        """
        if now_ms >= self._due_ms:
            yield from self._roll_slots(now_ms)
        self._learned_until = max(self._learned_until, (now_ms - self._horizon_ms) // self._slot_ms * self._slot_ms)
        self._uncount(now_ms - self._horizon_ms)
        while len(self) > self._most_stories and len(self._slots) > 1:
            slot = min(self._slots)
            if slot >= self._learned_until:
                yield self._left(slot, now_ms)
                self._learned_until = slot + self._slot_ms
                self._uncount(self._learned_until - 1)
            self._forget(slot)

    def _roll_slots(self, now_ms: int) -> Iterator[Left]:
        for slot in sorted(self._slots):
            leaves = slot + self._slot_ms + self._horizon_ms
            if leaves > now_ms:
                break
            if slot >= self._learned_until:
                yield self._left(slot, leaves)
                self._shadow(slot)
            if slot + self._slot_ms + self._remember_ms <= now_ms:
                self._forget(slot)
        ends = (slot + self._slot_ms for slot in self._slots)
        self._due_ms = min(
            (end + (self._horizon_ms if end + self._horizon_ms > now_ms else self._remember_ms) for end in ends),
            default=0,
        )

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

    def tellers(self, since_ms: int, most: int) -> int:
        """How many sources told those of `negative_stories` first that evidence is kept of; counted up to `most`."""
        first = since_ms // self._slot_ms * self._slot_ms
        found: set[str] = set()
        for slot, stories in reversed(self._negative_slots.items()):
            if slot < first:
                continue
            found.update(
                [
                    story.evidence.source
                    for story in stories
                    if story.evidence is not None and (slot > since_ms or story.at_ms > since_ms)
                ]
            )
            if len(found) >= most:
                return most
        return len(found)

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

    def _slot_of(self, story: Story) -> int:
        return story.at_ms // self._slot_ms * self._slot_ms

    def _in(self, slot: int) -> Iterator[Story]:
        return chain.from_iterable(self._slots[slot].values())

    def _touch(self, story: Story) -> None:
        self.dirty.add((self._slot_of(story), story.part))

    def _put(self, story: Story, part: int | None = None) -> None:
        """Into its slot; into the last part of it, or a new one when that is full, unless told."""
        slot = self._slot_of(story)
        parts = self._slots.get(slot)
        if parts is None:
            parts = self._slots[slot] = {}
            self._due_ms = 0
        if part is None:
            part = max(parts, default=0)
            part += len(parts.get(part, ())) >= PART
        story.part = part
        parts.setdefault(part, []).append(story)
        self._held += 1
        self._touch(story)
        self._told.add(story)
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
        story.weights = weights_of(signal)
        story.evidence = evidence_of(signal)
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
        self._told.remove(story)

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
            self._told.remove(story)
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
