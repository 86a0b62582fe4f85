"""Publishing commands: what people decide about alerts, written to the topic `commands`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from riskwire.bus import Bus, Outgoing, StateUpdate, update_state
from riskwire.pipeline import Topic
from riskwire.records import Command

PUBLISHER = "commands"


def command_publisher(bus: Bus) -> Callable[[Command], Awaitable[None]]:
    """Returns a function that publishes one command on the topic `commands`.

    The key of the record is the alert or the target that the command is about, or else its kind. Concurrent calls wait
    for each other; between processes the retries of `update_state` let each publish in turn. A command may be written
    twice, if the answer to the first commit was lost; the store keeps it once.

    Raises (the returned function):
        BusError: the command cannot be written.
    """
    lock = asyncio.Lock()

    async def publish(command: Command) -> None:
        """Publishes a command as the publisher `commands`, which has no state. Waits for calls that came before."""
        key = command.alert or command.target or command.kind
        record = Outgoing(Topic.COMMANDS, key, command.to_bytes())
        async with lock:
            await update_state(bus, PUBLISHER, lambda _: StateUpdate([record]))

    return publish
