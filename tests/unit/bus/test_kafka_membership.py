"""The membership of the Kafka bus, and a stage that waits on purpose in the middle of a step."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest

pytest.importorskip("aiokafka")

from riskwire.bus import Lag, Membership, PartitionActivity
from riskwire.bus.kafka.bus import KafkaBus
from riskwire.bus.kafka.cluster import Cluster
from riskwire.errors import BusError
from riskwire.settings import BusSettings, KafkaSettings

LAGS = [Lag("infer", "articles", 0, 3)]


@dataclass
class _OwnedPartition:
    topic: str = "commands"
    partition: int = 0
    active_at: float = 0.0

    def note_activity(self) -> None:
        self.active_at = time.monotonic()


@dataclass
class _Member:
    assigned: list[_OwnedPartition] = field(default_factory=lambda: [_OwnedPartition()])
    outside_since: float | None = None


class _LagReader:
    async def lag(self) -> list[Lag]:
        return LAGS


@pytest.fixture
def bus() -> KafkaBus:
    """A bus without a cluster, whose lag is always `LAGS`. The tests set its members by group and topic."""
    cluster = Cluster("kafka://broker:9092", KafkaSettings())
    bus = KafkaBus(cluster, None, None, BusSettings(url="kafka://broker:9092"))
    bus._lag = _LagReader()
    return bus


async def test_reading_the_lag_of_a_waiting_stage_is_activity_of_its_group(bus: KafkaBus) -> None:
    history, watchlist = _Member(), _Member()
    bus._members = {("history", "commands"): history, ("watchlist", "commands"): watchlist}
    before = time.monotonic()
    assert await bus.lag_of_waiting_stage("history") == LAGS
    assert history.assigned[0].active_at >= before
    assert watchlist.assigned[0].active_at == 0.0, "another group is not active"


async def test_a_waiting_stage_that_lost_its_partition_gets_a_bus_error(bus: KafkaBus) -> None:
    bus._members = {("history", "commands"): _Member([])}
    with pytest.raises(BusError, match="another worker owns the partitions of history now"):
        await bus.lag_of_waiting_stage("history")


def test_membership_lists_the_partitions_with_their_last_activity(bus: KafkaBus) -> None:
    owned = [_OwnedPartition(active_at=5.0), _OwnedPartition(partition=1, active_at=7.0)]
    bus._members = {("history", "commands"): _Member(owned)}
    activity = (PartitionActivity("commands", 0, 5.0), PartitionActivity("commands", 1, 7.0))
    assert bus.membership("history") == Membership(None, activity)


def test_a_member_that_waits_for_its_group_is_outside(bus: KafkaBus) -> None:
    bus._members = {("history", "commands"): _Member([], outside_since=3.0)}
    assert bus.membership("history") == Membership(3.0, ())


def test_a_group_that_was_never_joined_is_outside_since_the_bus_was_opened(bus: KafkaBus) -> None:
    assert bus.membership("history") == Membership(bus._opened_at, ())
