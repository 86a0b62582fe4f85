"""The first position of an assignment: that of its group, or else that of the state which it restores."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest

pytest.importorskip("aiokafka")

from aiokafka import TopicPartition

from riskwire.bus.kafka import partition as kafka_partition
from riskwire.bus.kafka.cluster import Cluster, KafkaRecord
from riskwire.bus.kafka.metadata import CommittedPosition
from riskwire.bus.kafka.partition import KafkaAssignment
from riskwire.settings import KafkaSettings

SOURCE = TopicPartition("signals", 0)


class _StoredRecord(NamedTuple):
    key: bytes | None
    value: bytes | None


@dataclass
class FakeKafka:
    """The changelog and the position of one group, and the first offset of its topic.

    Replaces the log, the metadata and the transactions of an assignment.

    Attributes:
        committed: the committed position of the group `alert` on `signals`, partition 0; None if Kafka has none.
        beginning: the offset of the oldest record of `signals` that is still stored.
        changelog: the records that hold the state of the group.
        seeks: the offsets at which the assignment began to read, in order.
    """

    committed: int | None = None
    beginning: int = 0
    changelog: list[_StoredRecord] = field(default_factory=list)
    seeks: list[int] = field(default_factory=list)

    async def beginnings(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return {partition: self.beginning if partition == SOURCE else 0 for partition in partitions}

    async def scan(self, partition: TopicPartition, start: int) -> AsyncIterator[list[_StoredRecord]]:
        if self.changelog[start:]:
            yield self.changelog[start:]

    async def positions(self, group: str) -> dict[tuple[str, int], CommittedPosition]:
        return {} if self.committed is None else {("signals", 0): CommittedPosition(self.committed, "")}

    async def open(self) -> None:
        pass

    def set_last_step(self, step: str | None) -> None:
        pass

    async def commit_step(
        self, name: str, records: Sequence[KafkaRecord], group: str, offsets: Mapping[TopicPartition, Any]
    ) -> None:
        """Appends the state records of a step to the changelog, and sets the position. Other records are dropped."""
        self.changelog += [
            _StoredRecord(record.key, record.value) for record in records if record.topic == "alert-state"
        ]
        self.committed = offsets[SOURCE].offset

    def assignment(self) -> KafkaAssignment:
        """Returns a new assignment of the group on this cluster, as after a restart."""
        cluster = Cluster("kafka://broker:9092", KafkaSettings(), {"signals": 1})
        assignment = KafkaAssignment(cluster, self, self, "alert", "signals", 0, lambda: None)
        assignment._transactions = self
        return assignment


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> FakeKafka:
    """A fake of the cluster's state, and a consumer that records the offsets it seeks to."""
    kafka = FakeKafka()

    class _FakeConsumer:
        def __init__(self, **_: object) -> None:
            pass

        def assign(self, partitions: object) -> None:
            pass

        def seek(self, partition: TopicPartition, offset: int) -> None:
            kafka.seeks.append(offset)

    async def start_consumer(*_: object) -> None:
        pass

    monkeypatch.setattr(kafka_partition, "AIOKafkaConsumer", _FakeConsumer)
    monkeypatch.setattr(kafka_partition, "start_consumer", start_consumer)
    return kafka


async def commit_two_steps(kafka: FakeKafka) -> None:
    """Commits two steps that change the state; the position is 7 then."""
    assignment = kafka.assignment()
    await assignment.restore()
    await assignment.commit(4, [], {"n": b"4"})
    await assignment.commit(7, [], {"n": b"7", "m": b""})


async def test_a_group_that_never_read_begins_at_the_oldest_record(kafka: FakeKafka) -> None:
    """The position of the oldest record, 3, is also committed, so that the group has a lag from now on."""
    kafka.beginning = 3
    assignment = kafka.assignment()
    assert await assignment.restore() == {}
    assert (assignment.position, kafka.seeks[-1], kafka.committed) == (3, 3, 3)


async def test_a_group_without_a_position_continues_at_the_position_of_its_state(kafka: FakeKafka, capsys) -> None:
    """Kafka forgets the position of a group that is away for long; the changelog still has it (7). This is logged."""
    await commit_two_steps(kafka)
    kafka.committed = None
    assignment = kafka.assignment()
    assert await assignment.restore() == {"n": b"7", "m": b""}
    assert (assignment.position, kafka.seeks[-1], kafka.committed) == (7, 7, 7)
    assert "the group has lost its position" in capsys.readouterr().out


@pytest.mark.parametrize("position", [2, 9])
async def test_a_position_that_an_operator_set_takes_precedence(kafka: FakeKafka, position: int) -> None:
    """The position in Kafka, before or after the position of the state (7), is used."""
    await commit_two_steps(kafka)
    kafka.committed = position
    assignment = kafka.assignment()
    await assignment.restore()
    assert (assignment.position, kafka.seeks[-1]) == (position, position)


async def test_a_group_whose_next_records_were_deleted_continues_at_the_oldest_and_logs_it(
    kafka: FakeKafka, capsys
) -> None:
    """The state was written at position 7, and the oldest stored record is 10: three records are lost."""
    await commit_two_steps(kafka)
    kafka.committed, kafka.beginning = None, 10
    assignment = kafka.assignment()
    await assignment.restore()
    assert assignment.position == 10
    assert "records were deleted before they were read" in capsys.readouterr().out


async def test_a_step_that_changes_no_state_writes_nothing_to_the_changelog(kafka: FakeKafka) -> None:
    """Only the position is committed."""
    assignment = kafka.assignment()
    await assignment.restore()
    await assignment.commit(4, [], {})
    assert (kafka.changelog, kafka.committed) == ([], 4)
