"""Waiting until the groups of a bus have read everything that was published."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from riskwire.bus.protocol import Bus

_POLL_S = 0.2


@runtime_checkable
class BusWithChanges(Protocol):
    """A bus that notifies this process of writes, so that waiting needs no polling."""

    async def wait_for_change(self, timeout_s: float) -> None:
        """Returns after the next write, or after `timeout_s`."""
        ...


async def wait_until_drained(bus: Bus, groups: Sequence[str] | None = None) -> None:
    """Returns once no group has any lag, that is, unread records. Has no deadline.

    A step publishes its results and moves its position atomically, and `lag` reads positions before end offsets. So if
    no group has lag, no step is under way and no stage has records left to read. Publishers may still write more.

    Args:
        groups: the groups that count, which must all have joined. None for every group that ever joined; then
            the function returns at once if none did. A group that reads several topics counts as joined with its
            first topic, so start the stages before waiting.
    """
    while True:
        lags = await bus.lag()
        counted = [lag for lag in lags if groups is None or lag.group in groups]
        missing = set(groups or ()) - {lag.group for lag in counted}
        if not missing and all(lag.records == 0 for lag in counted):
            return
        if isinstance(bus, BusWithChanges):
            await bus.wait_for_change(_POLL_S)
        else:
            await asyncio.sleep(_POLL_S)
