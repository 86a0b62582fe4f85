"""The feeds of one partition, the states of their polls, and which feeds are due. Pure: time is an argument."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from riskwire.ingest.feeds.schedule import DAY_S, PollState
from riskwire.records import Feed
from riskwire.stage.state import KeyedState

FEED_PREFIX = "feed:"
POLL_PREFIX = "poll:"

_RUNNING = float("inf")
"""The due time of a feed while its poll is running."""


class Roster:
    """The feeds of one partition by id.

    In all methods `monotonic` is the time of a clock that never jumps, in seconds, and `now` the time of day.

    Args:
        state: the committed state of the stage.
    """

    def __init__(self, state: Mapping[str, bytes], now: datetime, monotonic: float) -> None:
        """Restores the feeds of a partition, and when each is due, from the committed state.

        Args:
            now: the time of day.
            monotonic: the time of a clock that never jumps, in seconds; due times are in this time.
        """
        self._feeds: KeyedState[Feed] = KeyedState(
            FEED_PREFIX, state, encode=lambda feed: feed.to_bytes(), decode=Feed.model_validate_json
        )
        self._polls: KeyedState[PollState] = KeyedState(
            POLL_PREFIX, state, encode=lambda poll: poll.to_bytes(), decode=PollState.model_validate_json
        )
        self._due_at: dict[str, float] = {}
        for feed in self._feeds.entries.values():
            poll = self.poll_state(feed)
            wait_s = (poll.next_at - now).total_seconds() if poll.next_at else 0.0
            # After the wall clock was set back, `next_at` may be far ahead. No feed waits longer than it was to wait.
            planned_s = (poll.next_at - poll.polled_at).total_seconds() if poll.next_at and poll.polled_at else DAY_S
            self._due_at[feed.id] = monotonic + min(max(wait_s, 0.0), max(planned_s, 0.0), DAY_S)

    def __len__(self) -> int:
        return len(self._feeds)

    def put(self, feed: Feed, monotonic: float) -> None:
        """Takes a feed record: adds or changes the feed, or removes it if it is disabled.

        A new feed or a new address makes the feed due at once and resets the state of its polls. Other changes leave
        the state; the feed is then due after its interval (`every_s`) at the latest, unless its poll is running.

        Args:
            monotonic: the present time of a clock that never jumps, in seconds.
        """
        known = self._feeds.get(feed.id)
        if not feed.enabled:
            if known is not None:
                self._feeds.delete(feed.id)
            self._forget_polls(feed)
            self._due_at.pop(feed.id, None)
            return
        self._feeds.set(feed.id, feed)
        if known is None or known.url != feed.url:
            self._forget_polls(feed)
            self._due_at[feed.id] = monotonic
        elif self._due_at[feed.id] != _RUNNING:
            self._due_at[feed.id] = min(self._due_at[feed.id], monotonic + feed.every_s)

    def has(self, feed: Feed) -> bool:
        """Returns whether the feed is still there with the same address, so that the result of its poll counts."""
        known = self._feeds.get(feed.id)
        return known is not None and known.url == feed.url

    def poll_state(self, feed: Feed) -> PollState:
        """Returns the state of a feed's polls; an empty one before the first poll."""
        return self._polls.get(feed.id) or PollState(url=feed.url)

    def polls(self) -> Iterator[tuple[Feed, PollState]]:
        """Yields each feed with the state of its polls."""
        return ((feed, self.poll_state(feed)) for feed in self._feeds.entries.values())

    def due_feeds(self, monotonic: float) -> Iterator[Feed]:
        """Yields the feeds that are due, the longest overdue first, without those that a server declared gone (410)."""
        due = sorted((due_at, feed_id) for feed_id, due_at in self._due_at.items() if due_at <= monotonic)
        return (self._feeds[feed_id] for _, feed_id in due if not self._is_gone(feed_id))

    def next_due_at(self) -> float:
        """Returns when the next feed is due (`monotonic`); infinity if no feed will be."""
        return min((due_at for feed_id, due_at in self._due_at.items() if not self._is_gone(feed_id)), default=_RUNNING)

    def start_poll(self, feed: Feed) -> None:
        """Records that a poll of a feed has started. The feed is not due again until `finish_poll`."""
        self._due_at[feed.id] = _RUNNING

    def finish_poll(self, feed: Feed, poll: PollState, wait_s: float, now: datetime, monotonic: float) -> None:
        """Records the state after a poll. The next poll is due in `wait_s` seconds from `now` (`monotonic`)."""
        self._polls.set(feed.id, poll.model_copy(update={"next_at": now + timedelta(seconds=wait_s)}))
        self._due_at[feed.id] = monotonic + wait_s

    def take_changes(self) -> dict[str, bytes | None]:
        """Returns the state entries that changed since the last call, for the next step."""
        return self._feeds.take_changes() | self._polls.take_changes()

    def _forget_polls(self, feed: Feed) -> None:
        if feed.id in self._polls:
            self._polls.delete(feed.id)

    def _is_gone(self, feed_id: str) -> bool:
        poll = self._polls.get(feed_id)
        return poll is not None and poll.gone
