"""A store can outlive its log of commands. Under another log, everything in the store counts as past."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from past import PastWorld, StoredPositions, article, entry, set_change, set_command, signals_in
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
A3 = article("a3", "Acme Corp in default")


class LogWithState(StoredPositions):
    """A log with a number of commands, and the state of history that belongs to it."""

    def __init__(self, commands: int) -> None:
        super().__init__(commands)
        self.state: dict[str, bytes] = {}

    async def history(self, store: Store, *commands: Message) -> list[Signal]:
        """Starts history from its state, and returns the signals that it publishes for commands.

        The first step of the task, which checks that the store belongs to this log, may change the state.
        """
        task = HistoryStage(store, self, StoreSettings()).open(0, self.state)
        step = await task.first_step()
        assert not step.results
        self.state |= {key: value for key, value in step.state.items() if value is not None}
        results = [result for command in commands for result in (await task.process([command])).results]
        return signals_in(results)


def stored_offsets(folder: Path) -> tuple[list[int | None], int]:
    """Returns `read_with` of each article, by id, and the number of replaced versions, in the store.

    `read_with` is the offset of the newest watchlist command that infer knew when it read the article, or None.
    """
    with closing(sqlite3.connect(folder / "store.sqlite")) as database:
        rows = database.execute("select read_with from articles order by id").fetchall()
        (replaced,) = database.execute("select count(*) from replaced_versions").fetchone()
    return [row[0] for row in rows], int(replaced)


def articles_of(signals: list[Signal]) -> set[tuple[str, int]]:
    return {(signal.article, signal.version) for signal in signals}


async def fill_store(world: PastWorld, log: LogWithState) -> None:
    """Stores `a1`, read before command 3 of a log, and a later version of `a1` and `a2`, read after it.

    The store then belongs to the log.
    """
    await log.history(world.store)
    await world.sink(await world.infer([A1, set_change(GLOBEX, 3), A1_LATER, A2]))


async def test_the_same_log_keeps_the_offsets_of_the_store(world: PastWorld, tmp_path: Path) -> None:
    """`fill_store` writes two articles read with command 3, and one replaced version, read before it.

    Command 2 gets only that version as the past of Acme. A second start of history changes nothing.
    """
    log = LogWithState(4)
    await fill_store(world, log)
    assert stored_offsets(tmp_path) == ([3, 3], 1)
    with capture_logs() as events:
        for _ in range(2):
            assert articles_of(await log.history(world.store, set_command(ACME, 2))) == {("a1", 1)}
    assert stored_offsets(tmp_path) == ([3, 3], 1)
    assert [event for event in events if event["log_level"] == "warning"] == []


@pytest.mark.parametrize("commands", [1, 4, 100], ids=["shorter", "as long", "longer"])
async def test_under_a_new_log_everything_read_under_the_old_one_is_past(
    world: PastWorld, tmp_path: Path, commands: int
) -> None:
    """`fill_store` wrote offsets of another log. They mean nothing here, and are deleted with the replaced version.

    The newest version of a1 no longer mentions Acme, so that only a2 is the past.
    """
    await fill_store(world, LogWithState(4))
    with capture_logs() as events:
        signals = await LogWithState(commands).history(world.store, set_command(ACME, 0))
    assert articles_of(signals) == {("a2", 1)}
    assert stored_offsets(tmp_path) == ([None, None], 0)
    (warning,) = [event for event in events if event["log_level"] == "warning"]
    assert (warning["event"], warning["last"]) == (
        "store was filled from another log of commands, its articles count as past",
        3,
    )


async def test_articles_read_under_the_new_log_have_its_offsets(world: PastWorld, tmp_path: Path) -> None:
    """The offsets of the store from the old log are forgotten; a3 is then read with command 0 of the new log."""
    await fill_store(world, LogWithState(4))
    log = LogWithState(1)
    await log.history(world.store)
    await world.sink(await world.infer([set_change(GLOBEX, 0), A3]))
    log.commands = 2
    signals = await log.history(world.store, set_command(ACME, 0))
    assert articles_of(signals) == {("a2", 1)}, "a3 was read after the command"
    assert stored_offsets(tmp_path) == ([None, None, 0], 0)


async def test_topics_that_were_created_again_are_another_log_even_if_the_state_remained(
    world: PastWorld, tmp_path: Path
) -> None:
    """The log ends at 1 now, and the store has an offset of 3, which this log cannot have given."""
    log = LogWithState(4)
    await fill_store(world, log)
    log.commands = 1
    assert articles_of(await log.history(world.store, set_command(ACME, 0))) == {("a2", 1)}
    assert stored_offsets(tmp_path) == ([None, None], 0)


async def test_a_store_that_was_used_with_another_log_in_between_does_not_belong_to_the_first(
    world: PastWorld, tmp_path: Path
) -> None:
    """The store forgets its offsets at each change of the log: first of a1 and a2, then of a3."""
    first, second = LogWithState(4), LogWithState(9)
    await fill_store(world, first)
    await second.history(world.store)
    await world.sink(await world.infer([set_change(GLOBEX, 1), A3]))
    await first.history(world.store)
    assert stored_offsets(tmp_path) == ([None, None, None], 0)


async def test_a_store_without_a_number_belongs_to_the_first_log_that_has_its_offsets(
    world: PastWorld, tmp_path: Path
) -> None:
    """Each log has a random number, which history writes to its state and to the store. Here the sink wrote first."""
    await world.sink(await world.infer([A1, set_change(GLOBEX, 3), A2]))
    log = LogWithState(4)
    await log.history(world.store)
    assert stored_offsets(tmp_path) == ([None, 3], 0)
    number = log.state["log"]
    await log.history(world.store)
    assert log.state["log"] == number


async def test_a_new_store_belongs_to_the_existing_log(world: PastWorld, tmp_path: Path) -> None:
    """The log keeps its random number, and the new store keeps the offset that was written under it."""
    log = LogWithState(4)
    await log.history(world.store)
    number = log.state["log"]
    with Store.open(Settings(data=tmp_path / "new")) as store:
        await log.history(store)
        await PastWorld(world.engine, store).sink(await world.infer([set_change(GLOBEX, 3), A2]))
        await log.history(store)
    assert log.state == {"log": number}
    assert stored_offsets(tmp_path / "new") == ([3], 0)


class GrowingLog(LogWithState):
    """A log that gets a command, whose effect the sink stores, while history reads its end."""

    def __init__(self, commands: int, world: PastWorld) -> None:
        super().__init__(commands)
        self._world = world

    async def ends(self, topic: str) -> list[int]:
        """Returns the end offsets of a topic. Before the first answer about commands, a second command is added."""
        if topic == Topic.COMMANDS and self.commands == 1:
            await self._world.sink(await self._world.infer([set_change(GLOBEX, 1), A2]))
            self.commands = 2
        return await super().ends(topic)


async def test_offsets_that_the_sink_writes_during_the_check_are_kept(world: PastWorld, tmp_path: Path) -> None:
    """While history reads the end of the commands, a second command is published and the sink stores its effect."""
    await GrowingLog(1, world).history(world.store)
    assert stored_offsets(tmp_path) == ([1], 0)
