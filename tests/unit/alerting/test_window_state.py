"""The state of a window: a slot of many stories stands in several records, of which a step writes what it changed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import timedelta

import orjson
import pytest
from timeline import START, Timeline, mark, signal

from riskwire.alerting.book import Book
from riskwire.alerting.target import Target
from riskwire.alerting.window import PART
from riskwire.records import Mark, Signal
from riskwire.settings import AlertingSettings

NAME = "market"
MANY = 5 * PART
A_SECOND = 1 / 3600


def burst(stories: int, start_h: float = 1.0, negative: float = 0.1) -> list[Signal]:
    """Stories of one quarter of an hour."""
    return [
        signal(start_h + at * A_SECOND / 2, NAME, negative, article=f"a{start_h}-{at}", source=f"s{at % 7}")
        for at in range(stories)
    ]


def slots(state: Mapping[str, bytes | None]) -> dict[str, int]:
    """The records of stories, and how many stories each holds; 0 for one that is deleted."""
    return {key: len(orjson.loads(raw or b"[]")) for key, raw in state.items() if key.startswith("stories/")}


def taken(book: Book, *records: Signal | Mark) -> dict[str, bytes | None]:
    for record in records:
        book.take(record)
    return book.close().state


def test_a_slot_of_few_stories_is_one_record() -> None:
    timeline = Timeline()
    timeline.feed(*burst(PART), mark(2))
    assert list(slots(timeline.state).values()) == [PART]


def test_of_a_slot_of_many_stories_no_record_is_large_and_a_step_writes_the_one_it_changes() -> None:
    timeline = Timeline()
    timeline.feed(*burst(MANY), mark(1.2))
    assert sum(slots(timeline.state).values()) == MANY
    assert max(slots(timeline.state).values()) == PART
    timeline.restart()
    one_more = slots(taken(timeline.book, signal(1.21, NAME, 0.1, article="new"), mark(1.22)))
    assert list(one_more.values()) == [1]
    reprint = slots(taken(timeline.book, signal(1.21, NAME, 0.1, article="a1.0-0", version=2), mark(1.23)))
    assert list(reprint.values()) == [PART]


def test_when_a_slot_is_forgotten_all_its_records_go() -> None:
    timeline = Timeline()
    timeline.feed(*burst(MANY), mark(1.2))
    timeline.restart()
    timeline.quiet(2, 80, every_h=6)
    timeline.feed(signal(85, NAME, 0.1), mark(86))
    assert list(slots(timeline.state).values()) == [1]


def test_evidence_that_is_let_go_is_let_go_in_every_record() -> None:
    timeline = Timeline()
    for at in range(3):
        timeline.feed(*burst(PART, 1 + at * 0.05, negative=0.7 + at / 10), mark(1.05 + at * 0.05))
    kept = [story for raw in records_of(timeline.state) for story in orjson.loads(raw) if story[6] is not None]
    assert len(kept) == 2 * timeline.settings.max_evidence
    assert {round(story[6]["negative"], 1) for story in kept} == {0.9}


def records_of(state: Mapping[str, bytes]) -> list[bytes]:
    return [raw for key, raw in state.items() if key.startswith("stories/")]


def test_a_slot_in_one_record_as_it_was_written_before_is_read_written_on_and_forgotten() -> None:
    timeline = Timeline()
    timeline.feed(*burst(MANY), mark(1.2))
    parts = slots(timeline.state)
    whole = [story for key in parts for story in orjson.loads(timeline.state.pop(key))]
    (slot,) = {int(key.split("/")[1].partition(".")[0]) for key in parts}
    timeline.state[f"stories/{slot}/{NAME}"] = orjson.dumps(whole)
    timeline.restart()
    assert timeline.book.targets[NAME].window.count(0) == MANY
    timeline.feed(signal(1.21, NAME, 0.1, article="new"), mark(1.22))
    assert sorted(slots(timeline.state).values()) == [1, MANY]
    timeline.restart()
    assert timeline.book.targets[NAME].window.count(0) == MANY + 1
    timeline.quiet(2, 80, every_h=6)
    timeline.feed(signal(85, NAME, 0.1), mark(86))
    assert list(slots(timeline.state).values()) == [1]


def busy_day(chance: random.Random) -> list[list[Signal | Mark]]:
    """A day in which slots hold many stories; some are told again, and some of these turn negative."""
    batches: list[list[Signal | Mark]] = []
    for hour in range(36):
        batch: list[Signal | Mark] = []
        for at in range(chance.choice([3, 3 * PART])):
            when = hour + at * A_SECOND
            negative = 0.8 if chance.random() < 0.04 else round(chance.uniform(0, 0.4), 4)
            article = f"{hour}-{at}" if chance.random() < 0.8 else f"{max(hour - 2, 0)}-{chance.randrange(PART)}"
            batch.append(signal(when, NAME, negative, article=article, source=f"s{at % 9}", version=hour + 1))
        if hour in (20, 27, 33):
            batch += [signal(hour + 0.3, NAME, 0.97, article=f"blow{hour}-{at}", source=f"b{at}") for at in range(180)]
        batches.append([*batch, mark(hour + 0.9, tuple(hour + at * A_SECOND for at in range(len(batch))))])
    return batches


@pytest.mark.parametrize("seed", range(3))
def test_the_order_in_which_records_are_restored_changes_nothing(seed: int) -> None:
    batches = busy_day(random.Random(seed))
    settings = AlertingSettings(windows_s=(3600, 6 * 3600))
    lived, stirred, chance = Timeline(settings), Timeline(settings), random.Random(seed + 100)
    for batch in batches:
        lived.feed(*batch)
        stirred.feed(*batch)
        shuffled = list(stirred.state.items())
        chance.shuffle(shuffled)
        stirred.state = dict(shuffled)
        stirred.restart()
    assert lived.alerts, "the blow must be seen"
    assert stirred.alerts == lived.alerts, f"seed {seed}"
    assert stirred.trends == lived.trends, f"seed {seed}"
    assert encoded(stirred.book.targets[NAME]) == encoded(lived.book.targets[NAME]), f"seed {seed}"


def encoded(target: Target) -> object:
    return orjson.loads(target.encoded())


@pytest.mark.parametrize("since_h", [0.0, 1.3, 5.1, 20.0])
def test_tellers_are_those_whose_evidence_is_kept_and_no_more_are_counted_than_asked_for(since_h: float) -> None:
    timeline = Timeline()
    for batch in busy_day(random.Random(7)):
        timeline.feed(*batch)
    window = timeline.book.targets[NAME].window
    since_ms = round((START + timedelta(hours=since_h)).timestamp() * 1000)
    all_of_them = {story.evidence.source for story in window.negative_stories(since_ms) if story.evidence is not None}
    assert len(all_of_them) > 5
    assert window.tellers(since_ms, 1_000) == len(all_of_them)
    assert window.tellers(since_ms, 3) == 3


def test_a_story_of_the_past_that_is_told_only_now_is_forgotten_in_its_time_too() -> None:
    timeline = Timeline()
    timeline.feed(signal(80, NAME, 0.1), mark(81))
    timeline.feed(signal(82, NAME, 0.1), mark(83))
    timeline.feed(signal(12, NAME, 0.1, history=True), mark(83.5))
    assert len(slots(timeline.state)) == 3
    timeline.feed(signal(84.5, NAME, 0.1), mark(85))
    assert len(slots(timeline.state)) == 3, "long before anything else leaves, the one of the past is gone"
