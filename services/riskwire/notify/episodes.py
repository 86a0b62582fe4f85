"""Decides which alert records are notified, and which are only logged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final, Literal

import orjson

from riskwire.records import Alert, Severity
from riskwire.stage.state import KeyedState

_RANK: Final[dict[Severity, int]] = {"warning": 0, "high": 1, "critical": 2}
_PREFIX: Final = "episode:"

NotifyOutcome = Literal["sent", "not_live", "below", "digest"]
"""`sent`: to every receiver; `not_live`: logged, but too far from the present to send; `below`: below the severity;
`digest`: a line of the daily list, which is never pushed."""


@dataclass(frozen=True, slots=True)
class NotifyDecision:
    """Whether one alert record is logged and sent, and why."""

    log: bool
    send: bool
    outcome: NotifyOutcome


_BELOW: Final = NotifyDecision(log=False, send=False, outcome="below")
_DIGEST: Final = NotifyDecision(log=False, send=False, outcome="digest")


@dataclass(frozen=True, slots=True)
class _NotifiedEpisode:
    """An open episode of which a record was logged: the time (epoch seconds) of the last one, and if any was sent."""

    at: float
    sent: bool


class NotifiedEpisodes:
    """Decides on alert records one by one, and remembers the open episodes that it has notified.

    A record of tier `digest` is never notified. A `firing` or `escalated` record is notified from the minimum severity
    upward. A `resolved` record is notified when
    an earlier record of its episode was, whatever its own severity. A record whose `at` is further than `max_age_s`
    from the wall clock, in either direction, comes from a replay, a demo or a very old backlog: it is logged and never
    sent.

    Args:
        state: the committed state of the stage.
        min_severity: the minimum severity of a notification.
        max_age_s: the largest distance of a record from the wall clock at which it is sent.
        remember: the most open episodes that are remembered; the oldest are forgotten first.
        live: False sends nothing.
    """

    def __init__(
        self, state: Mapping[str, bytes], *, min_severity: Severity, max_age_s: float, remember: int, live: bool = True
    ) -> None:
        """Restores the open episodes (alerts that are not resolved) from the committed state.

        Args:
            min_severity: the least severity of a record that is logged and sent.
            max_age_s: the largest distance in seconds of a record from the wall clock at which it is sent.
            remember: the most open episodes that are remembered; the oldest are forgotten first.
            live: False sends nothing.
        """
        self._min_rank = _RANK[min_severity]
        self._max_age_s = max_age_s
        self._remember = remember
        self._live = live
        self._open: KeyedState[_NotifiedEpisode] = KeyedState(
            _PREFIX,
            state,
            encode=lambda episode: orjson.dumps(asdict(episode)),
            decode=lambda value: _NotifiedEpisode(**orjson.loads(value)),
            oldest_first=lambda episode: episode.at,
        )

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
        if alert.status == "resolved":
            if episode is None:
                return _BELOW
            self._open.delete(alert.id)
            send = recent and episode.sent
        elif _RANK[alert.severity] < self._min_rank:
            return _BELOW
        else:
            send = recent
            sent_before = episode is not None and episode.sent
            self._remember_episode(alert.id, _NotifiedEpisode(alert.at.timestamp(), send or sent_before))
        return NotifyDecision(log=True, send=send, outcome="sent" if send else "not_live")

    def take_changes(self) -> dict[str, bytes | None]:
        """Returns the state entries that changed since the last call."""
        return self._open.take_changes()

    def _remember_episode(self, alert_id: str, episode: _NotifiedEpisode) -> None:
        """Remembers an episode as the newest, and forgets the oldest ones beyond the limit."""
        self._open.set(alert_id, episode)
        self._open.move_to_end(alert_id)
        while len(self._open) > self._remember:
            self._open.delete(next(iter(self._open)))
