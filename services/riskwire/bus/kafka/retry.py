"""Asking a cluster that may be away: again until it answers, within the deadline, but not what it refuses."""

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

AWAY = (KafkaError, OSError, TimeoutError)
"""What a client meets while brokers are away, and what they refuse (`refused` tells them apart)."""

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
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 2.0


def refused(error: BaseException) -> bool:
    """Whether asking again would bring the same answer."""
    return isinstance(error, _REFUSALS)


def too_large(error: BaseException) -> bool:
    """Whether it is a record that the brokers refuse, for its size."""
    return isinstance(error, (MessageSizeTooLargeError, RecordListTooLargeError))


def waits() -> Iterator[float]:
    """Seconds to wait before each further try: doubling, up to a bound."""
    wait_s = _FIRST_WAIT_S
    while True:
        yield wait_s
        wait_s = min(2 * wait_s, _LONGEST_WAIT_S)


async def answered(cluster: Cluster, what: str, ask: Callable[[], Awaitable[T]], *, within_s: float | None = None) -> T:
    """What the cluster answers, asked again while it does not.

    Args:
        what: what has failed if no answer comes, as the error will say it.
        ask: one try; a `BusError` that it raises ends the asking.
        within_s: how long to go on; `kafka.deadline_s` when None.

    Raises:
        BusError: no answer in that time, or a refusal.
    """
    deadline_s = cluster.settings.deadline_s if within_s is None else within_s
    last: BaseException | None = None
    try:
        async with asyncio.timeout(deadline_s):
            for wait_s in waits():
                try:
                    return await ask()
                except AWAY as error:
                    if refused(error):
                        raise BusError(what, where=cluster.url) from error
                    last = error
                await asyncio.sleep(wait_s)
    except TimeoutError as error:
        raise BusError(
            f"{what}: no answer within {deadline_s:.3g} s",
            where=cluster.url,
            do="Check that the brokers run (kafka.deadline_s is how long they are waited for)",
        ) from last or error
    raise AssertionError("waits() never ends")
