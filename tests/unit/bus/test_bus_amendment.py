"""What a publisher keeps is changed by many at once, and no change is lost."""

from __future__ import annotations

import asyncio

import pytest

from riskwire.bus import Outgoing
from riskwire.bus.state import ATTEMPTS, StateUpdate, update_state
from riskwire.errors import FencedError, SettingsError
from riskwire.pipeline import Topic


async def test_of_many_writers_at_once_each_change_is_made_once(open_embedded) -> None:
    buses = [await open_embedded() for _ in range(4)]

    async def add(bus, name: str) -> None:
        def decide(state) -> StateUpdate:
            total = int(state.get("total", b"0")) + 1
            return StateUpdate([Outgoing(Topic.FEEDS, name, b"x")], {name: b"1", "total": b"%d" % total})

        await update_state(bus, "list", decide)

    async with asyncio.TaskGroup() as group:
        for number, bus in enumerate(buses):
            group.create_task(add(bus, f"w{number}"))
    state = await buses[0].publisher_state("list")
    assert state == {"total": b"4", **{f"w{n}": b"1" for n in range(4)}}
    assert (await buses[0].records())[Topic.FEEDS] == 4


async def test_where_there_is_nothing_to_change_nobody_is_fenced(open_embedded) -> None:
    bus = await open_embedded()
    async with bus.publisher("list") as publisher:
        await update_state(bus, "list", lambda state: StateUpdate())
        await publisher.publish([], {"still": b"mine"})
    assert await bus.publisher_state("list") == {"still": b"mine"}


async def test_what_decides_may_refuse_and_then_nothing_is_written(open_embedded) -> None:
    bus = await open_embedded()

    def refuse(state) -> StateUpdate:
        raise SettingsError("no")

    with pytest.raises(SettingsError):
        await update_state(bus, "list", refuse)
    assert await bus.publisher_state("list") == {}


async def test_a_writer_that_is_fenced_each_time_gives_up(open_embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("riskwire.bus.state._RETRY_WAIT_S", 0.0)
    bus, other = await open_embedded(), await open_embedded()
    asked = 0

    class Rude:
        """A bus on which somebody else takes the name after each look."""

        publisher_state = staticmethod(bus.publisher_state)

        def publisher(self, name: str):
            nonlocal asked
            asked += 1
            return _fenced(bus, other, name)

    with pytest.raises(FencedError):
        await update_state(Rude(), "list", lambda state: StateUpdate([], {"a": b"1"}))
    assert asked == ATTEMPTS
    assert await bus.publisher_state("list") == {}


class _fenced:  # noqa: N801 - stands in for a context manager made by a method
    def __init__(self, bus, other, name: str) -> None:
        self._mine, self._other, self._name = bus.publisher(name), other, name

    async def __aenter__(self):
        publisher = await self._mine.__aenter__()
        async with self._other.publisher(self._name):
            pass
        return publisher

    async def __aexit__(self, *why: object) -> None:
        await self._mine.__aexit__(*why)
