"""Runs `riskwire` with a known bug, which the chaos run must detect. Replaces the command `riskwire` of a process.

Arguments: `position` or `state`, then the arguments of `riskwire`. The product has no code for this: the methods of the
bus are patched here.

position: the read position is committed when a batch is fetched, outside the transaction, as by a consumer with
    automatic commits. A worker that is killed before its step has read records without writing their results.
state: the state is written outside the transaction and before it. A worker that is killed in between reads records
    again that its state already contains.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from riskwire.bus import Message
from riskwire.bus.kafka.cluster import KafkaRecord
from riskwire.bus.kafka.partition import KafkaAssignment

_separate_producers: dict[str, AIOKafkaProducer] = {}
_send_offsets = AIOKafkaProducer.send_offsets_to_transaction
_fetch = KafkaAssignment.fetch
_commit_step = KafkaAssignment._commit_step


async def _producer(name: str, client: dict[str, Any], transactional_id: str | None) -> AIOKafkaProducer:
    """Returns a second producer, which takes no part in the transaction of the step; it is started once for each name.

    Args:
        client: the options that connect it to the brokers.
        transactional_id: its own transactional id; None for a producer without transactions.
    """
    if name not in _separate_producers:
        producer = AIOKafkaProducer(**client, acks="all", transactional_id=transactional_id)
        await producer.start()
        _separate_producers[name] = producer
    return _separate_producers[name]


async def _fetch_with_separate_commit(self: KafkaAssignment, max_records: int, timeout_s: float) -> Sequence[Message]:
    """Replaces `KafkaAssignment.fetch` with a bug: commits the position before the batch has been processed.

    If Kafka refuses the commit, gives the partition up, as a fenced worker does, and returns no records.
    """
    batch = await _fetch(self, max_records, timeout_s)
    if not batch:
        return batch
    name = f"{self.group}-{self.topic}-{self.partition}-separate"
    try:
        producer = await _producer(name, self._cluster.client_options(), name)
        await producer.begin_transaction()
        offsets = {self._source: OffsetAndMetadata(batch[-1].offset + 1, "")}
        await _send_offsets(producer, offsets, self._cluster.name(self.group))
        await producer.commit_transaction()
    except KafkaError:
        _separate_producers.pop(name, None)
        self.revoke()
        self._on_fenced()
        return ()
    return batch


async def _send_no_offsets(*_: Any) -> None:
    """Sends nothing, so that the transaction has no offsets."""


async def _step_with_separate_state(self: KafkaAssignment, records: Sequence[KafkaRecord], position: int) -> None:
    """Replaces the commit of a step with a bug: writes the state outside the transaction of the step.

    Args:
        records: the records of the step. Those on the changelog, the topic of the state, are written first, on their
            own.
        position: the position of the partition after the step.
    """
    changelog = self._changelog.topic
    name = f"{changelog}-{self.partition}"
    try:
        producer = await _producer(name, self._cluster.client_options(), None)
        for record in records:
            if record.topic == changelog:
                await producer.send(record.topic, value=record.value, key=record.key, partition=record.partition)
        await producer.flush()
    except BaseException:
        _separate_producers.pop(name, None)
        raise
    await _commit_step(self, [record for record in records if record.topic != changelog], position)


if __name__ == "__main__":
    if sys.argv.pop(1) == "position":
        KafkaAssignment.fetch = _fetch_with_separate_commit  # type: ignore[method-assign]
        AIOKafkaProducer.send_offsets_to_transaction = _send_no_offsets
    else:
        KafkaAssignment._commit_step = _step_with_separate_state  # type: ignore[method-assign]
    from riskwire.cli.main import main

    main()
