"""Optimistic change of a publisher's state: read it, decide, publish as one step; repeat after a concurrent change.

Several people and processes write some lists, such as the feeds or the dead letters that were replayed. Each writer
opens the publisher of the list for one step. Of two concurrent writers one is fenced; it then reads the new state and
decides again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from riskwire.bus.protocol import Bus, Outgoing
from riskwire.errors import FencedError

ATTEMPTS = 8
_RETRY_WAIT_S = 0.1


@dataclass(frozen=True, slots=True)
class StateUpdate:
    """One step of a publisher: records to publish and changes of its state. An empty update writes nothing."""

    results: Sequence[Outgoing] = ()
    state: Mapping[str, bytes | None] = field(default_factory=dict)


U = TypeVar("U", bound=StateUpdate)


async def update_state(bus: Bus, name: str, decide: Callable[[Mapping[str, bytes]], U]) -> U:
    """Changes the state of the publisher `name`, and returns the update that was committed.

    An empty update (no records, no changed keys) is returned and not committed.

    Args:
        decide: returns the update for the state that it is given. Each attempt calls it twice: before the publisher is
            opened, to see whether there is anything to change, and then with the state that this writer owns. A new
            attempt follows after another writer was faster.

    Raises:
        FencedError: other writers were faster `ATTEMPTS` times.
        BusError: the step failed. It had no effect, unless the message says that it may have.
        SchemaError: a record has no valid topic, partition or key. The step had no effect.
    """
    for attempt in range(ATTEMPTS):
        update = decide(await bus.publisher_state(name))
        if not update.results and not update.state:
            return update  # opening the publisher would fence another writer without need
        try:
            async with bus.publisher(name) as publisher:
                update = decide(await publisher.restore())
                if update.results or update.state:
                    await publisher.publish(update.results, update.state)
                return update
        except FencedError:
            if attempt == ATTEMPTS - 1:
                raise
        await asyncio.sleep(_RETRY_WAIT_S * random.uniform(0.5, 1.5) * (attempt + 1))
    raise AssertionError("not reached")
