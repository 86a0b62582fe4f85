"""A worker knows since when it is outside its group: that looks like standing by, and is not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

pytest.importorskip("aiokafka")

from aiokafka.errors import ConsumerStoppedError

from riskwire.bus.kafka import members as kafka_members
from riskwire.bus.kafka.cluster import Cluster
from riskwire.bus.kafka.members import Assignments
from riskwire.settings import KafkaSettings


class FakeConsumer:
    """The group's client: the test says what the group decides."""

    def subscribe(self, topics: list[str], listener: object) -> None:
        pass

    async def getmany(self, timeout_ms: int) -> None:
        raise ConsumerStoppedError

    async def stop(self) -> None:
        pass


class Member(Assignments):
    """On a cluster that is not there."""

    def __init__(self) -> None:
        async def join(_: Assignments) -> bool:
            return True

        def assign(partition: int, on_fenced: Callable[[], None]) -> None:
            return None

        super().__init__(Cluster("kafka://broker:9092", KafkaSettings()), "alert", "signals", assign, join)

    def _consumer(self) -> FakeConsumer:
        return FakeConsumer()

    def fence(self) -> None:
        self._fenced.set()


@pytest.fixture
async def member(monkeypatch: pytest.MonkeyPatch):
    async def start(*_: object) -> None:
        pass

    monkeypatch.setattr(kafka_members, "start_consumer", start)
    member = Member()
    assert member.outside_since is None, "it has not been asked to join yet"
    first = asyncio.create_task(anext(member, None))
    await asyncio.sleep(0.01)
    yield member
    await member.end()
    assert await first is None
    assert member.outside_since is None, "it is not wanted any more"


async def test_it_is_outside_from_the_moment_it_asks_to_join_until_the_group_answers(member: Member) -> None:
    assert member.outside_since is not None
    assert member.outside_since <= time.monotonic()
    await member.given(())
    assert member.outside_since is None, "also where the group has no partition for it"


async def test_it_is_outside_while_the_group_shares_out_anew_however_often_that_begins(member: Member) -> None:
    await member.given(())
    await member.taken()
    since = member.outside_since
    assert since is not None
    await asyncio.sleep(0.01)
    await member.taken()
    assert member.outside_since == since
    await member.given([0])
    assert member.outside_since is None


async def test_it_is_outside_from_when_it_was_fenced_until_it_has_joined_anew(member: Member) -> None:
    await member.given(())
    member.fence()
    await asyncio.sleep(0.05)
    assert member.outside_since is not None
