"""The deliveries that are still owed, as state of the stage: what survives a kill.

A record moves from the topic into the outbox in the same atomic step that moves the read position, and leaves it when
every receiver has it or has been given up. So a receiver that is down holds up nobody else, and after a restart only
what is not known to be delivered is tried again.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from riskwire.bus import Message

_PREFIX: Final = "record:"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One record owed to one receiver; `accepted_at` (epoch seconds) starts the time until it is given up."""

    message: Message
    way: str
    accepted_at: float


@dataclass(slots=True)
class _Entry:
    message: Message
    accepted_at: float
    owed: list[str]


class Outbox:
    """Deliveries owed, per record; bounded per receiver."""

    def __init__(self, state: Mapping[str, bytes], *, topic: str, partition: int, max_pending: int) -> None:
        self._max_pending = max_pending
        self._changes: dict[str, bytes | None] = {}
        entries = (
            _read(value, topic, partition, int(key.removeprefix(_PREFIX)))
            for key, value in state.items()
            if key.startswith(_PREFIX)
        )
        self._entries = {entry.message.offset: entry for entry in sorted(entries, key=lambda e: e.message.offset)}
        self._pending = Counter(way for entry in self._entries.values() for way in entry.owed)

    def __len__(self) -> int:
        """Deliveries owed."""
        return self._pending.total()

    def owed(self) -> list[Delivery]:
        """Every delivery that is owed, in the order of the records."""
        return [
            Delivery(entry.message, way, entry.accepted_at) for entry in self._entries.values() for way in entry.owed
        ]

    def accept(
        self, message: Message, ways: Sequence[str], accepted_at: float
    ) -> tuple[list[Delivery], list[Delivery]]:
        """Owe a record to receivers: those deliveries, and those refused since too many wait for the receiver."""
        taken = [way for way in ways if self._pending[way] < self._max_pending]
        if taken:
            entry = self._entries[message.offset] = _Entry(message, accepted_at, taken)
            self._pending.update(taken)
            self._changes[f"{_PREFIX}{message.offset}"] = _written(entry)
        deliveries: dict[bool, list[Delivery]] = {True: [], False: []}
        for way in ways:
            deliveries[way in taken].append(Delivery(message, way, accepted_at))
        return deliveries[True], deliveries[False]

    def settle(self, deliveries: Iterable[Delivery]) -> None:
        """Deliveries that arrived or were given up are owed no longer."""
        for delivery in deliveries:
            entry = self._entries[delivery.message.offset]
            entry.owed.remove(delivery.way)
            self._pending[delivery.way] -= 1
            key = f"{_PREFIX}{delivery.message.offset}"
            if entry.owed:
                self._changes[key] = _written(entry)
            else:
                del self._entries[delivery.message.offset]
                self._changes[key] = None

    def take_changes(self) -> dict[str, bytes | None]:
        """State entries that changed since the last call."""
        changes, self._changes = self._changes, {}
        return changes


def _written(entry: _Entry) -> bytes:
    return orjson.dumps(
        {
            "key": entry.message.key,
            "value": base64.b64encode(entry.message.value).decode(),
            "accepted_at": entry.accepted_at,
            "owed": entry.owed,
        }
    )


def _read(value: bytes, topic: str, partition: int, offset: int) -> _Entry:
    held = orjson.loads(value)
    message = Message(topic, partition, offset, held["key"], base64.b64decode(held["value"]))
    return _Entry(message, float(held["accepted_at"]), list(held["owed"]))
