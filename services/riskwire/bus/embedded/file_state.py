"""What one process knows of the bus file without a query: partition ends, whether the bus is open, and wakeups."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from riskwire.bus.embedded.wakeups import Wakeups
from riskwire.errors import BusError


class FileState:
    """State of the file as far as this process knows it.

    A step of this process updates it at once. Steps of other processes are noticed when the bus polls the file.
    """

    def __init__(self, path: Path) -> None:
        """Knows no end offsets yet.

        Args:
            path: the bus file. A *slot* is the number of one partition of one topic in it.
        """
        self.path = path
        self.closed = False
        self.failure: BusError | None = None
        """The error of the last poll, or None."""
        self.arrivals: Wakeups[int] = Wakeups()
        """By slot: new records."""
        self.space: Wakeups[str] = Wakeups()
        """By topic: a group has read on, so a full topic may have space."""
        self.writes: Wakeups[None] = Wakeups()
        """Any write."""
        self._ends: dict[int, int] = {}
        """By slot: the last known end offset."""

    def end(self, slot: int) -> int:
        """Returns the last known end offset of a partition."""
        return self._ends.get(slot, 0)

    def note_ends(self, ends: Mapping[int, int]) -> bool:
        """Notes end offsets, by slot (the number of a partition in the file), and wakes the readers of slots that grew.

        Returns:
            whether any slot grew.
        """
        grew = False
        for slot, end in ends.items():
            if end > self._ends.get(slot, 0):
                self._ends[slot] = end
                self.arrivals.wake(slot)
                grew = True
        if grew:
            self.writes.wake(None)
        return grew

    def note_position_moved(self, topic: str) -> None:
        """Wakes the writers that wait for space on a topic, since a group has read on, and all waits for any write."""
        self.space.wake(topic)
        self.writes.wake(None)

    def wake_all(self) -> None:
        """Wakes every task that waits for records, for space or for any write, so that it looks again."""
        self.arrivals.wake_all()
        self.space.wake_all()
        self.writes.wake_all()

    def check(self) -> None:
        """Raises unless the bus is open and its file can be read.

        Raises:
            BusError: the bus is closed, or the last poll of the file failed.
        """
        if self.closed:
            raise BusError("the bus is closed", where=str(self.path))
        if self.failure is not None:
            raise BusError("the bus cannot be read", where=str(self.path)) from self.failure
