"""Wakeups between the tasks of one event loop.

A task subscribes, then looks at the state, then waits. So a wakeup between the look and the wait is not lost.
"""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

K = TypeVar("K")


class Wakeup:
    """Wakes, once, every task that subscribed before."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def wake(self) -> None:
        """Wakes every waiting task."""
        self._event.set()

    async def wait(self, timeout_s: float) -> bool:
        """Waits at most `timeout_s`; returns whether the wakeup came."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return False
        return True


class Wakeups(Generic[K]):
    """A wakeup for each key that tasks wait for."""

    def __init__(self) -> None:
        self._wakeups: dict[K, Wakeup] = {}

    def subscribe(self, key: K) -> Wakeup:
        """Returns the wakeup that the next `wake(key)` triggers."""
        return self._wakeups.setdefault(key, Wakeup())

    def wake(self, key: K) -> None:
        """Wakes the subscribers of `key`."""
        wakeup = self._wakeups.pop(key, None)
        if wakeup is not None:
            wakeup.wake()

    def wake_all(self) -> None:
        """Wakes every subscriber."""
        for key in list(self._wakeups):
            self.wake(key)
