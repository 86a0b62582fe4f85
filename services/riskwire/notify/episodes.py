"""Decides which alert records are notified, and which are only logged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from riskwire.notify.routing import SEVERITY_RANK
from riskwire.records import Alert, Severity
from riskwire.stage.state import KeyedState

_PREFIX: Final = "episode:"

NotifyOutcome = Literal["sent", "not_live", "below", "digest", "unrouted"]
"""`sent`: to its receivers; `not_live`: logged, but too far from the present to send; `below`: below the severity;
`digest`: a line of the digest, which is never pushed; `unrouted`: logged, but no route leads to a receiver."""


@dataclass(frozen=True, slots=True)
class NotifyDecision:
    """Whether one alert record is logged and sent, to which receivers, and why."""

    log: bool
    outcome: NotifyOutcome
    receivers: tuple[str, ...] = ()

    @property
    def send(self) -> bool:
        """Whether it is sent."""
        return self.outcome == "sent"


_BELOW: Final = NotifyDecision(log=False, outcome="below")
_NOT_LIVE: Final = NotifyDecision(log=True, outcome="not_live")
_DIGEST: Final = NotifyDecision(log=False, outcome="digest")


@dataclass(frozen=True, slots=True)
class _NotifiedEpisode:
    """An open episode of which a record was logged.

    Attributes:
        at: the time of the last one, in epoch seconds.
        sent: whether any was sent.
        receivers: the receivers that any was sent to.
    """

    at: float
    sent: bool
    receivers: Sequence[str]


class NotifiedEpisodes:
    """Decides on alert records one by one, and remembers the open episodes that it has notified.

    A record of tier `digest` is never notified. A `firing` or `escalated` record is notified from the minimum severity
    upward, to the receivers that its routes name and to those that had an earlier record of its episode. A `resolved`
    record is notified to the receivers that had an earlier record of its episode, whatever its own severity. A record
    whose `at` is further than `max_age_s` from the wall clock, in either direction, comes from a replay, a demo or a
    very old backlog: it is logged and never sent.
    """

    def __init__(
        self,
        state: Mapping[str, bytes],
        *,
        receivers_of: Callable[[Alert], Sequence[str]],
        min_severity: Severity,
        max_age_s: float,
        remember: int,
        live: bool = True,
    ) -> None:
        """Restores the open episodes (alerts that are not resolved) from the committed state.

        Args:
            receivers_of: returns the names of the receivers that an alert is routed to.
            min_severity: the least severity of a record that is logged and sent.
            max_age_s: the largest distance in seconds of a record from the wall clock at which it is sent.
            remember: the most open episodes that are remembered; the oldest are forgotten first.
            live: False sends nothing.
        """
        self._receivers_of = receivers_of
        self._min_rank = SEVERITY_RANK[min_severity]
        self._max_age_s = max_age_s
        self._remember = remember
        self._live = live
        self._open = KeyedState.of_dataclass(_PREFIX, state, _NotifiedEpisode, oldest_first=lambda episode: episode.at)

    def decide(self, alert: Alert, now: datetime) -> NotifyDecision:
        """Returns whether a record of an alert is logged and sent, and remembers whether its episode was sent.

        A record of tier digest is neither.
        An episode is all records of one alert: firing, escalated, resolved. A firing or escalated record below the
        minimum severity is neither logged nor sent. A resolved record, whatever its severity, is logged if an earlier
        record was, and sent if an earlier one was sent; its episode is then forgotten.

        Args:
            now: the wall clock time; a record further from it than `max_age_s` is logged at most, not sent.
        """
        if alert.tier == "digest":
            return _DIGEST
        recent = self._live and abs((now - alert.at).total_seconds()) <= self._max_age_s
        episode = self._open.get(alert.id)
        earlier = () if episode is None else tuple(episode.receivers)
        sent_before = episode is not None and episode.sent
        if alert.status == "resolved" and episode is not None:
            self._open.delete(alert.id)
            sent = recent and sent_before
            return NotifyDecision(log=True, outcome="sent", receivers=earlier) if sent else _NOT_LIVE
        if alert.status == "resolved" or SEVERITY_RANK[alert.severity] < self._min_rank:
            return _BELOW
        receivers = tuple(dict.fromkeys([*earlier, *self._receivers_of(alert)])) if recent else earlier
        self._remember_episode(alert.id, _NotifiedEpisode(alert.at.timestamp(), recent or sent_before, receivers))
        if not recent:
            return _NOT_LIVE
        return NotifyDecision(log=True, outcome="sent" if receivers else "unrouted", receivers=receivers)

    def take_changes(self) -> dict[str, bytes | None]:
        """Returns the state entries that changed since the last call."""
        return self._open.take_changes()

    def _remember_episode(self, alert_id: str, episode: _NotifiedEpisode) -> None:
        """Remembers an episode as the newest, and forgets the oldest ones beyond the limit."""
        self._open.set(alert_id, episode)
        self._open.move_to_end(alert_id)
        while len(self._open) > self._remember:
            self._open.delete(next(iter(self._open)))
