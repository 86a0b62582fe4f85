"""The status of each feed on the list: how its polls have gone, for `riskwire feeds list`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from riskwire.bus import Bus
from riskwire.ingest.feeds.dating import has_unreadable_dates, is_late
from riskwire.ingest.feeds.roster import POLL_PREFIX
from riskwire.ingest.feeds.schedule import PollState
from riskwire.pipeline import INGEST
from riskwire.records import Feed

FeedHealth = Literal["ok", "late", "undated", "in part", "failing", "gone", "not yet", "off", "unknown"]
"""`late`: all new items come out as backfill. `undated`: the dates cannot be read."""


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """A feed on the list and the state of its polls.

    Attributes:
        poll: None if the feed has not been polled at its present address.
        known: whether the states of polls could be read.
    """

    feed: Feed
    poll: PollState | None
    known: bool = True

    @property
    def state(self) -> FeedHealth:
        """The state of the feed in one or two words."""
        if not self.feed.enabled:
            return "off"
        if not self.known:
            return "unknown"
        if self.poll is None:
            return "not yet"
        return _poll_health(self.poll)

    @property
    def may_miss_news(self) -> bool:
        """Whether an operator should look at the feed, because its news may be missed now or after a move."""
        return self.state in ("late", "undated", "in part", "failing", "gone", "unknown") or self.moved_to is not None

    @property
    def moved_to(self) -> str | None:
        """The new address of an enabled feed, if its server redirects permanently."""
        return self.poll.moved_to if self.poll is not None and self.feed.enabled else None


def _poll_health(poll: PollState) -> FeedHealth:
    """Returns the state of a feed's polls in one or two words: the worst that holds."""
    faults: tuple[tuple[FeedHealth, bool], ...] = (
        ("gone", poll.gone),
        ("failing", poll.failures > 0),
        ("in part", poll.incomplete),
        ("undated", has_unreadable_dates(poll)),
        ("late", is_late(poll)),
    )
    return next((health for health, applies in faults if applies), "ok")


async def read_polls(bus: Bus) -> dict[str, PollState]:
    """Returns the committed states of polls, by feed id. A state that this version cannot read is left out.

    Raises:
        BusError: the bus cannot be read.
    """
    polls: dict[str, PollState] = {}
    for key, value in (await bus.group_state(INGEST.name, INGEST.reads, POLL_PREFIX)).items():
        try:
            polls[key.removeprefix(POLL_PREFIX)] = PollState.model_validate_json(value)
        except ValidationError:  # written by a newer riskwire; the list is useful without it
            continue
    return polls


def feed_statuses(feeds: Iterable[Feed], polls: dict[str, PollState] | None) -> list[FeedStatus]:
    """Returns the status of each feed, in the order of their ids.

    Args:
        polls: the states of polls by feed id; None if they could not be read. A state without a poll or of another
            address than the feed's is ignored, as if the feed had not been polled.
    """

    def poll_of(feed: Feed) -> PollState | None:
        poll = (polls or {}).get(feed.id)
        return poll if poll is not None and poll.url == feed.url and poll.polls else None

    return [FeedStatus(feed, poll_of(feed), polls is not None) for feed in sorted(feeds, key=lambda feed: feed.id)]
