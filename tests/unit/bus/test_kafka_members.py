"""A member of a group reports since when it is outside the group. A member without partitions is not outside."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

pytest.importorskip("aiokafka")

from aiokafka.errors import ConsumerStoppedError

from riskwire.bus.kafka import members
from riskwire.bus.kafka.cluster import Cluster
from riskwire.bus.kafka.members import KafkaMember
from riskwire.settings import KafkaSettings


class _FakeConsumer:
    """The client that is a member of the group; the test plays the group."""

    def subscribe(self, topics: list[str], listener: object) -> None:
        pass

    async def getmany(self, timeout_ms: int) -> None:
        raise ConsumerStoppedError

    async def stop(self) -> None:
        pass


class _MemberWithoutCluster(KafkaMember):
    def __init__(self) -> None:
        """A member of the group `alert` on `signals`. It may join, and gets no assignment of any partition."""

        async def join(_: KafkaMember) -> bool:
            return True

        def assign(partition: int, on_fenced: Callable[[], None]) -> None:
            return None

        super().__init__(Cluster("kafka://broker:9092", KafkaSettings()), "alert", "signals", assign, join)

    def _new_consumer(self) -> _FakeConsumer:
        return _FakeConsumer()

    def fence(self) -> None:
        self._fenced.set()


@pytest.fixture
async def member(monkeypatch: pytest.MonkeyPatch):
    """A member that asks to join its group, without a Kafka cluster, and ends after the test.

    It is outside the group neither before it asks nor after its end.
    """

    async def start_consumer(*_: object) -> None:
        pass

    monkeypatch.setattr(members, "start_consumer", start_consumer)
    member = _MemberWithoutCluster()
    assert member.outside_since is None, "it has not asked to join yet"
    first_assignment = asyncio.create_task(anext(member, None))
    await asyncio.sleep(0.01)
    yield member
    await member.end()
    assert await first_assignment is None
    assert member.outside_since is None, "it does not want to be a member any more"


async def test_a_member_is_outside_from_its_request_to_join_until_the_group_answers(
    member: _MemberWithoutCluster,
) -> None:
    """`outside_since` is the time at which it began to wait. The answer of the group is `on_assigned` (partitions)."""
    assert member.outside_since is not None
    assert member.outside_since <= time.monotonic()
    await member.on_assigned(())
    assert member.outside_since is None, "also if the group has no partition for it"


async def test_a_member_is_outside_from_the_beginning_of_a_rebalance_until_its_end(
    member: _MemberWithoutCluster,
) -> None:
    """A rebalance begins with `on_revoked` and ends with `on_assigned`, which gives the member its partitions."""
    await member.on_assigned(())
    await member.on_revoked()
    since = member.outside_since
    assert since is not None
    await asyncio.sleep(0.01)
    await member.on_revoked()
    assert member.outside_since == since, "a second rebalance does not restart the time"
    await member.on_assigned([0])
    assert member.outside_since is None


async def test_a_fenced_member_is_outside_until_it_has_joined_again(member: _MemberWithoutCluster) -> None:
    """`fence` plays an assignment that finds another worker on its partition: the member joins the group again."""
    await member.on_assigned(())
    member.fence()
    await asyncio.sleep(0.05)
    assert member.outside_since is not None
