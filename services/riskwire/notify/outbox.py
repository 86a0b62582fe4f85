"""The pending deliveries of one partition, as state of the stage.

A record is read from the topic and added to the outbox in one atomic step, and removed when every receiver has got it
or was given up. So a receiver that is down does not delay the others, and after a restart only deliveries that are not
known to have arrived are attempted again.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from riskwire.bus import Message
from riskwire.stage.state import KeyedState

_PREFIX: Final = "record:"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One alert record and the receiver that it must be delivered to.

    Attributes:
        receiver: the name of the receiver.
        accepted_at: when the record was read, in epoch seconds; the time until it is given up starts there.
    """

    message: Message
    receiver: str
    accepted_at: float


@dataclass(slots=True)
class _OutboxRecord:
    """A record with the id of its alert, and the receivers that have not got it yet."""

    message: Message
    accepted_at: float
    receivers: list[str]
    alert: str


class Outbox:
    """Pending deliveries, stored per record and limited per receiver.

    Args:
        state: the committed state of the stage.
        topic: the topic of the partition.
        partition: the number of the partition.
        max_pending: the most pending deliveries of one receiver.
    """

    def __init__(self, state: Mapping[str, bytes], *, topic: str, partition: int, max_pending: int) -> None:
        """Restores the pending deliveries of a partition from the committed state.

        Args:
            topic: the topic of the alert records, which the state does not repeat; `partition` likewise.
            max_pending: the most pending deliveries of one receiver.
        """
        self._max_pending = max_pending
        self._records: KeyedState[_OutboxRecord] = KeyedState(
            _PREFIX,
            state,
            encode=_encode,
            decode=lambda value: _decode(value, topic, partition),
            oldest_first=lambda record: record.message.offset,
        )
        self._pending = Counter(receiver for record in self._records.entries.values() for receiver in record.receivers)

    def __len__(self) -> int:
        """Returns the number of pending deliveries."""
        return self._pending.total()

    def waiting(self) -> list[tuple[str, Delivery]]:
        """Returns every pending delivery with the id of its alert, in the order of the records."""
        return [
            (record.alert, Delivery(record.message, receiver, record.accepted_at))
            for record in self._records.entries.values()
            for receiver in record.receivers
        ]

    def alerts(self) -> set[str]:
        """Returns the ids of the alerts of which a record is pending."""
        return {record.alert for record in self._records.entries.values()}

    def add(
        self, message: Message, receivers: Sequence[str], accepted_at: float
    ) -> tuple[list[Delivery], list[Delivery]]:
        """Adds the deliveries of a record: one for each receiver that has fewer than `max_pending`.

        Args:
            accepted_at: when the record was read, in epoch seconds.

        Returns:
            The deliveries that were added, and those refused because their receiver has `max_pending` already.
        """
        key = str(message.offset)
        record = self._records.get(key)  # of a page that is passed on while the usual receivers still wait
        pending = record.receivers if record is not None else []
        receivers = [receiver for receiver in receivers if receiver not in pending]
        accepted = [receiver for receiver in receivers if self._pending[receiver] < self._max_pending]
        refused = [receiver for receiver in receivers if receiver not in accepted]
        if accepted:
            alert = orjson.loads(message.value)["id"]
            self._records.set(key, _OutboxRecord(message, accepted_at, [*pending, *accepted], alert))
            self._pending.update(accepted)
        return (
            [Delivery(message, receiver, accepted_at) for receiver in accepted],
            [Delivery(message, receiver, accepted_at) for receiver in refused],
        )

    def remove(self, deliveries: Iterable[Delivery]) -> None:
        """Removes deliveries that arrived or were given up.

        A record is kept in the state for its remaining receivers, and deleted with the last one.

        Raises:
            KeyError: a delivery is not pending.
        """
        for delivery in deliveries:
            key = str(delivery.message.offset)
            record = self._records[key]
            record.receivers.remove(delivery.receiver)
            self._pending[delivery.receiver] -= 1
            if record.receivers:
                self._records.touch(key)
            else:
                self._records.delete(key)

    def take_changes(self) -> dict[str, bytes | None]:
        """Returns the state entries that changed since the last call."""
        return self._records.take_changes()


def _encode(record: _OutboxRecord) -> bytes:
    """Returns a pending alert record, and the receivers that have not got it, as JSON for the committed state."""
    return orjson.dumps(
        {
            "offset": record.message.offset,
            "key": record.message.key,
            "value": base64.b64encode(record.message.value).decode(),
            "accepted_at": record.accepted_at,
            "receivers": record.receivers,
        }
    )


def _decode(value: bytes, topic: str, partition: int) -> _OutboxRecord:
    """Returns a pending alert record, and the receivers that have not got it, from the bytes of the state.

    Args:
        topic: the topic and `partition` of the record, which the bytes do not contain.
    """
    fields = orjson.loads(value)
    message = Message(topic, partition, fields["offset"], fields["key"], base64.b64decode(fields["value"]))
    alert = orjson.loads(message.value)["id"]
    return _OutboxRecord(message, float(fields["accepted_at"]), list(fields["receivers"]), alert)
