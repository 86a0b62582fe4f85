"""The part of the bus that history reads besides its commands: how far topics and groups have come."""

from __future__ import annotations

from typing import Protocol

from riskwire.bus import Lag


class LogPositions(Protocol):
    """End offsets of topics, and positions of groups. Every bus has them."""

    async def ends(self, topic: str) -> list[int]:
        """Returns the end offset of each partition of a topic."""
        ...

    async def lag_of_waiting_stage(self, group: str) -> list[Lag]:
        """Returns the position and lag of every group on every partition that it reads.

        The call counts as activity of `group`, which waits in a step, so that it does not seem to hang.

        Raises:
            BusError: this process owns no partition of the group any more.
        """
        ...
