"""What people decide, on its way to the topic `commands`: one at a time in a process, in turns between processes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from riskwire.bus import StateUpdate, Bus, Outgoing, update_state
from riskwire.pipeline import Topic
from riskwire.records import Command

PUBLISHER = "commands"


def decisions_to(bus: Bus) -> Callable[[Command], Awaitable[None]]:
    """How a process puts commands on a bus. Two at once wait for each other; a command that is written twice, because
    the answer to the first was lost, is one for the store.

    Raises (what is returned does):
        BusError: it cannot be written.
    """
    turn = asyncio.Lock()

    async def publish(command: Command) -> None:
        subject = command.alert or command.target or command.kind
        record = Outgoing(Topic.COMMANDS, subject, command.to_bytes())
        async with turn:
            await update_state(bus, PUBLISHER, lambda _: StateUpdate([record]))

    return publish
