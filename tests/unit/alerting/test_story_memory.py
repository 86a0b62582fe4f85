"""The memory of a story. A busy day has half a million, one for each target of an article."""

from __future__ import annotations

import random
import tracemalloc

from timeline import Timeline, mark, signal, time_ms

from riskwire.alerting.story_window import StoryWindow
from riskwire.alerting.target import MEMORY_MS, SLOT_MS
from riskwire.alerting.target_story import StoredParts
from riskwire.records import SIGNALS, read_record
from riskwire.settings import AlertingSettings

TARGETS = ("market", "topic:earnings", "group:chemicals", "entity:acme")
ARTICLES = 500
HOUR_MS = 3_600_000
MOST_BYTES = 800
"""Of a story of a target: it takes 570, and took 1,460 with an index of bands for each target."""
MOST_BYTES_OF_EVIDENCE = 820
"""Of what an alert shows of a story: it takes 700, took 880 as a record, and 8,000 in the buffer of orjson."""


def feed_articles(timeline: Timeline, count: int, negative: float, start_h: float, hours: float) -> None:
    """Feeds articles with a story of their own, each with a signal for every target."""
    chance = random.Random(start_h)
    for number in range(count):
        at_h = start_h + number * hours / count
        article, story = chance.randbytes(16).hex(), chance.randbytes(32).hex()
        for target in TARGETS:
            new = signal(at_h, target, negative, article=article, story=story)
            timeline.feed(read_record(SIGNALS, new.to_bytes(), "a test"))  # so that records share no text
        timeline.feed(mark(at_h))
    timeline.feed(mark(start_h + hours + 0.1))


def bytes_per_story(negative: float) -> float:
    """Returns the bytes that the book holds for each story of a target.

    The news comes over twenty hours: so slowly that each adverse story keeps its evidence.
    """
    timeline = Timeline(AlertingSettings(min_stories=10_000))  # no spike
    feed_articles(timeline, 100, negative, 0.0, 1.0)  # what exists once
    tracemalloc.start()
    try:
        feed_articles(timeline, ARTICLES, negative, 2.0, 20.0)
        timeline.state.clear()  # it lies on the disk, and trends on the bus
        timeline.trends.clear()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return held / (ARTICLES * len(TARGETS))


def test_a_story_costs_few_bytes_and_so_does_its_evidence() -> None:
    bytes_per_story(0.1)  # fills the caches of texts and bands
    calm, adverse = bytes_per_story(0.1), bytes_per_story(0.9)
    assert calm < MOST_BYTES
    assert adverse - calm < MOST_BYTES_OF_EVIDENCE


def test_no_fingerprint_stays_after_its_story_is_forgotten() -> None:
    """A story leaves the memory, and a target is dropped that shares a story with the other one."""
    parts = StoredParts({})
    windows = [
        StoryWindow(
            target,
            parts,
            slot_ms=SLOT_MS,
            horizon_ms=MEMORY_MS // 3,
            memory_ms=MEMORY_MS,
            evidence_per_slot=5,
            max_stories=100,
        )
        for target in TARGETS[:2]
    ]
    for hour, story in ((0.0, "0a" * 32), (MEMORY_MS / HOUR_MS + 3, "1b" * 32)):
        for window in windows:
            window.add(signal(hour, story=story), time_ms(hour), 0.5)
    assert len(parts.fingerprints) == 2
    list(windows[0].roll(time_ms(MEMORY_MS / HOUR_MS + 4)))
    assert len(parts.fingerprints) == 2
    windows[1].clear()
    assert len(parts.fingerprints) == 1
    assert len(windows[0]) == 1
