"""Run as a process in place of `riskwire`: a build with a known mistake, to see that the chaos run catches it.

Arguments: `position` or `state`, then what `riskwire` is given. Nothing in the product knows of this.

position: the read position is committed as a batch is fetched, apart from the transaction, as a consumer does that
    commits by itself: what is killed before it is done has read what it never told.
state: the state is written apart from the transaction and before it: what is killed in between reads again what its
    state says it has read.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from riskwire.bus import Message
from riskwire.bus.kafka.cluster import Record
from riskwire.bus.kafka.partition import KafkaAssignment

_apart: dict[str, AIOKafkaProducer] = {}
_send_offsets = AIOKafkaProducer.send_offsets_to_transaction
_fetch = KafkaAssignment.fetch
_step = KafkaAssignment._step


async def _producer(name: str, client: dict[str, Any], transactional_id: str | None) -> AIOKafkaProducer:
    """A second producer, beside the one whose transaction it should have been."""
    if name not in _apart:
        producer = AIOKafkaProducer(**client, acks="all", transactional_id=transactional_id)
        await producer.start()
        _apart[name] = producer
    return _apart[name]


async def _fetched_is_read(self: KafkaAssignment, most: int, wait_s: float) -> Sequence[Message]:
    batch = await _fetch(self, most, wait_s)
    if not batch:
        return batch
    name = f"{self.group}-{self.topic}-{self.partition}-apart"
    try:
        producer = await _producer(name, self._cluster.client(), name)
        await producer.begin_transaction()
        move = {self._source: OffsetAndMetadata(batch[-1].offset + 1, "")}
        await _send_offsets(producer, move, self._cluster.name(self.group))
        await producer.commit_transaction()
    except KafkaError:
        _apart.pop(name, None)
        self.revoke()
        self._on_fenced()
        return ()
    return batch


async def _no_offsets(*_: Any) -> None:
    """The transaction goes without them."""


async def _state_apart(self: KafkaAssignment, records: Sequence[Record], position: int) -> None:
    changelog = self._changelog.topic
    name = f"{changelog}-{self.partition}"
    try:
        producer = await _producer(name, self._cluster.client(), None)
        for record in records:
            if record.topic == changelog:
                await producer.send(record.topic, value=record.value, key=record.key, partition=record.partition)
        await producer.flush()
    except BaseException:
        _apart.pop(name, None)
        raise
    await _step(self, [record for record in records if record.topic != changelog], position)


if __name__ == "__main__":
    if sys.argv.pop(1) == "position":
        KafkaAssignment.fetch = _fetched_is_read  # type: ignore[method-assign]
        AIOKafkaProducer.send_offsets_to_transaction = _no_offsets
    else:
        KafkaAssignment._step = _state_apart  # type: ignore[method-assign]
    from riskwire.cli.main import main

    main()
