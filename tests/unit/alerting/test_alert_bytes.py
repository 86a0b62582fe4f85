"""What a task writes, to the byte: the same however batches are cut, and no more than what has changed."""

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


class Written:
    """A task fed with batches as they stand on the topic, and all that it has written."""

    def __init__(self) -> None:
        self.stage = AlertStage(AlertingSettings(), article_partitions=1)
        self.results: dict[str, list[bytes]] = {Topic.TRENDS: [], Topic.ALERTS: []}
        self.state: dict[str, bytes] = {}
        self.restart()

    def restart(self) -> None:
        """A new task from the committed state."""
        self.task = self.stage.open(0, self.state)

    async def feed(self, records: Sequence[Signal | Mark]) -> dict[str, bytes | None]:
        """One batch; returns what it changed in the state."""
        batch = [Message(Topic.SIGNALS, 0, at, None, record.to_bytes()) for at, record in enumerate(records)]
        step = await self.task.process(batch)
        for result in step.results:
            self.results[result.topic].append(result.value)
        for key, value in step.state.items():
            if value is None:
                self.state.pop(key, None)
            else:
                self.state[key] = value
        return step.state

    def kept(self) -> dict[str, object]:
        """The state, but for how far each target's slots are known to have been learned: a step later says more."""
        kept: dict[str, object] = dict(self.state)
        for key in self.state:
            if key.startswith("target/"):
                kept[key] = {name: value for name, value in orjson.loads(self.state[key]).items() if name != "learned"}
        return kept


def news() -> list[Signal | Mark]:
    """Days of news in real fingerprints: reprints, later versions, a market that much is told of, and a crisis."""
    draw = random.Random(4)
    records: list[Signal | Mark] = []
    told: list[tuple[str, int, str]] = []
    hours = sorted([draw.uniform(0, HOURS) for _ in range(900)] + [draw.uniform(90, 96) for _ in range(40)])
    for hour in hours:
        crisis = 90 <= hour <= 96 and draw.random() < 0.8
        article, version, title = content_id(str(draw.random())), 1, " ".join(draw.choices(WORDS, k=7))
        if told and draw.random() < 0.2:
            before, version, title = draw.choice(told[-100:])
            if draw.random() < 0.5:
                article, version = before, version + 1
            else:
                title, version = f"{title} again", 1
        told.append((article, version, title))
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
async def test_however_batches_are_cut_every_byte_of_what_is_written_and_kept_is_the_same(
    stream: list[Signal | Mark], seed: int
) -> None:
    whole, cut = Written(), Written()
    for at in range(0, len(stream), 500):
        await whole.feed(stream[at : at + 500])
    draw = random.Random(seed)
    at = 0
    while at < len(stream):
        size = draw.randint(1, 60)
        await cut.feed(stream[at : at + size])
        at += size
        if draw.random() < 0.1:
            cut.restart()
    assert {orjson.loads(alert)["status"] for alert in whole.results[Topic.ALERTS]} >= {"firing", "escalated"}
    assert len(whole.results[Topic.TRENDS]) > 500
    assert cut.results == whole.results, f"seed {seed}"
    assert cut.kept() == whole.kept(), f"seed {seed}"


async def test_a_step_writes_a_minute_or_a_waiting_signal_only_where_it_has_changed() -> None:
    written = Written()
    minute, second = 1 / 60, 1 / 3600
    first = await written.feed([signal(minute, "entity:a"), mark(minute + 30 * second)])
    assert [key for key in first if key.startswith("minute/")], "its bucket has closed, its minute has not"
    later = await written.feed([signal(minute + 50 * second, "entity:b"), mark(minute + 40 * second)])
    assert [key.partition("/")[0] for key in later if "/" in key] == ["pending"]
    assert not [key for key in await written.feed([mark(minute + 41 * second)]) if "/" in key]
    again = await written.feed([signal(minute + 41 * second, "entity:a", 0.2), mark(minute + 51 * second)])
    assert [orjson.loads(value or b"")["stories"] for key, value in again.items() if key.startswith("minute/")] == [2]
    end = await written.feed([mark(minute + 80 * second)])
    assert {key.partition("/")[0] for key, value in end.items() if value is None} == {"pending", "minute"}
    assert [orjson.loads(point)["stories"] for point in written.results[Topic.TRENDS]] == [2, 1]


async def test_an_episode_that_was_restored_resolves_in_its_time() -> None:
    written = Written()
    for hour in range(720):
        await written.feed([mark(hour, (hour,))])
    for index in range(6):
        hour = 721 + index / 2
        await written.feed([signal(hour, source=f"s{index}"), mark(hour, (hour,))])
    await written.feed([mark(725, (725,))])
    written.restart()
    await written.feed([mark(1_200, (1_200,))])
    first, *_, last = map(orjson.loads, written.results[Topic.ALERTS])
    assert (first["status"], last["status"]) == ("firing", "resolved")
    assert last["id"] == first["id"]
    assert last["at"] < (START + timedelta(hours=810)).isoformat()
