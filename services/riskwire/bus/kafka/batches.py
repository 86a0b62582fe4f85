"""Sends the records of a step as batches, one batch or more for each partition.

`AIOKafkaProducer.send` costs a future, a metadata lookup and a wait for each record. That was two thirds of the cost
of a step. A batch costs one of each.
"""

from __future__ import annotations

import time
from asyncio import Future
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from riskwire.bus.kafka.cluster import KafkaRecord

COMPRESSION = "zstd"
"""Takes a seventh of the time and half the bytes of aiokafka's lz4, which runs at its slowest level."""


async def send_batches(producer: Any, records: Sequence[KafkaRecord]) -> list[Future[Any]]:
    """Passes records to a producer that is in a transaction. The records of a partition stay in order.

    Every record gets the current time. A partition has several batches if its records do not fit into one.

    Args:
        producer: a connected producer of aiokafka.

    Returns:
        a future for each batch. The caller must await them all before the commit, because a batch that fails does not
        stop the commit.
    """
    now_ms = int(time.time() * 1000)
    batches: dict[tuple[str, int], list[Any]] = {}
    for record in records:
        target = (record.topic, record.partition)
        target_batches = batches.get(target)
        if target_batches is None:
            target_batches = batches[target] = [producer.create_batch()]
        if target_batches[-1].append(timestamp=now_ms, key=record.key, value=record.value) is None:  # the batch is full
            target_batches.append(producer.create_batch())
            target_batches[-1].append(timestamp=now_ms, key=record.key, value=record.value)
    futures: list[Future[Any]] = []
    # The first batch of every partition is sent before the second of any, so that the first ones share a request.
    for wave in zip_longest(*batches.values()):
        for (topic, partition), batch in zip(batches, wave, strict=True):
            if batch is not None:
                futures.append(await producer.send_batch(batch, topic, partition=partition))
                # If a later `send_batch` raises, the caller never sees this future; its exception counts as retrieved.
                futures[-1].add_done_callback(_retrieve_exception)
    return futures


def _retrieve_exception(future: Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
