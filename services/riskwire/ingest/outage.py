"""Tells a missing network from feeds that fail, so that an offline start is one line of the log. Pure."""

from __future__ import annotations

_FEEDS = 3
"""So many feeds without an answer, and none with one, are a missing network."""


class Outage:
    """The feeds that could not be reached since a server last answered.

    Their failures are held back until the cause is known. If a server answers, they are failures of the feeds. If
    `_FEEDS` feeds have failed, it is one failure of the network.
    """

    def __init__(self) -> None:
        self._unreached: dict[str, str] = {}
        """Feeds that could not be reached, with the error."""
        self._is_announced = False
        self._to_log: set[str] = set()
        """Feeds whose failure was not logged because the network was missing."""

    def unreached(self, feed_id: str, error: str, feeds: int) -> int:
        """Takes a poll that reached no server.

        Args:
            feeds: the number of feeds on the list.

        Returns:
            the number of feeds to announce a missing network with, once; else 0.
        """
        self._unreached[feed_id] = error
        if self._is_announced or len(self._unreached) < min(_FEEDS, feeds):
            return 0
        self._is_announced = True
        return len(self._unreached)

    def reached(self) -> tuple[bool, dict[str, str]]:
        """Takes a poll that a server answered.

        Returns:
            whether a missing network is back, and the feeds whose failure is to be logged now, with the error.
        """
        was_announced, unreached = self._is_announced, self._unreached
        self._is_announced, self._unreached = False, {}
        if was_announced:
            self._to_log |= unreached.keys()
            return True, {}
        return False, unreached

    def take_unlogged(self, feed_id: str) -> bool:
        """Returns whether the failure of a feed is still to be logged, if it goes on; forgets that."""
        was_unlogged = feed_id in self._to_log
        self._to_log.discard(feed_id)
        return was_unlogged
