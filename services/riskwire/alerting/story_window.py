"""The recent stories of one target. Each story counts once, however many articles report it.

A story lies in the slot of the time from which it counts: when it turned negative, else when it was first seen. It
counts for the horizon (the longest window). Then the baseline learns it, and the window only remembers it, so that a
reprint or a later version some days later is no news.
"""

from __future__ import annotations

import sys
from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from riskwire.alerting.detectors.adverse import is_adverse
from riskwire.alerting.known_stories import KnownStories
from riskwire.alerting.target_story import (
    MAX_SOURCES,
    MILLION,
    StoredParts,
    StoryPart,
    TargetStory,
    balance_of,
    evidence_of,
)
from riskwire.records import Signal

STORIES_PER_PART = 64
"""Stories of one part of a slot. With as many articles and sources as a story may have, a part takes some 800 kB."""


@dataclass(frozen=True, slots=True)
class WindowChange:
    """What a signal changed in a window.

    Attributes:
        new_article: whether the article was not known.
        new_story: whether the article began a story.
        turned_negative: whether a story is negative that was not, or began negative.
        story: the story of the article; None for backfill, which enters no window.
    """

    new_article: bool
    new_story: bool
    turned_negative: bool
    story: TargetStory | None = None


@dataclass(frozen=True, slots=True)
class ExpiredSlot:
    """Sums of a slot that has left the horizon, for the baseline to learn.

    Attributes:
        at_ms: when it left.
        score: the sum of the scores of its stories.
    """

    at_ms: int
    stories: int
    negative: int
    score: float


class StoryWindow:
    """The stories of one target, by slot."""

    def __init__(
        self,
        target: str,
        stored_parts: StoredParts,
        *,
        slot_ms: int,
        horizon_ms: int,
        memory_ms: int,
        evidence_per_slot: int,
        max_stories: int,
    ) -> None:
        """Begins a window without stories.

        Args:
            target: the id of the target.
            stored_parts: the parts (groups of stories of one slot) of all targets, as the state of the stage holds
                them.
            slot_ms: the length of a slot (a quarter of an hour), by which stories expire together.
            horizon_ms: how long a story counts.
            memory_ms: how long a story is remembered, at least `horizon_ms`, so that a reprint is no news.
            evidence_per_slot: how many stories of a slot keep the evidence that an alert shows.
            max_stories: the number of stories beyond which the oldest slots are dropped early.
        """
        self.learned_until_ms = 0
        """The baseline has learned every slot that begins before this time."""
        self._target = target
        self._stored_parts = stored_parts
        self._slot_ms = slot_ms
        self._horizon_ms = horizon_ms
        self._memory_ms = max(memory_ms, horizon_ms)
        self._evidence_per_slot = evidence_per_slot
        self._max_stories = max_stories
        self._slots: dict[int, dict[int, StoryPart]] = {}
        """Parts by number, by slot."""
        self._negative_by_slot: dict[int, list[TargetStory]] = {}
        self._known = KnownStories(stored_parts.fingerprints)
        self._story_count = 0
        self._times: list[int] = []
        """Times of the stories that count, sorted."""
        self._negative_times: list[int] = []
        self._due_ms = 0
        """Before this time no slot leaves the horizon or the memory."""

    def __len__(self) -> int:
        return self._story_count

    def load(self, part: StoryPart) -> None:
        """Adds a part (some stories of one slot) from the committed state. Parts may come in any order."""
        self._slots.setdefault(part.slot_ms, {})[part.number] = part
        self._due_ms = 0
        for story in part.stories:
            self._register(story)

    def clear(self) -> None:
        """Deletes all parts from the state; the window cannot be used any more."""
        for slot in list(self._slots):
            self._drop(slot)

    def add(self, signal: Signal, at_ms: int, negative_from: float) -> WindowChange:
        """Adds a signal: as a new story, or as an article or a new version of a known story (a reprint, for instance).

        A story turns negative at most once, by the first article that is negative. Articles and sources of one story
        are kept up to a limit. Changed stories are marked for the state.

        Args:
            at_ms: the time of the signal, or the start of the bucket that took a late one.
            negative_from: the probability of negative from which a signal without a level is adverse.
        """
        negative = is_adverse(signal, negative_from)
        story = self._known.find(signal.article, signal.story)
        if story is None:
            story = TargetStory(signal.story, at_ms, at_ms if negative else None, balance_of(signal))
            story.articles = (sys.intern(signal.article),)
            story.sources = (sys.intern(signal.source_key),)
            story.show(evidence_of(signal) if negative else None)
            self._put(story)
            return WindowChange(new_article=True, new_story=True, turned_negative=negative, story=story)
        new_article = signal.article not in story.articles
        if new_article:
            self._known.add_article(story, signal.article)
        if signal.source_key not in story.sources and len(story.sources) < MAX_SOURCES:
            story.sources += (sys.intern(signal.source_key),)
        self._stored_parts.touch(story.part.key)
        turned_negative = negative and story.negative_ms is None
        if turned_negative:
            self._turn_negative(story, signal, at_ms)
        return WindowChange(new_article=new_article, new_story=False, turned_negative=turned_negative, story=story)

    def remember(self, signal: Signal, seen_ms: int, now_ms: int, negative_from: float) -> bool:
        """Remembers a story of the target's history without counting it, so that a reprint is no news.

        A story that is too old to be remembered is not added, but counts as not known.

        Args:
            seen_ms: the time of the signal.
            now_ms: the present, for whether the story is too old.
            negative_from: the probability of negative from which a signal without a level is adverse.

        Returns:
            whether the story was not known.
        """
        story = self._known.find(signal.article, signal.story)
        if story is not None:
            if signal.article not in story.articles and self._known.add_article(story, signal.article):
                self._stored_parts.touch(story.part.key)
            return False
        if self._slot_of(seen_ms) + self._slot_ms + self._memory_ms > now_ms:
            negative = is_adverse(signal, negative_from)
            story = TargetStory(
                signal.story, seen_ms, seen_ms if negative else None, balance_of(signal), from_history=True
            )
            story.articles = (sys.intern(signal.article),)
            self._put(story)
        return True

    def is_rolled(self, now_ms: int) -> bool:
        """Returns whether `roll` would change nothing that counts: no story counts, and no slot leaves."""
        return now_ms < self._due_ms and not self._times

    def roll(self, now_ms: int) -> Iterator[ExpiredSlot]:
        """Yields the sums of slots that left the horizon since the last call, and drops slots that left the memory.

        Slots come in order, and each is yielded once, for the baseline to learn. Their stories count no longer. While
        there are more than `max_stories`, the oldest slots expire early and are dropped, but never the last one. The
        caller must exhaust the iterator.
        """
        if now_ms >= self._due_ms:
            yield from self._roll_slots(now_ms)
        self.learned_until_ms = max(self.learned_until_ms, self._slot_of(now_ms - self._horizon_ms))
        self._stop_counting(now_ms - self._horizon_ms)
        while len(self) > self._max_stories and len(self._slots) > 1:
            slot = min(self._slots)
            if slot >= self.learned_until_ms:
                yield self._expired(slot, now_ms)
                self.learned_until_ms = slot + self._slot_ms
                self._stop_counting(self.learned_until_ms - 1)
            self._drop(slot)

    def _roll_slots(self, now_ms: int) -> Iterator[ExpiredSlot]:
        """Yields the slots that have left the horizon by `now_ms` for the first time, oldest first, with their sums.

        A slot is a quarter of an hour of stream time. Stories count for the horizon, and are remembered for longer.
        Slots that have left the memory too are dropped. Also sets the time before which no slot has to be rolled.
        """
        next_expiry_ms = sys.maxsize
        for slot in sorted(self._slots):
            leaves_ms = slot + self._slot_ms + self._horizon_ms
            if leaves_ms > now_ms:
                next_expiry_ms = leaves_ms
                break
            if slot >= self.learned_until_ms:
                yield self._expired(slot, leaves_ms)
                self._reduce_to_memory(slot)
            if slot + self._slot_ms + self._memory_ms <= now_ms:
                self._drop(slot)
        oldest = min(self._slots, default=None)
        leaves_memory_ms = sys.maxsize if oldest is None else oldest + self._slot_ms + self._memory_ms
        self._due_ms = min(next_expiry_ms, leaves_memory_ms)

    def count(self, since_ms: int) -> int:
        """The number of stories that count from after `since_ms`."""
        return len(self._times) - bisect_right(self._times, since_ms)

    def negative_count(self, since_ms: int) -> int:
        """The number of negative stories that count from after `since_ms`."""
        return len(self._negative_times) - bisect_right(self._negative_times, since_ms)

    def stories(self, since_ms: int) -> Iterator[TargetStory]:
        """Yields the stories that count from after `since_ms`, by slot; those from history do not count."""
        first = self._slot_of(since_ms)
        for slot in sorted(slot for slot in self._slots if slot >= first):
            yield from (story for story in self._in(slot) if story.at_ms > since_ms and not story.from_history)

    def negative_stories(self, since_ms: int) -> Iterator[TargetStory]:
        """Yields the negative ones among `stories`. They are few, and every judgement of a target reads them."""
        first = self._slot_of(since_ms)
        for slot in sorted(slot for slot in self._negative_by_slot if slot >= first):
            yield from (story for story in self._negative_by_slot[slot] if story.at_ms > since_ms)

    def count_sources(self, since_ms: int, limit: int) -> int:
        """Returns the number of sources of the negative stories after `since_ms`, at most `limit`.

        The source of a story is that of the article by which it turned negative. Stories without stored evidence are
        left out.
        """
        first = self._slot_of(since_ms)
        sources: set[str] = set()
        for slot, stories in reversed(self._negative_by_slot.items()):
            if slot < first:
                continue
            counted = stories if slot > since_ms else [story for story in stories if story.at_ms > since_ms]
            sources.update([story.evidence_source for story in counted])
            sources.discard("")
            if len(sources) >= limit:
                return limit
        return len(sources)

    def _slot_of(self, at_ms: int) -> int:
        return at_ms // self._slot_ms * self._slot_ms

    def _in(self, slot: int) -> Iterator[TargetStory]:
        return (story for part in self._slots[slot].values() for story in part.stories)

    def _put(self, story: TargetStory) -> None:
        """Adds a story to the slot of its time: to the slot's last part, or to a new part when that one is full.

        A slot is a quarter of an hour. A part is up to STORIES_PER_PART stories of it, which the state stores under one
        key.
        """
        slot = self._slot_of(story.at_ms)
        parts = self._slots.get(slot)
        if parts is None:
            parts = self._slots[slot] = {}
            self._due_ms = min(self._due_ms, slot + self._slot_ms + self._horizon_ms)
        number = max(parts, default=0)
        if number in parts and len(parts[number].stories) >= STORIES_PER_PART:
            number += 1
        part = parts.get(number)
        if part is None:
            part = parts[number] = StoryPart(self._target, slot, number, [])
            self._stored_parts.set(part.key, part)
        story.part = part
        part.stories.append(story)
        self._stored_parts.touch(part.key)
        self._register(story)

    def _register(self, story: TargetStory) -> None:
        """Enters a story into the indexes: of known stories, and of the times of all and of negative stories.

        A negative story may cost a less negative one of its slot the evidence, of which each slot keeps a limited
        number. A story from history is known, so that a reprint is no news, but is not counted.
        """
        self._story_count += 1
        self._known.add(story)
        if story.from_history:
            return
        insort(self._times, story.at_ms)
        if story.negative_ms is not None:
            insort(self._negative_times, story.negative_ms)
            negative = self._negative_by_slot.setdefault(self._slot_of(story.at_ms), [])
            negative.append(story)
            self._bound_evidence(negative)

    def _turn_negative(self, story: TargetStory, signal: Signal, at_ms: int) -> None:
        """Makes a story count as negative from `at_ms`, with weights and evidence of the article that made it so.

        It moves to the slot of that time. A story from history counts from then on, too.
        """
        self._take_out(story)
        story.from_history = False
        story.negative_ms = at_ms
        story.balance = balance_of(signal)
        story.show(evidence_of(signal))
        self._put(story)

    def _take_out(self, story: TargetStory) -> None:
        """Removes a story that did not count as negative from its slot and the indexes. The caller adds it again."""
        part, parts = story.part, self._slots[story.part.slot_ms]
        part.stories = [sibling for sibling in part.stories if sibling is not story]
        self._story_count -= 1
        if part.stories:
            self._stored_parts.touch(part.key)
        else:
            self._stored_parts.delete(part.key)
            del parts[part.number]
        if not parts:
            del self._slots[part.slot_ms]
        if not story.from_history:
            _remove_sorted(self._times, story.at_ms)
        self._known.remove(story)

    def _expired(self, slot: int, at_ms: int) -> ExpiredSlot:
        """Returns the sums of a slot, for the baseline to learn; stories from history are not counted.

        They are the number of stories, of negative ones, and the sum of positive minus negative over all stories.

        Args:
            at_ms: the time at which the slot left the horizon.
        """
        stories = [story for story in self._in(slot) if not story.from_history]
        negative = sum(story.negative_ms is not None for story in stories)
        return ExpiredSlot(at_ms, len(stories), negative, sum(story.balance for story in stories) / MILLION)

    def _stop_counting(self, until_ms: int) -> None:
        """Makes the stories up to a time count no longer."""
        del self._times[: bisect_right(self._times, until_ms)]
        del self._negative_times[: bisect_right(self._negative_times, until_ms)]

    def _reduce_to_memory(self, slot: int) -> None:
        """Drops evidence, sources and balance of the stories of a slot. Their fingerprints still find reprints."""
        for part in self._slots[slot].values():
            for story in part.stories:
                story.show(None)
                story.sources = ()
                story.balance = 0
            self._stored_parts.touch(part.key)

    def _drop(self, slot: int) -> None:
        """Removes a slot (the stories of a quarter of an hour) with all its stories from the window and the state."""
        for part in self._slots.pop(slot).values():
            for story in part.stories:
                self._known.remove(story)
            self._story_count -= len(part.stories)
            self._stored_parts.delete(part.key)
        self._negative_by_slot.pop(slot, None)

    def _bound_evidence(self, stories: Iterable[TargetStory]) -> None:
        """Drops the evidence of all but the most negative of these stories of a slot, and marks them as changed.

        At most `_evidence_per_slot` stories keep theirs; of equally negative ones, the earlier.
        """
        with_evidence = [story for story in stories if story.shown]
        if len(with_evidence) > self._evidence_per_slot:
            with_evidence.sort(key=lambda story: (-story.badness, story.at_ms, story.fingerprint))
            for story in with_evidence[self._evidence_per_slot :]:
                story.show(None)
                self._stored_parts.touch(story.part.key)


def _remove_sorted(times: list[int], time_ms: int) -> None:
    """Removes a time from a sorted list in place, once; no effect if the list does not have it."""
    index = bisect_right(times, time_ms) - 1
    if index >= 0 and times[index] == time_ms:
        del times[index]
