"""Bells: who waits for something listens first, then looks, then waits; so no ring between the two is missed."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

K = TypeVar("K")


class Bell:
    """Rings once for all who listened before."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wake everyone who waits."""
        self._event.set()

    async def wait(self, within_s: float) -> bool:
        """Whether it rang within `within_s`."""
        try:
            async with asyncio.timeout(within_s):
                await self._event.wait()
        except TimeoutError:
            return False
        return True


class Bells(Generic[K]):
    """A bell for each thing that can be waited for."""

    def __init__(self) -> None:
        self._bells: dict[K, Bell] = {}

    def listen(self, key: K) -> Bell:
        """The bell that the next ring of `key` rings."""
        return self._bells.setdefault(key, Bell())

    def ring(self, key: K) -> None:
        """Wake who listens for `key`."""
        bell = self._bells.pop(key, None)
        if bell is not None:
            bell.ring()

    def ring_all(self) -> None:
        """Wake everyone."""
        for key in list(self._bells):
            self.ring(key)
