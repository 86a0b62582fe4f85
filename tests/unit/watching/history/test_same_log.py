"""A store outlives its log of commands: under another log all it holds is past, whatever offsets it was read with."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest
from past import World, article, entry, lag, put, signals_in, watch
from structlog.testing import capture_logs

from riskwire.bus import Message
from riskwire.pipeline import Topic
from riskwire.records import Signal
from riskwire.settings import Settings, StoreSettings
from riskwire.store import Store
from riskwire.watching import HistoryStage

ACME, GLOBEX = entry("acme"), entry("globex")
A1 = article("a1", "Acme Corp plunges on fraud probe")
A1_LATER = article("a1", "Irish growth", version=2)
A2 = article("a2", "Acme Corp recall of toasters")


class Log:
    """A log of so many commands, and the state that history keeps with it."""

    def __init__(self, commands: int) -> None:
        self.commands = commands
        self.state: dict[str, bytes] = {}

    async def ends(self, topic: str) -> list[int]:
        return [self.commands if topic == Topic.COMMANDS else 0]

    async def history(self, store: Store, *commands: Message) -> list[Signal]:
        """What history tells on commands, begun anew with what it kept."""
        task = HistoryStage(store, self.ends, lag, StoreSettings()).open(0, self.state)
        step = await task.first_step()
        assert not step.results
        for key, value in step.state.items():
            if value is None:
                del self.state[key]
            else:
                self.state[key] = value
        return [one for command in commands for one in signals_in((await task.process([command])).results)]


def read_with(folder: Path) -> tuple[list[int | None], int]:
    with closing(sqlite3.connect(folder / "store.sqlite")) as raw:
        rows = raw.execute("select read_with from articles order by id").fetchall()
        (replaced,) = raw.execute("select count(*) from replaced_versions").fetchone()
    return [row[0] for row in rows], int(replaced)


async def in_the_old_log(world: World, old: Log) -> None:
    """`a1` read before the old log's command 3 and in a later version after it, `a2` after it."""
    await old.history(world.store)
    await world.keep(await world.read([A1, watch(GLOBEX, 3), A1_LATER, A2]))


async def test_the_same_log_keeps_what_the_store_was_read_with(world: World, tmp_path: Path) -> None:
    old = Log(4)
    await in_the_old_log(world, old)
    before = read_with(tmp_path)
    assert before == ([3, 3], 1)
    with capture_logs() as said:
        for _ in range(2):
            assert {(one.article, one.version) for one in await old.history(world.store, put(ACME, 2))} == {("a1", 1)}
    assert read_with(tmp_path) == before
    assert [one for one in said if one["log_level"] == "warning"] == []


@pytest.mark.parametrize("commands", [1, 4, 100], ids=["shorter", "as long", "longer by now"])
async def test_in_a_new_log_all_that_was_read_under_the_old_one_is_past(
    world: World, tmp_path: Path, commands: int
) -> None:
    await in_the_old_log(world, Log(4))
    new = Log(commands)
    with capture_logs() as said:
        told = await new.history(world.store, put(ACME, 0))
    assert {(one.article, one.version) for one in told} == {("a2", 1)}
    assert read_with(tmp_path) == ([None, None], 0)
    (warning,) = [one for one in said if one["log_level"] == "warning"]
    assert (warning["event"], warning["last"]) == (
        "the store comes from another log of commands: all it holds is past for this one",
        3,
    )


async def test_what_is_read_under_the_new_log_is_told_by_it_again(world: World, tmp_path: Path) -> None:
    await in_the_old_log(world, Log(4))
    new = Log(1)
    await new.history(world.store)
    await world.keep(await world.read([watch(GLOBEX, 0), article("a3", "Acme Corp in default")]))
    new.commands = 2
    told = await new.history(world.store, put(ACME, 0))
    assert {one.article for one in told} == {"a2"}, "a3 was read after the command"
    assert read_with(tmp_path) == ([None, None, 0], 0)


async def test_topics_made_anew_are_another_log_though_the_state_of_history_was_left(
    world: World, tmp_path: Path
) -> None:
    log = Log(4)
    await in_the_old_log(world, log)
    log.commands = 1
    assert {one.article for one in await log.history(world.store, put(ACME, 0))} == {"a2"}
    assert read_with(tmp_path) == ([None, None], 0)


async def test_a_log_that_goes_back_to_a_store_that_has_gone_with_another_is_not_taken_for_its_own(
    world: World, tmp_path: Path
) -> None:
    old, new = Log(4), Log(9)
    await in_the_old_log(world, old)
    await new.history(world.store)
    await world.keep(await world.read([watch(GLOBEX, 1), article("a3", "Acme Corp in default")]))
    await old.history(world.store)
    assert read_with(tmp_path) == ([None, None, None], 0)


async def test_a_store_that_was_never_told_its_log_goes_with_the_first_that_has_its_commands(
    world: World, tmp_path: Path
) -> None:
    await world.keep(await world.read([A1, watch(GLOBEX, 3), A2]))
    log = Log(4)
    await log.history(world.store)
    assert read_with(tmp_path) == ([None, 3], 0)
    number = log.state["log"]
    await log.history(world.store)
    assert log.state["log"] == number


async def test_a_new_store_goes_with_the_log_that_there_is(world: World, tmp_path: Path) -> None:
    log = Log(4)
    await log.history(world.store)
    number = log.state["log"]
    with Store.open(Settings(data=tmp_path / "new")) as store:
        await log.history(store)
        await World(world.engine, store).keep(await world.read([watch(GLOBEX, 3), A2]))
        await log.history(store)
    assert log.state == {"log": number}
    assert read_with(tmp_path / "new") == ([3], 0)


async def test_what_the_sink_writes_while_history_looks_is_not_taken_for_another_logs(
    world: World, tmp_path: Path
) -> None:
    log = Log(1)

    async def grown(topic: str, ends: Callable[[str], Awaitable[list[int]]] = log.ends) -> list[int]:
        await world.keep(await world.read([watch(GLOBEX, 1), A2]))
        log.commands = 2
        return await ends(topic)

    log.ends = grown  # type: ignore[method-assign]
    await log.history(world.store)
    assert read_with(tmp_path) == ([1], 0)
