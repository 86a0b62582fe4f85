"""Commits steps as transactions of one transactional id: within a deadline, each step happens wholly or not at all."""

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
from riskwire.bus.kafka.batches import COMPRESSION, send_batches
from riskwire.bus.kafka.clients import cancel, stop_producer, transaction_failure
from riskwire.bus.kafka.cluster import Cluster, KafkaRecord
from riskwire.bus.kafka.retry import REQUEST_ERRORS, backoff, is_refusal, is_too_large, request
from riskwire.errors import BusError, FencedError, TooLargeError

log = structlog.get_logger(__name__)

_ABORT_S = 2.0
_FINISH_S = 5.0
"""How long a step may still run after its caller was cancelled or its owner was closed."""
_BATCH_BYTES = 262_144

Offsets = Mapping[TopicPartition, OffsetAndMetadata]


class Transactions:
    """Commits the steps of one transactional id, one after another.

    `open` fences the previous owner of the id and aborts its open transaction. A step that fails is retried within the
    deadline, and so is opening.

    Each time a new producer takes over the id, the last committed step is read. It shows whether a step happened whose
    answer was lost. If it is neither that step nor the last known one, another owner has committed since, and this
    owner is the fenced one.
    """

    def __init__(self, cluster: Cluster, transactional_id: str, last_step: Callable[[], Awaitable[str | None]]) -> None:
        """Connects to nothing; `open` or the first step does.

        Args:
            transactional_id: Kafka's name of the writer: of two producers with one id, the older one is fenced.
            last_step: reads and returns the name of the last committed step of this id, or None.
        """
        self._cluster = cluster
        self._id = transactional_id
        self._read_last_step = last_step
        self._last_step: str | None = None
        self._last_step_known = False
        self._producer: Any = None
        self._lock = asyncio.Lock()
        self._running_step: asyncio.Task[None] | None = None
        self._closed = False

    async def open(self) -> None:
        """Takes over the transactional id, and so fences its previous owner. Has no effect if it is open.

        Raises:
            FencedError: another owner has committed since the last step that this one knows.
            BusError: the brokers cannot be reached within the deadline, or this object is closed.
        """
        async with self._lock:
            await self._open_producer()

    def set_last_step(self, step: str | None) -> None:
        """Sets the last step that the owner has seen. A different committed step means that another owner worked."""
        self._last_step, self._last_step_known = step, True

    async def commit_step(
        self, name: str, records: Sequence[KafkaRecord], group: str = "", offsets: Offsets | None = None
    ) -> None:
        """Publishes the records and moves the positions as one transaction: wholly or not at all.

        A step that has begun runs to its end even if the caller is cancelled, for `_FINISH_S` at most. After that it is
        aborted, or the next owner finds out whether it happened.

        Args:
            name: what `last_step` returns after the step was committed.
            group: the consumer group by Kafka's name.
            offsets: the new positions of `group`; None or empty if no position moves.

        Raises:
            FencedError: another owner has the id. If the answer to a commit was lost, the step may have happened.
            SchemaError: the brokers refuse a record for its size. The step had no effect.
            BusError: the step could not be committed within the deadline. It had no effect, unless the message says
                that it may have: the commit was requested, and its outcome cannot be read.
        """
        step = self._commit_with_retries(name, records, group, offsets or {})
        self._running_step = asyncio.create_task(step, name=f"step-{self._id}")
        try:
            await asyncio.shield(self._running_step)
        except asyncio.CancelledError:
            await self._finish_running_step()
            caller = asyncio.current_task()
            if self._closed and not (caller and caller.cancelling()):  # only the step was cancelled, not the caller
                raise BusError(
                    "a step was abandoned because the bus was closed; it may have happened", where=self._cluster.url
                ) from None
            raise

    async def close(self) -> None:
        """Waits for the step under way, cancels it after `_FINISH_S`, and stops the producer. Later steps fail."""
        self._closed = True
        await self._finish_running_step()
        async with self._lock:
            await self._drop_producer()

    async def _finish_running_step(self) -> None:
        """Waits for the step under way, if any, and cancels it after `_FINISH_S`. Does not raise the step's error."""
        step = self._running_step
        if step is None:
            return
        if not step.done():
            await asyncio.wait([step], timeout=_FINISH_S)
        await cancel(step)
        if not step.cancelled():
            step.exception()  # marks it as retrieved

    async def _commit_with_retries(
        self, name: str, records: Sequence[KafkaRecord], group: str, offsets: Offsets
    ) -> None:
        """Commits one step, and retries failures until `kafka.deadline_s` has passed.

        If the answer to a commit is lost, reads first whether the step happened, so that no step happens twice.

        Gives up at once if the brokers refuse the step or this object is closed.

        Args:
            name: the random id of the step.

        Raises:
            FencedError: another worker has taken over the transactional id.
            TooLargeError: the brokers refuse a record for its size.
            BusError: the step could not be committed, or its outcome cannot be read.
        """
        async with self._lock:
            deadline = time.monotonic() + self._cluster.settings.deadline_s
            for wait_s in backoff():
                failure, may_have_happened = await self._try_commit(name, records, group, offsets, deadline)
                if failure is None:
                    break
                if may_have_happened:
                    log.warning("the answer to a commit was lost: checking whether the step happened", id=self._id)
                    await self._check_outcome(name, failure)
                    if self._last_step == name:
                        break
                if self._closed or is_refusal(failure) or time.monotonic() + wait_s > deadline:
                    _raise(failure, self._cluster.url)
                metrics.REPEATED_STEPS.inc()
                log.warning("a step failed: retrying", id=self._id, error=repr(failure))
                await asyncio.sleep(wait_s)
            self.set_last_step(name)

    async def _try_commit(
        self, name: str, records: Sequence[KafkaRecord], group: str, offsets: Offsets, deadline: float
    ) -> tuple[BaseException | None, bool]:
        """Makes one attempt to commit the step, until `deadline` (`time.monotonic()`).

        Aborts the transaction if the attempt fails before the commit was requested.

        Returns:
            the error or None, and whether the commit was requested, so that the step may have happened.

        Raises:
            FencedError: another owner has the id.
            BusError: the id cannot be taken over. A cancellation is raised too; errors of requests are returned.
        """
        producer = await self._open_producer(name, max(0.0, deadline - time.monotonic()))
        if self._last_step == name:  # an earlier attempt succeeded, though its answer was lost
            return None, True
        requested = False
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                await producer.begin_transaction()
                # Every future is awaited: a failed send does not stop the commit by itself.
                await asyncio.gather(*await send_batches(producer, records))
                # After the records: brokers refuse records while offsets join the transaction, and the client would
                # retry only after 100 ms.
                if offsets:
                    await producer.send_offsets_to_transaction(offsets, group)
                requested = True
                await producer.commit_transaction()
        except BaseException as error:
            failure = transaction_failure(producer, error)
            if isinstance(failure, (ProducerFenced, InvalidProducerEpoch)):
                await self._drop_producer()
                raise FencedError(f"another owner has taken over {self._id}", where=self._cluster.url) from failure
            await self._abort(producer, requested)
            if isinstance(failure, REQUEST_ERRORS):
                return failure, requested
            raise
        return None, requested

    async def _open_producer(self, step: str | None = None, timeout_s: float | None = None) -> Any:
        """Returns the producer that has the transactional id. If there is none, starts one, which takes over the id.

        A new producer also reads the last committed step, unless no step is known or under way.

        Args:
            step: the name of the step under way, which may have happened.
            timeout_s: how long to try; None for `kafka.deadline_s`.

        Raises:
            FencedError: another owner has committed since the last known step.
            BusError: the id cannot be taken over, or this object is closed.
        """
        self._check_open()
        if self._producer is None:
            failure = f"the transactional id {self._id} cannot be taken over"
            producer = await request(self._cluster, failure, self._start_producer, timeout_s=timeout_s)
            try:
                if self._last_step_known or step is not None:
                    await self._check_last_step(step)
            except BaseException:
                await stop_producer(producer)
                raise
            self._producer = producer
        return self._producer

    async def _check_outcome(self, name: str, failure: BaseException) -> None:
        """Takes over the transactional id again, and reads whether a step happened whose commit was requested.

        The result is in `_last_step`, the id of the last committed step: it equals `name` if the step happened.

        Args:
            failure: why the commit was not answered, for the message of an error.

        Raises:
            FencedError: another owner has committed since.
            BusError: the outcome cannot be read; the step may have happened.
        """
        try:
            await self._open_producer(name)
        except FencedError:
            raise
        except BusError as error:
            raise BusError(
                "the answer to a commit was lost and the outcome of the step cannot be read; it may have happened",
                value=str(failure) or type(failure).__name__,
                where=self._cluster.url,
                do="The next owner of this work reads whether the step happened",
            ) from error

    async def _check_last_step(self, step: str | None) -> None:
        """Reads the last committed step into `_last_step`.

        Args:
            step: the name of the step under way, which may have happened; None if there is none.

        Raises:
            FencedError: it is neither `step` nor the last known one, so another owner has committed since.
        """
        last_step = await self._read_last_step()
        if self._last_step_known and last_step not in (self._last_step, step):
            raise FencedError(f"another owner has worked as {self._id}", value=last_step, where=self._cluster.url)
        self._last_step = last_step

    async def _start_producer(self) -> Any:
        """Returns a connected Kafka producer with this transactional id. Fences the previous producer of the id."""
        self._check_open()
        settings = self._cluster.settings
        producer = AIOKafkaProducer(
            **self._cluster.client_options(),
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

    def _check_open(self) -> None:
        if self._closed:
            raise BusError("the bus is closed, or another worker owns the partition", where=self._cluster.url)

    async def _abort(self, producer: Any, requested: bool) -> None:
        """Aborts an open transaction: otherwise readers would wait until the transaction times out.

        Does not abort once the commit was `requested`, since it may have happened. Stops the producer in any case.
        """
        if not requested:
            with suppress(*REQUEST_ERRORS, AssertionError):
                async with asyncio.timeout(_ABORT_S):
                    await producer.abort_transaction()
        await self._drop_producer()

    async def _drop_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await stop_producer(producer)


def _raise(failure: BaseException, where: str) -> NoReturn:
    """Always raises: a `TooLargeError` if brokers refuse the size of a record, else a `BusError`.

    Args:
        failure: the error of the commit, which becomes the cause.
        where: the address of the cluster, for the message.
    """
    if is_too_large(failure):
        raise TooLargeError(
            "the brokers refuse a record for its size",
            where=where,
            do="`riskwire topics check` reports whether max.message.bytes is less than kafka.max_record_bytes",
        ) from failure
    raise BusError(
        "a step could not be committed; it had no effect",
        value=str(failure) or type(failure).__name__,
        where=where,
        do="Check that the brokers run and have space",
    ) from failure
