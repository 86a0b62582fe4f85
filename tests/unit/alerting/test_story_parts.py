"""The stories of a window in the state: a busy slot has several parts, and a step writes only those that changed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from timeline import Timeline, mark, signal, time_ms

from riskwire.alerting.story_window import STORIES_PER_PART
from riskwire.records import Mark, Signal
from riskwire.settings import AlertingSettings

NAME = "market"
MANY = 5 * STORIES_PER_PART
SECOND_H = 1 / 3600
EVIDENCE = 6
"""Where a stored story has its evidence."""


def stories_of_one_slot(count: int, start_h: float = 1.0, negative: float = 0.1) -> list[Signal]:
    """Returns signals of `count` stories, half a second apart from hour `start_h` of the timeline.

    They lie in one slot (a quarter of an hour), from seven sources. Each is negative with probability `negative`.
    """
    return [
        signal(start_h + index * SECOND_H / 2, NAME, negative, article=f"a{start_h}-{index}", source=f"s{index % 7}")
        for index in range(count)
    ]


def stored_stories(raw: bytes | None) -> list[list[Any]]:
    """Returns the stories of a part, each as a list of its fields; none for a part that is deleted (None).

    A part is stored as a JSON list whose fourth element is its stories.
    """
    return [] if raw is None else list(orjson.loads(raw)[3])


def part_sizes(state: Mapping[str, bytes | None]) -> list[int]:
    """Returns the number of stories of each part in a state or in changes of it, ascending; 0 for a deleted part."""
    return sorted(len(stored_stories(raw)) for key, raw in state.items() if key.startswith("stories/"))


def test_a_slot_of_few_stories_is_one_part() -> None:
    timeline = Timeline()
    timeline.feed(*stories_of_one_slot(STORIES_PER_PART), mark(2))
    assert part_sizes(timeline.state) == [STORIES_PER_PART]


def test_a_slot_of_many_stories_has_parts_of_bounded_size_and_a_step_writes_the_part_that_changed() -> None:
    """A new story begins a sixth part, as five are full. A new version of the first story rewrites only its part."""
    timeline = Timeline()
    timeline.feed(*stories_of_one_slot(MANY), mark(1.2))
    assert part_sizes(timeline.state) == [STORIES_PER_PART] * 5
    timeline.restart()
    changes = timeline.feed(signal(1.21, NAME, 0.1, article="new"), mark(1.22))
    assert part_sizes(changes) == [1]
    changes = timeline.feed(signal(1.21, NAME, 0.1, article="a1.0-0", version=2), mark(1.23))
    assert part_sizes(changes) == [STORIES_PER_PART]


def test_all_parts_of_a_slot_are_deleted_when_it_is_dropped() -> None:
    """Stories are remembered for three days: at hour 85 only the new story is left."""
    timeline = Timeline()
    timeline.feed(*stories_of_one_slot(MANY), mark(1.2))
    timeline.restart()
    timeline.quiet(2, 80, every_h=6)
    timeline.feed(signal(85, NAME, 0.1), mark(86))
    assert part_sizes(timeline.state) == [1]


def test_evidence_that_is_dropped_from_a_slot_is_dropped_in_every_part() -> None:
    """Of one slot, the `2 * max_evidence` most negative stories keep their evidence.

    Three parts of one slot have negative probabilities of 0.7, 0.8 and 0.9, so only the last part may keep some.
    """
    timeline = Timeline()
    for index in range(3):
        stories = stories_of_one_slot(STORIES_PER_PART, 1 + index * 0.05, negative=0.7 + index / 10)
        timeline.feed(*stories, mark(1.05 + index * 0.05))
    parts = [raw for key, raw in timeline.state.items() if key.startswith("stories/")]
    evidence = [story[EVIDENCE] for raw in parts for story in stored_stories(raw) if story[EVIDENCE] is not None]
    assert len(evidence) == 2 * timeline.settings.max_evidence
    assert {round(item["negative"], 1) for item in evidence} == {0.9}


def busy_day(draw: random.Random) -> list[list[Signal | Mark]]:
    """Returns 36 hours of signals of one target, a batch per hour, whose slots hold few or many stories.

    Some signals are later versions of earlier articles, of which some turn negative. Hours 20, 27 and 33 also have 180
    negative stories each. The mark at the end of a batch counts as many stories of the stream.
    """
    batches: list[list[Signal | Mark]] = []
    for hour in range(36):
        batch: list[Signal | Mark] = []
        for index in range(draw.choice([3, 3 * STORIES_PER_PART])):
            at_h = hour + index * SECOND_H
            negative = 0.8 if draw.random() < 0.04 else round(draw.uniform(0, 0.4), 4)
            article = f"{hour}-{index}"
            if draw.random() >= 0.8:
                article = f"{max(hour - 2, 0)}-{draw.randrange(STORIES_PER_PART)}"
            batch.append(signal(at_h, NAME, negative, article=article, source=f"s{index % 9}", version=hour + 1))
        if hour in (20, 27, 33):
            batch += [
                signal(hour + 0.3, NAME, 0.97, article=f"crisis{hour}-{index}", source=f"b{index}")
                for index in range(180)
            ]
        batches.append([*batch, mark(hour + 0.9, tuple(hour + index * SECOND_H for index in range(len(batch))))])
    return batches


@pytest.mark.parametrize("seed", range(3))
def test_the_order_in_which_the_state_is_restored_has_no_effect_on_results(seed: int) -> None:
    """After each batch, one of two timelines is restarted from its state with the keys in random order."""
    settings = AlertingSettings(windows_s=(3600, 6 * 3600))
    undisturbed, restored, draw = Timeline(settings), Timeline(settings), random.Random(seed + 100)
    for batch in busy_day(random.Random(seed)):
        undisturbed.feed(*batch)
        restored.feed(*batch)
        shuffled = list(restored.state.items())
        draw.shuffle(shuffled)
        restored.state = dict(shuffled)
        restored.restart()
    assert undisturbed.alerts, "the crisis must fire"
    assert restored.alerts == undisturbed.alerts, f"seed {seed}"
    assert restored.trends == undisturbed.trends, f"seed {seed}"
    assert restored.book.targets[NAME].encoded() == undisturbed.book.targets[NAME].encoded(), f"seed {seed}"


@pytest.mark.parametrize("since_h", [0.0, 1.3, 5.1, 20.0])
def test_sources_are_counted_over_stories_with_evidence_and_up_to_the_limit(since_h: float) -> None:
    """`count_sources(since, limit)` equals the number of sources named in the evidence, but at most `limit`.

    Args:
        since_h: the hour of the timeline from which stories count.
    """
    timeline = Timeline()
    for batch in busy_day(random.Random(7)):
        timeline.feed(*batch)
    window = timeline.book.targets[NAME].window
    since_ms = time_ms(since_h)
    stories = window.negative_stories(since_ms)
    sources = {story.evidence.source for story in stories if story.evidence is not None}
    assert len(sources) > 5
    assert window.count_sources(since_ms, 1_000) == len(sources)
    assert window.count_sources(since_ms, 3) == 3


def test_a_story_of_the_history_is_dropped_by_its_own_time() -> None:
    """Each story is in its own slot, so in its own part. Slots are dropped after three days.

    The story of the history is of hour 12 and came with the batch of hour 83.5. It is dropped at hour 85.
    """
    timeline = Timeline()
    timeline.feed(signal(80, NAME, 0.1), mark(81))
    timeline.feed(signal(82, NAME, 0.1), mark(83))
    timeline.feed(signal(12, NAME, 0.1, history=True), mark(83.5))
    assert len(part_sizes(timeline.state)) == 3
    timeline.feed(signal(84.5, NAME, 0.1), mark(85))
    assert len(part_sizes(timeline.state)) == 3, "the new story is added, and the one of the history is dropped"
