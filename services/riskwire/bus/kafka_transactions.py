"""Steps as transactions of one transactional id: within a deadline all of a step or nothing, and it is known which."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import InvalidProducerEpoch, KafkaError, ProducerFenced
from aiokafka.structs import OffsetAndMetadata

from riskwire.bus.kafka_cluster import Cluster, FencedError, Record, as_bus_error
from riskwire.errors import BusError

log = structlog.get_logger(__name__)

_STOP_S = 2.0
_BATCH_BYTES = 262_144


class Transactions:
    """Takes the steps of one transactional id, one after another.

    To open it fences whoever had the id before and undoes what they had not finished. A step whose commit was asked
    for but not answered is settled by opening anew (after which it has happened or never will) and looking.
    """

    def __init__(self, cluster: Cluster, transactional_id: str) -> None:
        self._cluster = cluster
        self._id = transactional_id
        self._producer: Any = None
        self._lock = asyncio.Lock()
        self._closed = False

    async def open(self) -> None:
        """Take the id over; does nothing where it is open.

        Raises:
            BusError: the brokers cannot be reached within the deadline.
        """
        async with self._lock:
            await self._opened()

    async def take(
        self,
        records: Sequence[Record],
        happened: Callable[[], Awaitable[bool]],
        group: str = "",
        offsets: Mapping[TopicPartition, OffsetAndMetadata] | None = None,
    ) -> None:
        """One step. Once begun it is carried to its end, also where the taker is cancelled meanwhile.

        Args:
            happened: asked, after the id was taken over anew, where the answer to the commit was lost.

        Raises:
            FencedError: someone else has the id.
            BusError: nothing of the step has happened.
        """
        step = asyncio.create_task(self._take(records, happened, group, offsets or {}), name=f"step-{self._id}")
        try:
            await asyncio.shield(step)
        except asyncio.CancelledError:
            if not step.done():
                await asyncio.wait([step])
            if not step.cancelled():
                step.exception()
            raise

    async def close(self) -> None:
        """End the step under way and let the id go."""
        self._closed = True
        async with self._lock:
            await self._drop()

    async def _take(
        self,
        records: Sequence[Record],
        happened: Callable[[], Awaitable[bool]],
        group: str,
        offsets: Mapping[TopicPartition, OffsetAndMetadata],
    ) -> None:
        async with self._lock:
            producer = await self._opened()
            asked = False
            try:
                async with asyncio.timeout(self._cluster.settings.deadline_s):
                    await producer.begin_transaction()
                    sent = [
                        await producer.send(r.topic, value=r.value, key=r.key, partition=r.partition) for r in records
                    ]
                    await asyncio.gather(*sent)  # a send that fails unawaited would not stop the commit
                    if offsets:
                        await producer.send_offsets_to_transaction(offsets, group)
                    asked = True
                    await producer.commit_transaction()
                return
            except (ProducerFenced, InvalidProducerEpoch) as error:
                await self._drop()
                raise FencedError(f"another owner has taken over {self._id}", where=self._cluster.url) from error
            except (KafkaError, TimeoutError, OSError) as error:
                failure = error
            except BaseException:
                await self._undo(producer, asked)
                raise
            await self._undo(producer, asked)
            if asked and not self._closed:
                log.warning("the answer to a commit was lost: looking what came of it", id=self._id)
                await self._opened()
                if await happened():
                    return
            raise BusError(
                "a step could not be committed; nothing of it has happened",
                value=str(failure) or type(failure).__name__,
                where=self._cluster.url,
                do="Check that the brokers run and have room",
            ) from failure

    async def _opened(self) -> Any:
        if self._closed:
            raise BusError("the bus is closed, or the partition is someone else's", where=self._cluster.url)
        if self._producer is None:
            settings = self._cluster.settings
            producer = AIOKafkaProducer(
                **self._cluster.client(),
                transactional_id=self._id,
                transaction_timeout_ms=int(settings.deadline_s * 1000),
                acks="all",
                compression_type="lz4",
                max_request_size=settings.max_record_bytes,
                max_batch_size=_BATCH_BYTES,
            )
            try:
                with as_bus_error(f"the transactional id {self._id} cannot be taken over", self._cluster.url):
                    async with asyncio.timeout(settings.deadline_s):
                        await producer.start()
            except BaseException:
                await _stop(producer)
                raise
            self._producer = producer
        return self._producer

    async def _undo(self, producer: Any, asked: bool) -> None:
        """Abort what the brokers hold open, so that readers need not wait for its time to run out."""
        if not asked:
            with suppress(KafkaError, TimeoutError, OSError, AssertionError):
                async with asyncio.timeout(_STOP_S):
                    await producer.abort_transaction()
        await self._drop()

    async def _drop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await _stop(producer)


async def _stop(producer: Any) -> None:
    with suppress(KafkaError, TimeoutError, OSError):
        async with asyncio.timeout(_STOP_S):
            await producer.stop()
            return
    with suppress(KafkaError, TimeoutError, OSError):
        async with asyncio.timeout(_STOP_S):
            await producer.client.close()
