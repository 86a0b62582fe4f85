"""Steps as transactions of one transactional id: within a deadline all of a step or nothing, and it is known which."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import InvalidProducerEpoch, ProducerFenced
from aiokafka.structs import OffsetAndMetadata

from riskwire import metrics
from riskwire.bus.kafka.batches import COMPRESSION, sent
from riskwire.bus.kafka.clients import cancelled, met, stop_producer
from riskwire.bus.kafka.cluster import Cluster, Record
from riskwire.bus.kafka.retry import AWAY, answered, refused, too_large, waits
from riskwire.errors import BusError, FencedError, TooLargeError

log = structlog.get_logger(__name__)

_ABORT_S = 2.0
_CARRY_S = 5.0
"""A step whose taker is cancelled, or whose owner is closed, has this long to come to its end."""
_BATCH_BYTES = 262_144


class Transactions:
    """Takes the steps of one transactional id, one after another.

    To open it fences whoever had the id before and undoes what they had not finished. A step that fails is tried again
    within the deadline, and so is opening. Whenever the id is taken over anew, the last step that has happened is
    looked at: a step whose answer was lost is found there; where it is neither that nor the last one known, somebody
    else has been at work, and this owner is the one that is fenced.

    Args:
        last_step: the name of the last step of this id that has happened; None where there was none.
    """

    def __init__(self, cluster: Cluster, transactional_id: str, last_step: Callable[[], Awaitable[str | None]]) -> None:
        self._cluster = cluster
        self._id = transactional_id
        self._last_step = last_step
        self._last: str | None = None
        self._known = False
        self._producer: Any = None
        self._lock = asyncio.Lock()
        self._step: asyncio.Task[None] | None = None
        self._closed = False

    async def open(self) -> None:
        """Take the id over; does nothing where it is open.

        Raises:
            BusError: the brokers cannot be reached within the deadline.
        """
        async with self._lock:
            await self._opened()

    def follows(self, step: str | None) -> None:
        """What is known, and the steps to come, go by this one as the last."""
        self._last, self._known = step, True

    async def take(
        self,
        name: str,
        records: Sequence[Record],
        group: str = "",
        offsets: Mapping[TopicPartition, OffsetAndMetadata] | None = None,
    ) -> None:
        """One step. Once begun it is carried to its end, also where the taker is cancelled meanwhile, unless that takes
        longer than a few seconds: then it is undone, or its successor finds out whether it has happened.

        Args:
            name: what `last_step` will say once it has happened.

        Raises:
            FencedError: someone else has the id; a step whose answer was lost may have happened before.
            SchemaError: the brokers refuse a record for its size; nothing of the step has happened.
            BusError: it could not be taken within the deadline, however often it was tried. Nothing has happened, or
                the message says that it may have: its commit was asked for, and what came of that cannot be seen.
        """
        self._step = asyncio.create_task(self._take(name, records, group, offsets or {}), name=f"step-{self._id}")
        try:
            await asyncio.shield(self._step)
        except asyncio.CancelledError:
            await self._carried()
            taker = asyncio.current_task()
            if self._closed and not (taker and taker.cancelling()):  # it is the step alone that was given up
                raise BusError(
                    "a step was given up, since the bus was closed; it may have happened", where=self._cluster.url
                ) from None
            raise

    async def close(self) -> None:
        """End the step under way and let the id go."""
        self._closed = True
        await self._carried()
        async with self._lock:
            await self._drop()

    async def _carried(self) -> None:
        """The step under way, if any, has come to its end, or has been given up."""
        step = self._step
        if step is None:
            return
        if not step.done():
            await asyncio.wait([step], timeout=_CARRY_S)
        await cancelled(step)
        if not step.cancelled():
            step.exception()

    async def _take(
        self, name: str, records: Sequence[Record], group: str, offsets: Mapping[TopicPartition, OffsetAndMetadata]
    ) -> None:
        async with self._lock:
            until = time.monotonic() + self._cluster.settings.deadline_s
            for wait_s in waits():
                failure, asked = await self._try(name, records, group, offsets, until)
                if failure is None:
                    break
                if asked:
                    log.warning("the answer to a commit was lost: looking what came of it", id=self._id)
                    await self._look_into(name, failure)
                    if self._last == name:
                        break
                if self._closed or refused(failure) or time.monotonic() + wait_s > until:
                    _raise(failure, self._cluster.url)
                metrics.STEPS_AGAIN.inc()
                log.warning("a step failed and is tried again", id=self._id, error=repr(failure))
                await asyncio.sleep(wait_s)
            self.follows(name)

    async def _try(
        self,
        name: str,
        records: Sequence[Record],
        group: str,
        offsets: Mapping[TopicPartition, OffsetAndMetadata],
        until: float,
    ) -> tuple[BaseException | None, bool]:
        """Take the step once.

        Returns:
            why it failed, None where it did not; and whether it may have happened nevertheless.
        """
        producer = await self._opened(name, max(0.0, until - time.monotonic()))
        if self._last == name:
            return None, True
        asked = False
        try:
            async with asyncio.timeout(max(0.0, until - time.monotonic())):
                await producer.begin_transaction()
                await asyncio.gather(*await sent(producer, records))  # a send that fails unawaited stops no commit
                # Only now: brokers refuse appends while offsets join the transaction, and are asked again in 100 ms.
                if offsets:
                    await producer.send_offsets_to_transaction(offsets, group)
                asked = True
                await producer.commit_transaction()
        except BaseException as raised:
            failure = met(producer, raised)
            if isinstance(failure, (ProducerFenced, InvalidProducerEpoch)):
                await self._drop()
                raise FencedError(f"another owner has taken over {self._id}", where=self._cluster.url) from failure
            await self._undo(producer, asked)
            if isinstance(failure, AWAY):
                return failure, asked
            raise
        return None, asked

    async def _opened(self, step: str | None = None, within_s: float | None = None) -> Any:
        """The producer that has the id; `step` is the one under way, which may have happened."""
        self._check()
        if self._producer is None:
            what = f"the transactional id {self._id} cannot be taken over"
            producer = await answered(self._cluster, what, self._started, within_s=within_s)
            try:
                if self._known or step is not None:
                    await self._look(step)
            except BaseException:
                await stop_producer(producer)
                raise
            self._producer = producer
        return self._producer

    async def _look_into(self, name: str, failure: BaseException) -> None:
        """Take the id over anew and see what came of a step whose commit was asked for."""
        try:
            await self._opened(name)
        except FencedError:
            raise
        except BusError as error:
            raise BusError(
                "the answer to a commit was lost, and what came of the step cannot be seen; it may have happened",
                value=str(failure) or type(failure).__name__,
                where=self._cluster.url,
                do="Whoever goes on with this work sees whether it has",
            ) from error

    async def _look(self, step: str | None) -> None:
        """See that nobody else has taken a step since the last one known."""
        last = await self._last_step()
        if self._known and last not in (self._last, step):
            raise FencedError(f"another owner has worked as {self._id}", value=last, where=self._cluster.url)
        self._last = last

    async def _started(self) -> Any:
        self._check()
        settings = self._cluster.settings
        producer = AIOKafkaProducer(
            **self._cluster.client(),
            transactional_id=self._id,
            transaction_timeout_ms=int(settings.deadline_s * 1000),
            acks="all",
            compression_type=COMPRESSION,
            max_request_size=settings.max_record_bytes,
            max_batch_size=_BATCH_BYTES,
        )
        try:
            await producer.start()
        except BaseException:
            await stop_producer(producer)
            raise
        return producer

    def _check(self) -> None:
        if self._closed:
            raise BusError("the bus is closed, or the partition is someone else's", where=self._cluster.url)

    async def _undo(self, producer: Any, asked: bool) -> None:
        """Abort what the brokers hold open, so that readers need not wait for its time to run out."""
        if not asked:
            with suppress(*AWAY, AssertionError):
                async with asyncio.timeout(_ABORT_S):
                    await producer.abort_transaction()
        await self._drop()

    async def _drop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await stop_producer(producer)


def _raise(failure: BaseException, where: str) -> NoReturn:
    if too_large(failure):
        raise TooLargeError(
            "the brokers refuse a record for its size",
            where=where,
            do="`riskwire topics check` says whether max.message.bytes is less than kafka.max_record_bytes",
        ) from failure
    raise BusError(
        "a step could not be committed; nothing of it has happened",
        value=str(failure) or type(failure).__name__,
        where=where,
        do="Check that the brokers run and have room",
    ) from failure
