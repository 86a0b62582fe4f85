"""The bytes that an alert task writes: the same however batches are cut, and only for what has changed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta

import orjson
import pytest
from timeline import START, mark, signal

from riskwire.alerting import AlertStage
from riskwire.bus import Message
from riskwire.pipeline import Topic
from riskwire.records import Mark, Signal, content_id
from riskwire.settings import AlertingSettings
from riskwire.story import fingerprint

HOURS = 120
WORDS = tuple(f"{a}{b}r" for a in "bcdfghklmnprstvwz" for b in "aeiou")


class TaskWithOutput:
    """An alert task, its committed state (`state`), and the bytes that it has written so far, by topic (`results`)."""

    def __init__(self) -> None:
        """Opens a task of a stage with default settings, without state; one partition of `articles` sends marks."""
        self.stage = AlertStage(AlertingSettings(), article_partitions=1)
        self.results: dict[str, list[bytes]] = {Topic.TRENDS: [], Topic.ALERTS: []}
        self.state: dict[str, bytes] = {}
        self.restart()

    def restart(self) -> None:
        """Opens a new task from the committed state."""
        self.task = self.stage.open(0, self.state)

    async def feed(self, records: Sequence[Signal | Mark]) -> dict[str, bytes | None]:
        """Processes the records as one batch; returns the changes of the state, in which None deletes a key.

        Adds what the task wrote to `results`, and applies the changes to `state`.
        """
        batch = [Message(Topic.SIGNALS, 0, offset, None, record.to_bytes()) for offset, record in enumerate(records)]
        step = await self.task.process(batch)
        for result in step.results:
            self.results[result.topic].append(result.value)
        for key, value in step.state.items():
            if value is None:
                self.state.pop(key, None)
            else:
                self.state[key] = value
        return step.state

    def comparable_state(self) -> dict[str, object]:
        """Returns the committed state by key, with each target decoded and without its field `learned`.

        `learned` is the time up to which the baseline has learned. For a target without news it is updated one step
        later.
        """
        state: dict[str, object] = dict(self.state)
        for key in self.state:
            if key.startswith("target/"):
                state[key] = {name: value for name, value in orjson.loads(self.state[key]).items() if name != "learned"}
        return state


def news() -> list[Signal | Mark]:
    """Returns `HOURS` of random signals and marks, the same in each run, in order of time.

    About 940 articles are spread over the hours, with more between hours 90 and 96, when most are negative news of
    `entity:acme`: a crisis. Each article gives a signal of an entity and one of the market. Some repeat the title of an
    earlier article (a reprint) or are its next version. After about half of the articles, a mark counts two stories.
    """
    draw = random.Random(4)
    records: list[Signal | Mark] = []
    published: list[tuple[str, int, str]] = []
    hours = sorted([draw.uniform(0, HOURS) for _ in range(900)] + [draw.uniform(90, 96) for _ in range(40)])
    for hour in hours:
        crisis = 90 <= hour <= 96 and draw.random() < 0.8
        article, version, title = content_id(str(draw.random())), 1, " ".join(draw.choices(WORDS, k=7))
        if published and draw.random() < 0.2:
            earlier_article, version, title = draw.choice(published[-100:])
            if draw.random() < 0.5:
                article, version = earlier_article, version + 1
            else:
                title, version = f"{title} again", 1
        published.append((article, version, title))
        negative = round(draw.uniform(0.6, 1) if crisis or draw.random() < 0.15 else draw.uniform(0, 0.4), 4)
        for target in ("entity:acme" if crisis else f"entity:{draw.randrange(30)}", "market"):
            records.append(
                signal(
                    hour,
                    target,
                    negative,
                    article=article,
                    version=version,
                    story=fingerprint(title, ""),
                    source=f"s{draw.randrange(12)}",
                    backfill=draw.random() < 0.03,
                )
            )
        if draw.random() < 0.5:
            records.append(mark(hour, (hour, hour)))
    return [*records, mark(HOURS + 1)]


@pytest.fixture(scope="module")
def stream() -> list[Signal | Mark]:
    return news()


@pytest.mark.parametrize("seed", range(3))
async def test_results_and_state_are_the_same_to_the_byte_however_batches_are_cut(
    stream: list[Signal | Mark], seed: int
) -> None:
    """Compares a task that reads batches of 500 records with one that reads small random batches.

    The second one is also restarted from its state now and then.
    """
    large, small = TaskWithOutput(), TaskWithOutput()
    for start in range(0, len(stream), 500):
        await large.feed(stream[start : start + 500])
    draw = random.Random(seed)
    start = 0
    while start < len(stream):
        size = draw.randint(1, 60)
        await small.feed(stream[start : start + size])
        start += size
        if draw.random() < 0.1:
            small.restart()
    assert {orjson.loads(alert)["status"] for alert in large.results[Topic.ALERTS]} >= {"firing", "escalated"}
    assert len(large.results[Topic.TRENDS]) > 500
    assert small.results == large.results, f"seed {seed}"
    assert small.comparable_state() == large.comparable_state(), f"seed {seed}"


async def test_a_step_writes_a_minute_or_a_pending_signal_only_when_it_has_changed() -> None:
    """The state holds `pending/…`, signals of open buckets, and `minute/…`, trend sums of minutes that have not ended.

    A bucket of 15 s closes 5 s after its end. At the end of its minute a target gets a trend point.
    """
    task = TaskWithOutput()
    minute, second = 1 / 60, 1 / 3600
    changes = await task.feed([signal(minute, "entity:a"), mark(minute + 30 * second)])
    assert [key for key in changes if key.startswith("minute/")], "its bucket has closed, its minute has not"
    changes = await task.feed([signal(minute + 50 * second, "entity:b"), mark(minute + 40 * second)])
    assert [key.partition("/")[0] for key in changes if "/" in key] == ["pending"]
    changes = await task.feed([mark(minute + 41 * second)])
    assert not [key for key in changes if "/" in key]
    changes = await task.feed([signal(minute + 41 * second, "entity:a", 0.2), mark(minute + 51 * second)])
    minutes = [value for key, value in changes.items() if key.startswith("minute/")]
    assert [orjson.loads(value or b"")["stories"] for value in minutes] == [2]
    changes = await task.feed([mark(minute + 80 * second)])
    assert {key.partition("/")[0] for key, value in changes.items() if value is None} == {"pending", "minute"}
    assert [orjson.loads(point)["stories"] for point in task.results[Topic.TRENDS]] == [2, 1]


async def test_a_restored_episode_resolves_at_its_own_time() -> None:
    """An episode resolves three days after its last surprise, although the next mark comes 475 hours later.

    The task is restarted in between. There are 720 hours of other news first, so that six negative stories fire.
    """
    task = TaskWithOutput()
    for hour in range(720):
        await task.feed([mark(hour, (hour,))])
    for index in range(6):
        at_h = 721 + index / 2
        await task.feed([signal(at_h, source=f"s{index}"), mark(at_h, (at_h,))])
    await task.feed([mark(725, (725,))])
    task.restart()
    await task.feed([mark(1_200, (1_200,))])
    first, *_, last = map(orjson.loads, task.results[Topic.ALERTS])
    assert (first["status"], last["status"]) == ("firing", "resolved")
    assert last["id"] == first["id"]
    assert last["at"] < (START + timedelta(hours=810)).isoformat()
