"""Waiting until everything published has been read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from riskwire.bus.protocol import Bus

_LOOK_AGAIN_S = 0.2


@runtime_checkable
class Watched(Protocol):
    """A bus that tells when something has been written, so that nobody need look all the time."""

    async def changed(self, within_s: float) -> None:
        """Return when anything has been written, or after `within_s`."""
        ...


async def drained(bus: Bus, groups: Sequence[str] | None = None) -> None:
    """Return once no group is behind on any topic it reads.

    A step publishes its results as it moves its position, and `lag` is of one moment: so no lag anywhere means that no
    step is under way and none has anything left to read. It says nothing about publishers that have yet to write.

    Args:
        groups: the groups that count, each of which must have joined; every group that ever joined when None. A group
            that reads several topics counts as joined with the first: start the stages before waiting for them.
    """
    while True:
        lags = await bus.lag()
        counted = [lag for lag in lags if groups is None or lag.group in groups]
        missing = set(groups or ()) - {lag.group for lag in counted}
        if not missing and all(lag.records == 0 for lag in counted):
            return
        if isinstance(bus, Watched):
            await bus.changed(_LOOK_AGAIN_S)
        else:
            await asyncio.sleep(_LOOK_AGAIN_S)
