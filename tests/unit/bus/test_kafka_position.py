"""Where an assignment begins: where its group stands, or else where the state that it restores was left."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest

pytest.importorskip("aiokafka")

from aiokafka import TopicPartition

from riskwire.bus.kafka import partition as kafka_partition
from riskwire.bus.kafka.cluster import Cluster, Record
from riskwire.bus.kafka.lag import Committed
from riskwire.bus.kafka.partition import KafkaAssignment
from riskwire.settings import KafkaSettings

SOURCE = TopicPartition("signals", 0)


class Kept(NamedTuple):
    key: bytes | None
    value: bytes | None


@dataclass
class World:
    """One group's changelog and position, and where its topic begins."""

    committed: int | None = None
    beginning: int = 0
    changelog: list[Kept] = field(default_factory=list)
    sought: list[int] = field(default_factory=list)

    async def beginnings(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {each: self.beginning if each == SOURCE else 0 for each in partitions}

    async def scan(self, partition: TopicPartition, start: int) -> AsyncIterator[list[Kept]]:
        if self.changelog[start:]:
            yield self.changelog[start:]

    async def of(self, group: str) -> dict[tuple[str, int], Committed]:
        return {} if self.committed is None else {("signals", 0): Committed(self.committed, "")}

    async def open(self) -> None:
        pass

    def follows(self, step: str | None) -> None:
        pass

    async def take(self, name: str, records: Sequence[Record], group: str, offsets: Mapping[TopicPartition, Any]):
        self.changelog += [Kept(record.key, record.value) for record in records if record.topic == "alert-state"]
        self.committed = offsets[SOURCE].offset

    def assignment(self) -> KafkaAssignment:
        cluster = Cluster("kafka://broker:9092", KafkaSettings(), {"signals": 1})
        made = KafkaAssignment(cluster, self, self, "alert", "signals", 0, lambda: None)
        made._transactions = self
        return made


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()

    class FakeConsumer:
        def __init__(self, **_: object) -> None:
            pass

        def assign(self, partitions: object) -> None:
            pass

        def seek(self, partition: TopicPartition, offset: int) -> None:
            made.sought.append(offset)

    async def start(*_: object) -> None:
        pass

    monkeypatch.setattr(kafka_partition, "AIOKafkaConsumer", FakeConsumer)
    monkeypatch.setattr(kafka_partition, "start_consumer", start)
    return made


async def worked(world: World) -> None:
    """Two steps that change the state, to offset 7."""
    assignment = world.assignment()
    await assignment.restore()
    await assignment.commit(4, [], {"n": b"4"})
    await assignment.commit(7, [], {"n": b"7", "m": b""})


async def test_a_group_that_never_read_begins_at_the_oldest_record(world: World) -> None:
    world.beginning = 3
    assignment = world.assignment()
    assert await assignment.restore() == {}
    assert (assignment.position, world.sought[-1], world.committed) == (3, 3, 3)


async def test_where_the_position_is_lost_reading_goes_on_where_the_state_was_left(world: World, capsys) -> None:
    await worked(world)
    world.committed = None
    assignment = world.assignment()
    assert await assignment.restore() == {"n": b"7", "m": b""}
    assert (assignment.position, world.sought[-1], world.committed) == (7, 7, 7)
    assert "has lost its position" in capsys.readouterr().out


async def test_a_position_that_an_operator_has_set_wins(world: World) -> None:
    await worked(world)
    for position in (2, 9):
        world.committed = position
        assignment = world.assignment()
        await assignment.restore()
        assert (assignment.position, world.sought[-1]) == (position, position)


async def test_where_the_records_are_gone_too_reading_goes_on_at_the_oldest_and_tells_what_is_missing(
    world: World, capsys
) -> None:
    await worked(world)
    world.committed, world.beginning = None, 10
    assignment = world.assignment()
    await assignment.restore()
    assert assignment.position == 10
    assert "records were deleted before they were read" in capsys.readouterr().out


async def test_a_step_that_changes_no_state_leaves_the_changelog_alone(world: World) -> None:
    assignment = world.assignment()
    await assignment.restore()
    await assignment.commit(4, [], {})
    assert (world.changelog, world.committed) == ([], 4)
