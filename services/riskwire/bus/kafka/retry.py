"""Requests to a cluster that may not answer: repeated within a deadline, unless the cluster refuses them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IncompatibleBrokerVersion,
    InvalidProducerEpoch,
    InvalidTopicError,
    InvalidTransactionTimeout,
    KafkaError,
    MessageSizeTooLargeError,
    OffsetOutOfRangeError,
    ProducerFenced,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnsupportedVersionError,
)

from riskwire.bus.kafka.cluster import Cluster
from riskwire.errors import BusError

T = TypeVar("T")

REQUEST_ERRORS = (KafkaError, OSError, TimeoutError)
"""The errors of a request: while brokers are away, and if they refuse it (`is_refusal` tells which)."""

_REFUSALS = (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IncompatibleBrokerVersion,
    InvalidProducerEpoch,
    InvalidTopicError,
    InvalidTransactionTimeout,
    MessageSizeTooLargeError,
    OffsetOutOfRangeError,
    ProducerFenced,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnsupportedVersionError,
)
_FIRST_BACKOFF_S = 0.1
_MAX_BACKOFF_S = 2.0


def is_refusal(error: BaseException) -> bool:
    """Whether the same request would fail again in the same way."""
    return isinstance(error, _REFUSALS)


def is_too_large(error: BaseException) -> bool:
    """Whether the brokers refused a record for its size."""
    return isinstance(error, (MessageSizeTooLargeError, RecordListTooLargeError))


def backoff() -> Iterator[float]:
    """Yields how many seconds to wait before each retry: 0.1 s, doubling, up to 2 s. Never ends."""
    wait_s = _FIRST_BACKOFF_S
    while True:
        yield wait_s
        wait_s = min(2 * wait_s, _MAX_BACKOFF_S)


async def request(
    cluster: Cluster, failure: str, send: Callable[[], Awaitable[T]], *, timeout_s: float | None = None
) -> T:
    """Returns the answer to a request; repeats the request until it is answered, with growing pauses.

    Repeats after an error of Kafka or the network, unless it is a refusal that would come again.

    Args:
        failure: the message of the error if no answer comes.
        send: makes one attempt. A `BusError` that it raises ends the attempts.
        timeout_s: how long to repeat the request; None for `kafka.deadline_s`.

    Raises:
        BusError: no answer came in that time, or the cluster refused the request.
    """
    deadline_s = cluster.settings.deadline_s if timeout_s is None else timeout_s
    last_error: BaseException | None = None
    try:
        async with asyncio.timeout(deadline_s):
            for wait_s in backoff():
                try:
                    return await send()
                except REQUEST_ERRORS as error:
                    if is_refusal(error):
                        raise BusError(failure, where=cluster.url) from error
                    last_error = error
                await asyncio.sleep(wait_s)
    except TimeoutError as error:
        raise BusError(
            f"{failure}: no answer within {deadline_s:.3g} s",
            where=cluster.url,
            do="Check that the brokers run (kafka.deadline_s is how long riskwire waits for them)",
        ) from last_error or error
    raise AssertionError("backoff() never ends")
