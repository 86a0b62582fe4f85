"""Which alert records are notified, and whether they leave the house or are only logged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson

from riskwire.records import Alert, Severity

_RANK: Final[dict[Severity, int]] = {"warning": 0, "high": 1, "critical": 2}
_PREFIX: Final = "episode:"


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one record; `send` means to every receiver. `why`: sent | not_live | below (not even logged)."""

    log: bool
    send: bool
    why: str


@dataclass(frozen=True, slots=True)
class _Episode:
    """An open episode of which something was notified."""

    at: float
    sent: bool


class Episodes:
    """Decides record by record; remembers the open episodes, so that `resolved` follows what was notified.

    Rules: `firing` and `escalated` need the least severity. `resolved` is told to whom the episode was told, whatever
    its severity. A record whose `at` is more than `max_age_s` away from the wall clock, before or after, is news of a
    replay, a demo or a very old backlog: it is logged and never sent.
    """

    def __init__(
        self, state: Mapping[str, bytes], *, min_severity: Severity, max_age_s: float, remember: int, live: bool = True
    ) -> None:
        self._least = _RANK[min_severity]
        self._max_age_s = max_age_s
        self._remember = remember
        self._live = live
        self._changes: dict[str, bytes | None] = {}
        restored = {
            key.removeprefix(_PREFIX): _Episode(**orjson.loads(value))
            for key, value in state.items()
            if key.startswith(_PREFIX)
        }
        self._open = dict(sorted(restored.items(), key=lambda item: (item[1].at, item[0])))

    def decide(self, alert: Alert, now: datetime) -> Decision:
        """What to do with one record, at wall clock `now`; remembers what it decided."""
        recent = self._live and abs((now - alert.at).total_seconds()) <= self._max_age_s
        episode = self._open.get(alert.id)
        if alert.status == "resolved":
            if episode is None:
                return Decision(log=False, send=False, why="below")
            self._forget(alert.id)
            send = recent and episode.sent
        elif _RANK[alert.severity] < self._least:
            return Decision(log=False, send=False, why="below")
        else:
            send = recent
            sent = recent or (episode is not None and episode.sent)
            self._keep(alert.id, _Episode(alert.at.timestamp(), sent))
        return Decision(log=True, send=send, why="sent" if send else "not_live")

    def take_changes(self) -> dict[str, bytes | None]:
        """State entries that changed since the last call."""
        changes, self._changes = self._changes, {}
        return changes

    def _keep(self, alert_id: str, episode: _Episode) -> None:
        self._open.pop(alert_id, None)
        self._open[alert_id] = episode
        self._changes[_PREFIX + alert_id] = orjson.dumps({"at": episode.at, "sent": episode.sent})
        while len(self._open) > self._remember:
            self._forget(next(iter(self._open)))

    def _forget(self, alert_id: str) -> None:
        self._open.pop(alert_id, None)
        self._changes[_PREFIX + alert_id] = None
