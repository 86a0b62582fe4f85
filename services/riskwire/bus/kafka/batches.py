"""Records on their way to the brokers: one batch a partition, made here.

`AIOKafkaProducer.send` costs a future, a look at the metadata and a wait for each record; that was two thirds of what a
step costs. A batch costs one of each.
"""

from __future__ import annotations

import time
from asyncio import Future
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from riskwire.bus.kafka.cluster import Record

COMPRESSION = "zstd"
"""A seventh of the time and half the bytes of aiokafka's lz4, which runs at its slowest level."""


async def sent(producer: Any, records: Sequence[Record]) -> list[Future[Any]]:
    """Hand records to a producer that is in a transaction; those of a partition stay in order.

    Returns:
        a future for each batch, each of which must be awaited before the commit: one that fails does not stop it.
    """
    now_ms = int(time.time() * 1000)
    batches: dict[tuple[str, int], list[Any]] = {}
    for record in records:
        place = (record.topic, record.partition)
        several = batches.get(place)
        if several is None:
            several = batches[place] = [producer.create_batch()]
        if several[-1].append(timestamp=now_ms, key=record.key, value=record.value) is None:  # it is full
            several.append(producer.create_batch())
            several[-1].append(timestamp=now_ms, key=record.key, value=record.value)
    futures: list[Future[Any]] = []
    # In waves: the first batch of every partition is there before any is waited for, so that they share a request.
    for wave in zip_longest(*batches.values()):
        for (topic, partition), batch in zip(batches, wave, strict=True):
            if batch is not None:
                futures.append(await producer.send_batch(batch, topic, partition=partition))
                futures[-1].add_done_callback(_heard)  # where a later one is refused here, nobody awaits this one
    return futures


def _heard(future: Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
