"""What one process knows of the bus's file without asking: where partitions end, whether it is open; and the bells."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from riskwire.bus.embedded.wakeups import Bells
from riskwire.errors import BusError


class Watch:
    """Told of every step this process takes, at once, and of other processes' steps by the poll."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.closed = False
        self.failure: BusError | None = None
        self.arrivals: Bells[int] = Bells()
        """By slot: records have come."""
        self.room: Bells[str] = Bells()
        """By topic: a group has moved on."""
        self.any: Bells[None] = Bells()
        """Something has been written."""
        self._ends: dict[int, int] = {}

    def end(self, slot: int) -> int:
        """The next offset of a partition, as far as is known."""
        return self._ends.get(slot, 0)

    def records_came(self, ends: Mapping[int, int]) -> bool:
        """Partitions have grown; whether any of it is news."""
        news = False
        for slot, end in ends.items():
            if end > self._ends.get(slot, 0):
                self._ends[slot] = end
                self.arrivals.ring(slot)
                news = True
        if news:
            self.any.ring(None)
        return news

    def group_moved(self, topic: str) -> None:
        """A group has read on."""
        self.room.ring(topic)
        self.any.ring(None)

    def ring_all(self) -> None:
        """Wake everyone, to look again."""
        self.arrivals.ring_all()
        self.room.ring_all()
        self.any.ring_all()

    def check(self) -> None:
        """Raise unless the bus is open and its file can be read.

        Raises:
            BusError: it is closed, or the last look at the file failed.
        """
        if self.closed:
            raise BusError("the bus is closed", where=str(self.path))
        if self.failure is not None:
            raise BusError("the bus cannot be read", where=str(self.path)) from self.failure
