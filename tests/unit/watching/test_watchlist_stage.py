"""The watchlist stage publishes each change once on every partition of articles, and the list on new partitions."""

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
    """Returns a command of ada that sets the entry `name`, with further fields of the entry."""
    value = {"id": name, "name": name.title(), **fields}
    return Command(kind="watchlist_set", target=f"entity:{name}", by="ada", at=AT, value=value)


def remove(name: str) -> Command:
    return Command(kind="watchlist_remove", target=f"entity:{name}", by="ada", at=AT)


def messages(*records: Command | bytes) -> list[Message]:
    """Returns records of `commands` with offsets from 0."""
    return [
        Message("commands", 0, offset, "k", record if isinstance(record, bytes) else record.to_bytes())
        for offset, record in enumerate(records)
    ]


def changes_by_partition(results: Sequence[Outgoing]) -> dict[int | None, list[tuple[str, bool]]]:
    """Returns the id of each changed entry and whether the change sets it, by partition."""
    changes: dict[int | None, list[tuple[str, bool]]] = {}
    for result in results:
        if result.topic == Topic.ARTICLES:
            change = ARTICLES.validate_json(result.value)
            assert isinstance(change, WatchlistChange)
            changes.setdefault(result.partition, []).append((change.id, change.entry is not None))
    return changes


def committed(state: dict[str, bytes], changes: Mapping[str, bytes | None]) -> dict[str, bytes]:
    merged = {**state, **changes}
    return {key: value for key, value in merged.items() if value is not None}


async def test_each_change_goes_to_every_partition_in_order() -> None:
    """The topic `articles` has three partitions. The state keeps the entries that are on the list at the end."""
    step = await WatchlistStage(3).open(0, {}).process(messages(put("a"), put("b"), remove("a")))
    order = [("a", True), ("b", True), ("a", False)]
    assert changes_by_partition(step.results) == {0: order, 1: order, 2: order}
    assert set(committed({}, step.state)) == {"entry/b", "partitions"}
    changes = [ARTICLES.validate_json(result.value) for result in step.results if result.partition == 2]
    assert [change.command for change in changes if isinstance(change, WatchlistChange)] == [0, 1, 2], (
        "each change has the offset of its command"
    )


async def test_other_commands_have_no_effect() -> None:
    step = (
        await WatchlistStage(3).open(0, {}).process(messages(Command(kind="acknowledge", alert="x", by="ada", at=AT)))
    )
    assert (step.results, step.state) == ([], {})


@pytest.mark.parametrize(
    ("command", "message"),
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
async def test_an_invalid_command_becomes_a_dead_letter(command: Command | bytes, message: str) -> None:
    """The valid command after it takes effect."""
    step = await WatchlistStage(1).open(0, {}).process(messages(command, put("fine")))
    dead_letters = [result for result in step.results if result.topic == Topic.DEAD_LETTERS]
    (dead_letter,) = [DeadLetter.model_validate_json(result.value) for result in dead_letters]
    assert (dead_letter.stage, dead_letter.topic, dead_letter.offset) == ("watchlist", "commands", 0)
    assert message in dead_letter.error
    assert changes_by_partition(step.results) == {0: [("fine", True)]}


async def test_a_field_of_a_newer_riskwire_is_ignored_and_the_command_takes_effect() -> None:
    step = await WatchlistStage(1).open(0, {}).process(messages(put("a", lei="5493001KJTIIGC8Y1R12")))
    assert changes_by_partition(step.results) == {0: [("a", True)]}
    assert Topic.DEAD_LETTERS not in {result.topic for result in step.results}


async def test_the_first_step_sends_the_whole_list_to_new_partitions() -> None:
    """`articles` grows from two to four partitions between two runs of the stage. Known partitions get nothing."""
    step = await WatchlistStage(2).open(0, {}).process(messages(put("a"), put("b"), remove("b")))
    state = committed({}, step.state)
    assert changes_by_partition((await WatchlistStage(2).open(0, state).first_step()).results) == {}
    grown = await WatchlistStage(4).open(0, state).first_step()
    assert changes_by_partition(grown.results) == {2: [("a", True)], 3: [("a", True)]}
    state = committed(state, grown.state)
    assert changes_by_partition((await WatchlistStage(4).open(0, state).first_step()).results) == {}


async def test_partitions_that_a_worker_does_not_know_get_the_list_from_a_later_worker() -> None:
    """A worker knows four partitions, then another only two, and then one four again."""
    state = committed({}, (await WatchlistStage(4).open(0, {}).process(messages(put("a")))).state)
    older = WatchlistStage(2).open(0, state)
    state = committed(state, (await older.first_step()).state)
    state = committed(state, (await older.process(messages(put("b")))).state)
    later = await WatchlistStage(4).open(0, state).first_step()
    assert changes_by_partition(later.results) == {2: [("a", True), ("b", True)], 3: [("a", True), ("b", True)]}


async def test_run_stage_takes_the_first_step_before_any_record(tmp_path: Path) -> None:
    """Runs a stage that knows one of two partitions, then one that knows both and sends the list to the second."""
    bus = await EmbeddedBus.open(tmp_path, BusSettings(partitions=2))

    async def run_until(articles: int, stage: WatchlistStage) -> None:
        """Runs a stage until `articles` has this number of records."""
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            running = group.create_task(run_stage(bus, stage, batch=10))
            while (await bus.records())[Topic.ARTICLES] < articles:
                await bus.wait_for_change(1.0)
            running.cancel()

    try:
        async with bus.publisher("test") as publisher:
            await publisher.publish([Outgoing(Topic.COMMANDS, "a", put("a").to_bytes())], {})
        await run_until(1, WatchlistStage(1))
        await run_until(2, WatchlistStage(2))
        await run_until(2, WatchlistStage(2))
        counts = [len(await bus.read(Topic.ARTICLES, partition, 0, 10)) for partition in range(2)]
    finally:
        await bus.close()
    assert counts == [1, 1]
