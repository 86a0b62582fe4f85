"""Concurrent updates of a publisher's state are applied one after another, and none is lost."""

from __future__ import annotations

import asyncio

import pytest

from riskwire.bus import Outgoing
from riskwire.bus.state import ATTEMPTS, StateUpdate, update_state
from riskwire.errors import FencedError, SettingsError
from riskwire.pipeline import Topic


async def test_concurrent_updates_are_each_applied_once(open_embedded) -> None:
    """Four buses on one file each add 1 to a total in the state of the publisher `list`, and publish a record."""
    buses = [await open_embedded() for _ in range(4)]

    async def add(bus, name: str) -> None:
        """Adds 1 to the total, an entry under its name, and a record."""

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


async def test_an_empty_update_does_not_fence_the_publisher(open_embedded) -> None:
    """The publisher that is open during the empty update can still publish."""
    bus = await open_embedded()
    async with bus.publisher("list") as publisher:
        await update_state(bus, "list", lambda state: StateUpdate())
        await publisher.publish([], {"owner": b"first"})
    assert await bus.publisher_state("list") == {"owner": b"first"}


async def test_an_error_of_the_decision_is_raised_and_nothing_is_written(open_embedded) -> None:
    """The function that decides on the update raises; `update_state` passes the error on."""
    bus = await open_embedded()

    def refuse(state) -> StateUpdate:
        raise SettingsError("no")

    with pytest.raises(SettingsError):
        await update_state(bus, "list", refuse)
    assert await bus.publisher_state("list") == {}


async def test_a_writer_that_is_fenced_in_every_attempt_raises_fenced_error(
    open_embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rival opens the same publisher in each attempt. After `ATTEMPTS` attempts nothing has been written."""
    monkeypatch.setattr("riskwire.bus.state._RETRY_WAIT_S", 0.0)
    bus, rival_bus = await open_embedded(), await open_embedded()
    attempts = 0

    class ContestedBus:
        """A bus on which a rival takes over the name whenever a publisher is opened."""

        publisher_state = staticmethod(bus.publisher_state)

        def publisher(self, name: str):
            nonlocal attempts
            attempts += 1
            return _FencedPublisher(bus, rival_bus, name)

    with pytest.raises(FencedError):
        await update_state(ContestedBus(), "list", lambda state: StateUpdate([], {"a": b"1"}))
    assert attempts == ATTEMPTS
    assert await bus.publisher_state("list") == {}


class _FencedPublisher:
    """Opens a publisher, and then another one of the same name on the rival bus."""

    def __init__(self, bus, rival_bus, name: str) -> None:
        self._context, self._rival_bus, self._name = bus.publisher(name), rival_bus, name

    async def __aenter__(self):
        """Returns the first publisher, which the second one has fenced."""
        publisher = await self._context.__aenter__()
        async with self._rival_bus.publisher(self._name):
            pass
        return publisher

    async def __aexit__(self, *error: object) -> None:
        await self._context.__aexit__(*error)
