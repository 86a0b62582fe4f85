"""The feeds of one partition, what is remembered of their polls, and which is due. Pure: time is handed in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from riskwire.ingest.feeds.schedule import DAY_S, PollState
from riskwire.records import Feed

FEED = "feed:"
POLL = "poll:"

RUNNING = float("inf")
"""When a feed whose poll runs is due."""


class Roster:
    """Feeds by id. `steady` are seconds of a clock that never jumps; `now` is the time of day.

    Args:
        state: the state of the last committed step; keys that are not its own are left alone.
    """

    def __init__(self, state: Mapping[str, bytes], now: datetime, steady: float) -> None:
        self._feeds: dict[str, Feed] = {}
        self._polls: dict[str, PollState] = {}
        self._due: dict[str, float] = {}
        for key, value in state.items():
            if key.startswith(FEED):
                feed = Feed.model_validate_json(value)
                saved = state.get(POLL + feed.id)
                poll = PollState.model_validate_json(saved) if saved else PollState(url=feed.url)
                self._feeds[feed.id], self._polls[feed.id] = feed, poll
                left_s = (poll.next_at - now).total_seconds() if poll.next_at else 0.0
                self._due[feed.id] = steady + min(max(left_s, 0.0), DAY_S)

    def __len__(self) -> int:
        return len(self._feeds)

    def put(self, feed: Feed, steady: float) -> dict[str, bytes | None]:
        """Take a feed record in; the changes of state are returned. One that is not enabled is forgotten."""
        if not feed.enabled:
            self._feeds.pop(feed.id, None)
            self._polls.pop(feed.id, None)
            self._due.pop(feed.id, None)
            return {FEED + feed.id: None, POLL + feed.id: None}
        known = self._feeds.get(feed.id)
        self._feeds[feed.id] = feed
        if known is not None and known.url == feed.url:
            if self._due[feed.id] != RUNNING:
                self._due[feed.id] = min(self._due[feed.id], steady + feed.every_s)
            return {FEED + feed.id: feed.to_bytes()}
        self._polls[feed.id], self._due[feed.id] = PollState(url=feed.url), steady
        return {FEED + feed.id: feed.to_bytes(), POLL + feed.id: None}

    def holds(self, feed: Feed) -> bool:
        """Whether what a poll of this record brought still counts: the feed is there, at the same address."""
        known = self._feeds.get(feed.id)
        return known is not None and known.url == feed.url

    def poll_of(self, feed: Feed) -> PollState:
        """What is remembered of a feed's polls."""
        return self._polls[feed.id]

    def due(self, steady: float) -> Iterator[Feed]:
        """Feeds whose time has come, the longest overdue first."""
        ready = sorted((at, key) for key, at in self._due.items() if at <= steady and not self._polls[key].gone)
        return (self._feeds[key] for _, key in ready)

    def started(self, feed: Feed) -> None:
        """A poll of it runs: it is not due until `settled`."""
        self._due[feed.id] = RUNNING

    def settled(
        self, feed: Feed, poll: PollState, wait_s: float, now: datetime, steady: float
    ) -> dict[str, bytes | None]:
        """A poll is over; the next is due in `wait_s` seconds."""
        poll = poll.model_copy(update={"next_at": now + timedelta(seconds=wait_s)})
        self._polls[feed.id], self._due[feed.id] = poll, steady + wait_s
        return {POLL + feed.id: poll.to_bytes()}

    def next_due(self) -> float:
        """When the next feed is due; infinity when none is."""
        return min((at for key, at in self._due.items() if not self._polls[key].gone), default=RUNNING)
