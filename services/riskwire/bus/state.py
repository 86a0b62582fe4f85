"""Changing what a publisher keeps: read its state, decide, publish as one step; again where another did so meanwhile.

For the lists that several people and processes write (feeds, what was replayed): each writer takes the publisher's name
for one step, and of two at once one is fenced, reads what the other left and decides anew.
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
_WAIT_S = 0.1


@dataclass(frozen=True, slots=True)
class Amendment:
    """Records to publish and changes of the publisher's state, as one step; with neither nothing is written."""

    results: Sequence[Outgoing] = ()
    state: Mapping[str, bytes | None] = field(default_factory=dict)


A = TypeVar("A", bound=Amendment)


async def amend(bus: Bus, name: str, decide: Callable[[Mapping[str, bytes]], A]) -> A:
    """Change what a publisher keeps; `decide` is given its state, and again what it is then where it was fenced.

    Returns:
        what was decided, and done.

    Raises:
        FencedError: others were faster `ATTEMPTS` times.
        BusError: it cannot be published; nothing of it has happened, or else the message says it may have.
        SchemaError: a record cannot stand on its topic; nothing of it has happened.
    """
    for attempt in range(ATTEMPTS):
        amendment = decide(await bus.kept(name))
        if not amendment.results and not amendment.state:
            return amendment  # nobody is fenced for nothing
        try:
            async with bus.publisher(name) as publisher:
                amendment = decide(await publisher.restore())
                if amendment.results or amendment.state:
                    await publisher.publish(amendment.results, amendment.state)
                return amendment
        except FencedError:
            if attempt == ATTEMPTS - 1:
                raise
        await asyncio.sleep(_WAIT_S * random.uniform(0.5, 1.5) * (attempt + 1))
    raise AssertionError("not reached")
