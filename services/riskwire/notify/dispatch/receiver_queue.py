"""Which deliveries to one receiver may start, in which order, and which are one message.

The deliveries of one episode start in the order of their records. A receiver that reads text gets alerts of different
targets that one story raised as one message: a delivery waits `group_wait_s` for others. Quiet hours hold deliveries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from riskwire.notify.dispatch.quiet_hours import QuietHours
from riskwire.notify.outbox import Delivery
from riskwire.notify.retry import AttemptError
from riskwire.records import Alert
from riskwire.story import is_fingerprint, same_story

LOOK_AGAIN_S = 60.0
"""The most seconds between two looks at what is held: the wall clock may be set."""
MAX_TARGETS = 50
"""The most alerts in one message."""
_MAX_COMPARED = 500
"""The most waiting alerts whose stories are compared with that of a message."""
MAX_STARTED = 64
"""The most messages to one receiver that are started at a time. Most wait for their next attempt."""

OnDone = Callable[[Delivery, AttemptError | None], None]
"""Called when a delivery has arrived (no error) or was given up."""


@dataclass(frozen=True, slots=True, eq=False)
class WaitingDelivery:
    """A delivery that waits for its receiver.

    Attributes:
        ready_s: when it has waited long enough for others of its story, on the clock of the event loop.
    """

    delivery: Delivery
    alert: Alert
    on_done: OnDone
    ready_s: float

    @property
    def lead(self) -> str:
        """The fingerprint of the story that raised the alert; empty without one."""
        return self.alert.evidence[0].story if self.alert.evidence else ""


class ReceiverQueue:
    """The deliveries of all partitions that wait for one receiver, or are on their way to it."""

    def __init__(self, *, groups: bool, quiet: QuietHours | None = None, quiet_tiers: tuple[str, ...] = ()) -> None:
        """Creates an empty queue.

        Args:
            groups: whether alerts that one story raised are one message.
            quiet: the quiet hours of the receiver; None without.
            quiet_tiers: the tiers that they hold.
        """
        self._groups = groups
        self._quiet = quiet
        self._quiet_tiers = quiet_tiers
        self._waiting: list[WaitingDelivery] = []
        self._on_their_way: list[tuple[WaitingDelivery, ...]] = []

    def __len__(self) -> int:
        """Returns the number of deliveries that wait or are on their way."""
        return len(self._waiting) + sum(map(len, self._on_their_way))

    def add(self, waiting: WaitingDelivery) -> None:
        """Adds a delivery behind the others."""
        self._waiting.append(waiting)

    def put_back(self, deliveries: Iterable[WaitingDelivery]) -> None:
        """Adds deliveries that had started before the others."""
        self._waiting[:0] = deliveries

    def finish(self, message: tuple[WaitingDelivery, ...]) -> None:
        """Removes a message that was on its way."""
        self._on_their_way.remove(message)

    def remove(self, delivery: Delivery) -> bool:
        """Removes a delivery that waits. Returns whether it did."""
        remaining = [waiting for waiting in self._waiting if waiting.delivery != delivery]
        was_waiting = len(remaining) < len(self._waiting)
        self._waiting = remaining
        return was_waiting

    def withdraw(self, topic: str, partition: int) -> None:
        """Removes the deliveries of a partition that wait. Those on their way stay until they are finished."""
        self._waiting = [
            waiting
            for waiting in self._waiting
            if (waiting.delivery.message.topic, waiting.delivery.message.partition) != (topic, partition)
        ]

    def take(self, now: datetime, loop_s: float) -> list[tuple[WaitingDelivery, ...]]:
        """Returns the messages that start now, and remembers them as on their way.

        Args:
            now: the wall clock time.
            loop_s: the time of the event loop.
        """
        started: list[tuple[WaitingDelivery, ...]] = []
        while len(self._on_their_way) < MAX_STARTED:
            startable = list(self._startable(now))
            first = next((waiting for waiting in startable if waiting.ready_s <= loop_s), None)
            if first is None:
                break
            message = self._with_story_of(first, startable)
            self._waiting = [waiting for waiting in self._waiting if waiting not in message]
            self._on_their_way.append(message)
            started.append(message)
        return started

    def wait_s(self, now: datetime, loop_s: float) -> float | None:
        """Returns in how many seconds `take` may return more; None if that needs a change of the queue."""
        if not self._waiting or len(self._on_their_way) >= MAX_STARTED:
            return None
        end = self._quiet.end_after(now) if self._quiet is not None else None
        waits = [waiting.ready_s - loop_s for waiting in self._startable(now)]
        waits += [] if end is None else [min(LOOK_AGAIN_S, (end - now).total_seconds())]
        return max(0.0, min(waits)) if waits else None

    def _startable(self, now: datetime) -> Iterator[WaitingDelivery]:
        """Yields the deliveries that nothing holds: no earlier record of their episode, and no quiet hours.

        A record that quiet hours do not hold lets the earlier ones of its episode go first.
        """
        quiet = self._quiet is not None and self._quiet.end_after(now) is not None
        loud = {waiting.alert.id for waiting in self._waiting if not (quiet and self._is_held(waiting.alert))}
        earlier = {waiting.alert.id for message in self._on_their_way for waiting in message}
        for waiting in self._waiting:
            if waiting.alert.id in loud and waiting.alert.id not in earlier:
                yield waiting
            earlier.add(waiting.alert.id)

    def _is_held(self, alert: Alert) -> bool:
        """Returns whether quiet hours hold a record: by its tier, or because it is `resolved`, which can wait."""
        return alert.status == "resolved" or alert.tier in self._quiet_tiers

    def _with_story_of(self, first: WaitingDelivery, startable: list[WaitingDelivery]) -> tuple[WaitingDelivery, ...]:
        """Returns a delivery with the others of its story that can be part of the same message, the first one first."""
        if not self._groups or not first.lead:
            return (first,)
        ended = first.alert.status == "resolved"
        same_story = [
            waiting
            for waiting in startable[:_MAX_COMPARED]
            if waiting is not first
            and (waiting.alert.status == "resolved") == ended
            and _is_one_story(first.lead, waiting.lead)
        ]
        return (first, *same_story[: MAX_TARGETS - 1])


def _is_one_story(a: str, b: str) -> bool:
    """Returns whether two fingerprints are of one story."""
    return a == b or (is_fingerprint(a) and is_fingerprint(b) and same_story(a, b))
