"""Commands of the watchlist become records on every partition of articles, each once; new partitions get them too."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from riskwire.bus import Message, Outgoing
from riskwire.bus.embedded.bus import EmbeddedBus
from riskwire.pipeline import Topic
from riskwire.records import ARTICLES, Command, DeadLetter, WatchlistChange
from riskwire.settings import BusSettings
from riskwire.stage import run_stage
from riskwire.watching import WatchlistStage

AT = datetime(2026, 1, 5, 10, tzinfo=UTC)


def put(name: str, **fields: object) -> Command:
    value = {"id": name, "name": name.title(), **fields}
    return Command(kind="watchlist_set", target=f"entity:{name}", by="ada", at=AT, value=value)


def remove(name: str) -> Command:
    return Command(kind="watchlist_remove", target=f"entity:{name}", by="ada", at=AT)


def messages(*records: Command | bytes) -> list[Message]:
    return [
        Message("commands", 0, at, "k", one if isinstance(one, bytes) else one.to_bytes())
        for at, one in enumerate(records)
    ]


def told(results: Sequence[Outgoing]) -> dict[int | None, list[tuple[str, bool]]]:
    """By partition: which entries, and whether they are watched."""
    found: dict[int | None, list[tuple[str, bool]]] = {}
    for one in results:
        if one.topic == Topic.ARTICLES:
            watch = ARTICLES.validate_json(one.value)
            assert isinstance(watch, WatchlistChange)
            found.setdefault(one.partition, []).append((watch.id, watch.entry is not None))
    return found


def committed(state: dict[str, bytes], changes: Mapping[str, bytes | None]) -> dict[str, bytes]:
    merged = {**state, **changes}
    return {key: value for key, value in merged.items() if value is not None}


async def test_each_change_goes_to_every_partition_in_order() -> None:
    step = await WatchlistStage(3).open(0, {}).process(messages(put("a"), put("b"), remove("a")))
    order = [("a", True), ("b", True), ("a", False)]
    assert told(step.results) == {0: order, 1: order, 2: order}
    assert set(committed({}, step.state)) == {"entry/b", "told"}
    by_partition = [ARTICLES.validate_json(one.value) for one in step.results if one.partition == 2]
    assert [one.command for one in by_partition if isinstance(one, WatchlistChange)] == [0, 1, 2], (
        "which command it was"
    )


async def test_other_commands_are_none_of_its_business() -> None:
    step = (
        await WatchlistStage(3).open(0, {}).process(messages(Command(kind="acknowledge", alert="x", by="ada", at=AT)))
    )
    assert (step.results, step.state) == ([], {})


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (b"not json", "SchemaError"),
        (put("a").model_copy(update={"target": None}), "target: must be"),
        (put("a").model_copy(update={"target": "group:a"}), "target: must be"),
        (put("a").model_copy(update={"target": "entity:b"}), "value.id: not the id 'b'"),
        (remove("a").model_copy(update={"target": "entity:\n"}), "target: must be"),
        (put("a", aliases=["..."]), "value.aliases"),
        (put("a", isin="US0378331006"), "value.isin"),
    ],
)
async def test_a_bad_command_goes_to_the_dead_letters_and_the_rest_goes_on(command: Command | bytes, says: str) -> None:
    step = await WatchlistStage(1).open(0, {}).process(messages(command, put("fine")))
    (letter,) = [DeadLetter.model_validate_json(one.value) for one in step.results if one.topic == Topic.DEAD_LETTERS]
    assert (letter.stage, letter.topic, letter.offset) == ("watchlist", "commands", 0)
    assert says in letter.error
    assert told(step.results) == {0: [("fine", True)]}


async def test_a_field_that_a_newer_riskwire_wrote_is_passed_over_and_the_command_carried_out() -> None:
    step = await WatchlistStage(1).open(0, {}).process(messages(put("a", lei="5493001KJTIIGC8Y1R12")))
    assert told(step.results) == {0: [("a", True)]}
    assert Topic.DEAD_LETTERS not in {one.topic for one in step.results}


async def test_partitions_that_are_new_are_told_the_whole_list_when_it_opens() -> None:
    step = await WatchlistStage(2).open(0, {}).process(messages(put("a"), put("b"), remove("b")))
    state = committed({}, step.state)
    assert told((await WatchlistStage(2).open(0, state).first_step()).results) == {}
    grown = await WatchlistStage(4).open(0, state).first_step()
    assert told(grown.results) == {2: [("a", True)], 3: [("a", True)]}
    state = committed(state, grown.state)
    assert told((await WatchlistStage(4).open(0, state).first_step()).results) == {}


async def test_a_worker_that_knows_fewer_partitions_leaves_the_others_to_be_told_later() -> None:
    state = committed({}, (await WatchlistStage(4).open(0, {}).process(messages(put("a")))).state)
    older = WatchlistStage(2).open(0, state)
    state = committed(state, (await older.first_step()).state)
    state = committed(state, (await older.process(messages(put("b")))).state)
    again = await WatchlistStage(4).open(0, state).first_step()
    assert told(again.results) == {2: [("a", True), ("b", True)], 3: [("a", True), ("b", True)]}


async def test_the_loop_takes_that_first_step_before_any_record(tmp_path: Path) -> None:
    """On a real bus: two partitions, of which one was told by a stage that knew only one."""
    bus = await EmbeddedBus.open(tmp_path, BusSettings(partitions=2))

    async def until(records: int, stage: WatchlistStage) -> None:
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            running = group.create_task(run_stage(bus, stage, batch=10))
            while (await bus.records())[Topic.ARTICLES] < records:
                await bus.wait_for_change(1.0)
            running.cancel()

    try:
        async with bus.publisher("test") as publisher:
            await publisher.publish([Outgoing(Topic.COMMANDS, "a", put("a").to_bytes())], {})
        await until(1, WatchlistStage(1))
        await until(2, WatchlistStage(2))
        await until(2, WatchlistStage(2))
        counts = [len(await bus.read(Topic.ARTICLES, partition, 0, 10)) for partition in range(2)]
    finally:
        await bus.close()
    assert counts == [1, 1]
