"""How each feed does: what ingesters remember of their polls, as an operator asks for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from riskwire.bus import Bus
from riskwire.ingest.feeds.roster import POLL
from riskwire.ingest.feeds.schedule import PollState
from riskwire.pipeline import Topic
from riskwire.records import Feed

State = Literal["ok", "in part", "failing", "gone", "not yet", "off", "unknown"]

_GROUP = "ingest"


@dataclass(frozen=True, slots=True)
class Condition:
    """A feed on the list, and what is remembered of its polls; None where it has not been polled at this address.

    Args:
        known: whether what is remembered could be read.
    """

    feed: Feed
    poll: PollState | None
    known: bool = True

    @property
    def state(self) -> State:
        """One word or two."""
        if not self.feed.enabled:
            return "off"
        if not self.known:
            return "unknown"
        if self.poll is None:
            return "not yet"
        if self.poll.gone:
            return "gone"
        if self.poll.failures:
            return "failing"
        return "in part" if self.poll.faulty else "ok"

    @property
    def needs_a_look(self) -> bool:
        """Whether news may be missed."""
        return self.state in ("in part", "failing", "gone", "unknown") or self.moved_to is not None

    @property
    def moved_to(self) -> str | None:
        """Where the publisher says that it is now."""
        return self.poll.moved_to if self.poll is not None and self.feed.enabled else None


async def polls_of(bus: Bus) -> dict[str, PollState]:
    """What ingesters remember of their polls, by feed.

    Raises:
        BusError: the bus cannot be read.
    """
    found: dict[str, PollState] = {}
    for key, value in (await bus.group_state(_GROUP, Topic.FEEDS, POLL)).items():
        try:
            found[key.removeprefix(POLL)] = PollState.model_validate_json(value)
        except ValidationError:  # of a newer riskwire: the list is of use without it
            continue
    return found


def conditions(feeds: Iterable[Feed], polls: dict[str, PollState] | None) -> list[Condition]:
    """Each feed with what is remembered of it, by id; what belongs to an address that it had before is left out.

    Args:
        polls: None where they cannot be read.
    """

    def poll_of(feed: Feed) -> PollState | None:
        poll = (polls or {}).get(feed.id)
        return poll if poll is not None and poll.url == feed.url and poll.polls else None

    return [Condition(feed, poll_of(feed), polls is not None) for feed in sorted(feeds, key=lambda feed: feed.id)]
