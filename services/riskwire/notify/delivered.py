"""Remembers when the newest notifications arrived, for `riskwire trace`. Part of the state of the notify stage."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from riskwire.records import Alert
from riskwire.stage.state import KeyedState

DELIVERED_PREFIX = "delivered:"
MAX_DELIVERED = 1_000
"""Alert records of one partition whose arrival is remembered; the oldest are forgotten first."""


def delivered_key(alert: Alert) -> str:
    """Returns the key of an alert record, without the prefix that a state has."""
    return f"{DELIVERED_PREFIX}{record_key(alert)}"


class Delivered:
    """When each receiver had the newest alert records, by the label of the receiver, in Unix time."""

    def __init__(self, state: Mapping[str, bytes], limit: int = MAX_DELIVERED) -> None:
        """Restores the arrivals from the committed state."""
        self._limit = limit
        self._arrivals: KeyedState[dict[str, float]] = KeyedState(
            DELIVERED_PREFIX,
            state,
            encode=orjson.dumps,
            decode=orjson.loads,
            oldest_first=lambda arrivals: max(arrivals.values()),
        )

    def add(self, alert: Alert, receiver: str, at: float) -> None:
        """Remembers that a receiver had an alert record at a Unix time."""
        self.add_key(record_key(alert), receiver, at)

    def add_key(self, key: str, receiver: str, at: float) -> None:
        """Remembers that a receiver had the alert record of a `record_key` at a Unix time."""
        self._arrivals.set(key, {**(self._arrivals.get(key) or {}), receiver: round(at, 3)})
        self._arrivals.move_to_end(key)
        while len(self._arrivals) > self._limit:
            self._arrivals.delete(next(iter(self._arrivals)))

    def take_changes(self) -> dict[str, bytes | None]:
        """Returns the state entries that changed since the last call."""
        return self._arrivals.take_changes()


def record_key(alert: Alert) -> str:
    """Identifies an alert record."""
    return f"{alert.id}/{alert.status}/{alert.at:%Y-%m-%dT%H:%M:%S.%fZ}"
